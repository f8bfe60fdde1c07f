from collections.abc import Sequence

from streamagg.model.columns import Int64Column, UInt64Column

class Scanner:
    def __new__(
        cls, time: tuple[bytes, ...], user: tuple[bytes, ...], unit: str, max_bytes: int, framing: str
    ) -> Scanner: ...
    def scan(
        self, payloads: Sequence[bytes | None], event_time_ms: Int64Column, user: UInt64Column, /
    ) -> list[int]: ...
