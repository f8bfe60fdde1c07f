"""Late and rejected records, as the metrics of a run tell of them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from streamagg.errors import SettingsError
from streamagg.serve.run_metrics import (
    BEGAN,
    CONSUMED,
    LATE,
    REJECTED,
    RunFigures,
    RunMetrics,
    figures_of,
    together,
)
from streamagg.serve.store.store import Store
from streamagg.settings.resolve import Resolver
from streamagg.telemetry.table import ROWS
from tests.serve.test_serve_http import serving
from tests.support.asgi import ask

PAGE = f"""\
# TYPE {CONSUMED} counter
{CONSUMED}{{partition="0"}} 900.0
{CONSUMED}{{partition="1"}} 100.0
{LATE}{{partition="0"}} 7.0
{LATE}{{partition="1"}} 5.0
{REJECTED}{{partition="0",reason="no_time"}} 3.0
{BEGAN} 1.7e+09
streamagg_no_such_thing{{odd="{{"}} x
"""


def test_the_names_are_those_of_the_run() -> None:
    assert {BEGAN, CONSUMED, LATE, REJECTED} <= {row.name for row in ROWS}


def test_a_page() -> None:
    assert figures_of(PAGE) == RunFigures(1.7e9, 1_000, 12, 3)
    assert figures_of("up 1\n") is None
    with pytest.raises(ValueError, match="could not convert"):
        figures_of(f"{BEGAN} x\n")


def test_several_instances() -> None:
    assert together([]) is None
    assert together([RunFigures(9, 1, 2, 3), RunFigures(7, 10, 20, 30)]) == RunFigures(7, 11, 22, 33)


@contextmanager
def page(text: str) -> Iterator[str]:
    """Where it is served."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


def test_who_answers_is_told_of_and_who_does_not_is_not(tmp_path: Path) -> None:
    found: list[RunFigures | None] = []
    told = threading.Event()

    def tell(figures: RunFigures | None) -> None:
        found.append(figures)
        told.set()

    with page(PAGE) as there, page("<html>") as other:
        asking = RunMetrics([there, other, "http://127.0.0.1:1/metrics"], tell)
        asking.start()
        assert told.wait(30)
        asking.stop()
    assert found == [RunFigures(1.7e9, 1_000, 12, 3)]
    store = Store(tmp_path / "store")
    served = serving(store)
    assert asyncio.run(ask(served.app, "/v1/status")).json["run"] is None
    served.standings.told(found[0])
    run = asyncio.run(ask(served.app, "/v1/status")).json["run"]
    assert run == {"since": 1.7e9, "consumed": 1_000, "late": 12, "rejected": 3}
    served.desk.close()
    store.close()


@pytest.mark.parametrize(
    "written", ["file:///etc/passwd", "127.0.0.1:9464", "http://me:secret@run/metrics", ""]
)
def test_what_is_no_address_of_a_page_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match="must be an address such as http"):
        Resolver({"serve_from": "visitors", "run_metrics": [written]}, {}).serve()
