"""What becomes of records under way."""

from confluent_kafka import KafkaError, Message


class Reports:
    """Remembers the first record that did not arrive: the others may only follow from it.

    Apart from whoever produces: a record that is given up together with its producer holds the callback for
    its report, and through a method of the owner it would hold the producer too, threads, sockets and all.
    """

    def __init__(self) -> None:
        self.error: KafkaError | None = None
        self.topic: str | None = None
        """Where that record was to go."""

    def hear(self, error: KafkaError | None, record: Message) -> None:
        """For ``on_delivery``."""
        if error is not None and self.error is None:
            self.error, self.topic = error, record.topic()
