"""The dashboard of what is in PostgreSQL: its queries run on tables that the output has made and filled."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from deploy.grafana.counts import DATASOURCE, FILE, JOBS, PANELS, text
from streamagg.sinks.postgres.schema import schema
from tests.support.postgres import Postgres

JOB = "streamagg"
FOLDER = FILE.parent
INSERT = """
INSERT INTO streamagg_results VALUES
  (%(job)s, %(calendar)s, %(ts)s, %(ts)s + %(length)s::interval, '1 min', %(group)s, %(key)s, %(cnt)s,
   %(cnt)s * 2, '{}', %(partial)s, false, NULL, 2, false)
"""


def of(title: str) -> str:
    """The query of a panel."""
    (panel,) = [panel for panel in PANELS if panel["title"] == title]
    return str(panel["targets"][0]["rawSql"])


def filled(sql: str) -> str:
    """As Grafana sends it for a range of ten minutes."""
    between = r"\1 BETWEEN '2016-07-14T00:00:00Z' AND '2016-07-14T00:10:00Z'"
    return re.sub(r"\$__timeFilter\((\w+)\)", between, sql).replace("$job", JOB)


@pytest.fixture
def connection(postgres: Postgres, database: str) -> Any:
    """To tables with 20 windows of two groups, a day, and another job."""
    with psycopg.connect(postgres.url(database), autocommit=True) as opened:
        opened.execute(schema())
        opened.execute("INSERT INTO streamagg_jobs VALUES ('other', 1), (%s, 1)", [JOB])
        for minute in range(20):
            for key, group, users in (
                ("", None, 9),
                ('["DE"]', '{"country": "DE"}', 7),
                ('["FR"]', '{"country": "FR"}', 3),
            ):
                add(opened, minute, users + minute, key, group, partial=minute == 4)
        add(opened, 0, 77, calendar="day", length="1 day")
        add(opened, 30, 1, job="other")
        yield opened


def add(
    connection: Any, minute: int, users: int, key: str = "", group: str | None = None, **more: Any
) -> None:
    row = {"job": JOB, "calendar": None, "length": "1 min", "partial": False, **more}
    ts = datetime(2016, 7, 14, 0, minute, tzinfo=UTC)
    connection.execute(INSERT, row | {"ts": ts, "cnt": users, "key": key, "group": group})


def test_the_committed_file_is_what_its_source_makes() -> None:
    assert FILE.read_text("utf-8") == text(), "run: .venv/bin/python -m deploy.grafana.counts"


def test_its_queries_say_what_is_in_the_tables(connection: Any) -> None:
    def rows(sql: str) -> list[Any]:
        return list(connection.execute(filled(sql)).fetchall())

    assert rows(JOBS) == [("other",), (JOB,)]
    assert rows(of("Unique users, freshest window")) == [(28,)]
    assert rows(of("Users of the last day that is over")) == [(77,)]
    ((age,),) = rows(of("The freshest window ended before"))
    assert age > 0
    assert [users for _, users in rows(of("Unique users of windows"))] == list(range(9, 20))
    groups = rows(of("Unique users of groups"))
    assert sorted(key for _, key, _ in groups) == ['["DE"]'] * 11 + ['["FR"]'] * 11
    ((_, users, is_partial, *_),) = rows(of("Windows that are not what they would be"))
    assert (users, is_partial) == (13, True)


def test_what_is_provisioned_goes_together() -> None:
    (source,) = yaml.safe_load(Path(FOLDER, "datasource.yaml").read_text())["datasources"]
    assert (source["type"], source["uid"]) == (DATASOURCE["type"], DATASOURCE["uid"])
    (provider,) = yaml.safe_load(Path(FOLDER, "dashboards.yaml").read_text())["providers"]
    assert provider["folder"] == "counts"
    assert {panel["datasource"]["uid"] for panel in json.loads(text())["panels"]} == {source["uid"]}
