"""Whether a client still knows a broker to ask.

A broker that has just come back may describe a cluster without any brokers. librdkafka then forgets those
that it knew, even its bootstrap servers, and never connects again, whatever its recovery strategy (librdkafka
#5301). It does not report this; only asking reveals it.
"""

from time import monotonic
from typing import Final

from confluent_kafka import Consumer, KafkaException, Producer

_QUIET_S: Final = 5.0
"""With the two below a client is given up after some 15 s of silence, as one that its group does not let in
(``membership._OUTSIDE_S``)."""
_ANSWER_S: Final = 1.0
"""The main loop waits for this answer."""
_UNANSWERED: Final = 3
"""One lost answer is no reason, nor are two."""


class BrokerSilence:
    """Asks for a topic when nothing has been heard for a while."""

    def __init__(self, client: Consumer | Producer, topic: str) -> None:
        self._client = client
        self._topic = topic
        self.heard()

    def heard(self) -> None:
        """Something came from a broker."""
        self._unanswered = 0
        self._ask_at_s = monotonic() + _QUIET_S

    def lost(self) -> bool:
        """No broker has answered three questions in a row: a new client may do better, or none would.

        Returns at once, but for up to a second every five while a question is not answered.
        """
        if monotonic() < self._ask_at_s:
            return False
        try:
            self._client.list_topics(self._topic, timeout=_ANSWER_S)
        except KafkaException:
            self._unanswered += 1
            self._ask_at_s = monotonic() + _QUIET_S
        else:
            self.heard()
        return self._unanswered >= _UNANSWERED
