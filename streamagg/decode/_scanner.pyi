from collections.abc import Sequence

from streamagg.model.columns import Columns, Int64Column

class Scanner:
    def __new__(
        cls,
        fields: tuple[tuple[int, tuple[bytes, ...]], ...],
        unit: str,
        max_bytes: int,
        framing: str,
        seed: int,
    ) -> Scanner: ...
    def scan(
        self, payloads: Sequence[bytes | None], event_time_ms: Int64Column, columns: Columns, /
    ) -> tuple[list[int], tuple[int, ...], tuple[bytes, bytes, bytes, bytes]]: ...
