"""Which measures are computed, in the order of their summaries."""

from streamagg.core.measures.contract import Measure
from streamagg.core.measures.counts import Count, Records
from streamagg.core.measures.distinct import Distinct
from streamagg.core.measures.ends import End
from streamagg.core.measures.exact_sum import Average, Sum
from streamagg.core.measures.extremes import Extreme
from streamagg.core.measures.uniques import Uniques
from streamagg.model.columns import (
    EVENT_TIME_COLUMN,
    OFFSET_COLUMN,
    PARTITION_COLUMN,
    USER_COLUMN,
    Schema,
    column_of,
    delivered_schema_of,
)
from streamagg.model.settings import CeilingSettings, DecodeSettings, MeasureSettings

Measures = tuple[Measure, ...]


def measures_of(decode: DecodeSettings, ceiling: CeilingSettings) -> Measures:
    """Unique users, up to a ceiling, unless none are counted; records; and what is asked for beside them."""
    schema, grouped = delivered_schema_of(decode), bool(decode.group_by)
    users: Measures = ()
    if decode.user_field is not None:
        users = (Uniques(schema.place(USER_COLUMN), ceiling, grouped=grouped),)
    return *users, Records(), *(_measure(asked, schema, grouped) for asked in decode.measures)


def _measure(asked: MeasureSettings, schema: Schema, grouped: bool) -> Measure:
    column = schema.place(column_of(asked))
    match asked.op:
        case "uniques":
            return Distinct(asked.name, column, grouped=grouped)
        case "count":
            return Count(asked.name, column)
        case "sum":
            return Sum(asked.name, column)
        case "avg":
            return Average(asked.name, column)
        case "min" | "max":
            return Extreme(asked.name, column, asked.op)
        case "first" | "last":
            time, partition, offset = (
                schema.place(name) for name in (EVENT_TIME_COLUMN, PARTITION_COLUMN, OFFSET_COLUMN)
            )
            return End(asked.name, (column, time, partition, offset), asked.op)
