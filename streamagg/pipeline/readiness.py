"""Why an instance is not ready, in words for who has to look after it."""

from collections.abc import Sequence


def unready(*, joined: bool, leader: bool, reading: bool, leased: bool, silent: Sequence[str]) -> list[str]:
    """The reasons; none for a leader that reads, or a standby in its group, whose workers answer.

    ``silent`` names the workers that do not answer.
    """
    reasons = []
    if not joined:
        reasons.append("not in the consumer group")
    elif leader and not reading:
        reasons.append("leads, but does not read yet: Kafka, the checkpoint or the last leader is waited for")
    elif leader and not leased:
        reasons.append("no lease given yet")
    return reasons + [f"{name} does not answer" for name in silent]
