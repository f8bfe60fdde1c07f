"""Write public data as JSON lines, and the truth about them by pandas; runs in an environment of its own.

pandas finds the periods, groups, unique values, least, greatest, first and last; sums are those of
`math.fsum`, averages those of fractions, so that both are rounded once.
"""

import json
import math
import random
import sys
from fractions import Fraction
from pathlib import Path

import pandas as pd

ZONE = "America/New_York"
PERIODS = {"day": "D", "week": "W-SUN", "month": "M"}


def flights(data: Path) -> pd.DataFrame:
    """Flights by their scheduled departure; those that name no aircraft are left out."""
    table = pd.read_csv(data / "flights.csv.zip").dropna(subset=["tailnum"])
    time = pd.to_datetime(table.time_hour, utc=True) + pd.to_timedelta(table.minute, unit="min")
    return table.assign(time=time, user=table.tailnum)


def seconds(times: pd.Series) -> pd.Series:
    """Since the epoch."""
    return (times - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)


def exact(op, values):
    """Sum or average of a list, rounded once; NaN stands for no value."""
    values = [value for value in values if value == value]
    if not values:
        return None
    return math.fsum(values) if op == "sum" else float(sum(map(Fraction, values)) / len(values))


def rows_of(table, keys, fields, measures):
    """A row for every group of the table, or for its periods alone where `fields` is empty."""
    groups = table.groupby([*keys, *fields], sort=False)
    figures = {"cnt": groups.user.nunique(), "records": groups.size()}
    for name, op, path in measures:
        if op in ("sum", "avg"):
            exactly = [exact(op, values) for values in groups[path].agg(list)]
            figures[name] = pd.Series(exactly, figures["cnt"].index, dtype=object)
        else:
            figures[name] = groups[path].agg({"uniques": "nunique"}.get(op, op))
    for row in pd.DataFrame(figures).reset_index().to_dict("records"):
        group = {field: row.pop(field) for field in fields}
        row = {name: None if value != value else value for name, value in row.items()}
        yield row | ({"group": group} if fields else {})


def truth(table, fields, measures):
    """Rows of every hour, day, week and month, and of every group of them."""
    local = table.time.dt.tz_convert(ZONE).dt.tz_localize(None)
    starts = {None: pd.DataFrame({"ts": seconds(table.time.dt.floor("h"))}, table.index)}
    for name, code in PERIODS.items():
        period = local.dt.to_period(code)
        edges = {"ts": period, "end": period + 1}
        starts[name] = pd.DataFrame(
            {key: seconds(each.dt.start_time.dt.tz_localize(ZONE)) for key, each in edges.items()}
        )
    for name, columns in starts.items():
        named = {} if name is None else {"calendar": name}
        for by in ([], fields):
            for row in rows_of(table.assign(**columns), [*columns], by, measures):
                yield named | row


def main(data: Path, plan: dict, out: Path) -> None:
    """Records in an order of no meaning, then the truth."""
    table = {"flights": flights}[plan["name"]](data)
    table = table.assign(ts=seconds(table.time)).reset_index(drop=True)
    order = [*range(len(table))]
    random.Random(1).shuffle(order)
    table = table.iloc[order].reset_index(drop=True)
    wanted = dict.fromkeys(["ts", "user", *plan["fields"], *(path for _, _, path in plan["measures"])])
    with (out / "records.jsonl").open("w") as file:
        for row in table[[*wanted]].to_dict("records"):
            known = {name: None if value != value else value for name, value in row.items()}
            # pandas itself writes 15 digits at most, which are other numbers.
            file.write(json.dumps(known) + "\n")
    # Of two records of one time, the one that stands before the other in the file is the first.
    table = table.sort_values("time", kind="stable")
    with (out / "truth.jsonl").open("w") as file:
        for row in truth(table, plan["fields"], plan["measures"]):
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]))
