"""Why an instance is not ready, in words for who has to look after it."""

from collections.abc import Sequence


def unready(
    *,
    joined: bool,
    leader: bool,
    reading: bool,
    leased: bool,
    silent: Sequence[str],
    nothing_counted: str | None = None,
) -> list[str]:
    """The reasons; none for a leader that counts, or a standby in its group, whose workers answer.

    ``silent`` names the workers that do not answer; ``nothing_counted`` says why no record is counted.
    """
    reasons = []
    if not joined:
        reasons.append("not in the consumer group")
    elif leader and not reading:
        reasons.append("leads, but does not read yet: Kafka, the checkpoint or the last leader is waited for")
    elif leader and not leased:
        reasons.append("no lease given yet")
    elif leader and nothing_counted is not None:
        reasons.append(f"none of the records is counted: {nothing_counted}")
    return reasons + [f"{name} does not answer" for name in silent]
