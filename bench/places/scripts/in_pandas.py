"""What the directory of the first argument holds, by client and hour, into the file of the second one."""

import sys
from pathlib import Path

import pandas  # type: ignore[import-untyped] # it has no stubs

root = Path(sys.argv[1])
columns = ["ts", "uid", "client", "amount"]
frames = [pandas.read_json(path, lines=True)[columns] for path in sorted(root.glob("*/*.jsonl*"))]
frames += [pandas.read_csv(path, usecols=columns) for path in sorted(root.glob("*/*.csv*"))]
every = pandas.concat(frames)
every["hour"] = every["ts"] - every["ts"] % 3600
found = every.groupby(["client", "hour"]).agg(amount=("amount", "sum"), users=("uid", "nunique"))
found.to_csv(sys.argv[2])
