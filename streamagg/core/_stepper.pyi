from streamagg.model.columns import BoolColumn, Int64Column

def steps(
    rules: tuple[int, int, int, int, int, int, int],
    clock_ms: int | None,
    agreement: int,
    set_aside: bytes,
    event_time_ms: Int64Column,
    width: int,
    carried: memoryview,
    offset: Int64Column,
    live: BoolColumn | None,
    /,
) -> tuple[
    int,
    int,
    int | None,
    int,
    bytes,
    bytes,
    bytes,
    bytes,
    bytes,
    bytes,
    list[tuple[int, int, int | None, int, bytes]],
]: ...
