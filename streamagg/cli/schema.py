"""``streamagg schema``: the JSON Schema of what is published."""

from typing import Annotated

import orjson
import typer

from streamagg.sinks import schema as published


def schema(
    record: Annotated[
        str | None,
        typer.Argument(
            metavar="RECORD", help=f"One of {', '.join(published.RECORDS)}. Default: all.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the JSON Schema (draft 2020-12) of the records that are published, or of one kind of them."""
    typer.echo(orjson.dumps(published.schema(record), option=orjson.OPT_INDENT_2))
