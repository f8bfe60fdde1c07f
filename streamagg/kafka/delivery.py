"""What becomes of records on their way."""

from confluent_kafka import KafkaError, Message


class Reports:
    """Remembers the last record that did not arrive.

    Apart from whoever produces: a record that is given up together with its producer holds the callback for
    its report, and through a method of the owner it would hold the producer too, threads, sockets and all.
    """

    def __init__(self) -> None:
        self.error: KafkaError | None = None

    def hear(self, error: KafkaError | None, _: Message) -> None:
        """For ``on_delivery``."""
        if error is not None:
            self.error = error
