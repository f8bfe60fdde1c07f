"""``streamagg schema``: the JSON Schema of what is published, and the tables of a database for it."""

from typing import Annotated

import orjson
import typer

from streamagg.errors import SettingsError
from streamagg.sinks import schema as published
from streamagg.sinks.postgres.schema import schema as tables


def schema(
    record: Annotated[
        str | None,
        typer.Argument(
            metavar="RECORD", help=f"One of {', '.join(published.RECORDS)}. Default: all.", show_default=False
        ),
    ] = None,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Print the tables of an output in PostgreSQL instead, as SQL.")
    ] = False,
) -> None:
    """Print the JSON Schema (draft 2020-12) of the records that are published, or of one kind of them."""
    if not postgres:
        typer.echo(orjson.dumps(published.schema(record), option=orjson.OPT_INDENT_2))
    elif record is None:
        typer.echo(tables(), nl=False)
    else:
        raise SettingsError(f"RECORD = {record} and --postgres exclude each other: leave one out.")
