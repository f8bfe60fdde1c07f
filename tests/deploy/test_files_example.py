"""docker/compose.files.yaml without containers: its commands and variables as processes, with PostgreSQL."""

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.deploy.compose import FILES_PATH, mounts, placed, services, shell, started
from tests.support.broker import HOST, free_port
from tests.support.instances import wait_until
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

SERVICES = services(FILES_PATH)
SPOOL = "/var/spool/streamagg"
PATIENCE_S = 120.0
"""A window and the lag behind it, and a machine that is busy with other tests."""


@pytest.fixture
def server(postgres: Postgres) -> Postgres:
    """With the user and the database of the example, and what its image does at first."""
    user = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    postgres.run(f"CREATE ROLE {user} LOGIN SUPERUSER", f"CREATE DATABASE {user} OWNER {user}")
    (init,) = mounts(SERVICES["postgres"]).values()
    postgres.run(init.read_text(), database=user)
    return postgres


def queries() -> dict[str, str]:
    """What Grafana asks, by the titles of panels, for the last day."""
    board = json.loads(mounts(SERVICES["grafana"])["/etc/grafana/counts/counts.json"].read_text())
    (job,) = board["templating"]["list"]
    asked = {panel["title"]: panel["targets"][0]["rawSql"] for panel in board["panels"]} | {
        "jobs": job["query"]
    }
    day = r"\1 BETWEEN now() - interval '1 day' AND now()"
    return {title: re.sub(r"\$__timeFilter\((\w+)\)", day, sql) for title, sql in asked.items()}


def test_what_is_posted_is_in_grafana(server: Postgres, tmp_path: Path) -> None:
    here = {"ingest:8080": f"{HOST}:{free_port()}", "postgres:5432": f"{HOST}:{server.port}"}
    here["0.0.0.0:8080"] = here["ingest:8080"]
    spool = tmp_path / "spool"
    spool.mkdir()
    commands = {
        "ingest": ["streamagg", *SERVICES["ingest"]["command"]],
        "streamagg": ["streamagg", *SERVICES["streamagg"]["command"]],
        "producer": shell(SERVICES["producer"]),
    }
    with ExitStack() as running:
        for name, command in commands.items():
            service = SERVICES[name]
            words = placed(command, here, {SPOOL: spool, **mounts(service)})
            # With windows as they are the test would wait for ten seconds.
            variables = {**service.get("environment", {}), "STREAMAGG_GRANULARITY": "1s"}
            running.enter_context(started(words, variables, tmp_path / f"{name}.log"))
        source = yaml.safe_load(mounts(SERVICES["grafana"])[_source()].read_text())["datasources"][0]
        database = source["jsonData"]["database"]
        wait_until(lambda: published(server, database), "windows are published", PATIENCE_S)
        with psycopg.connect(server.url(database, source["user"]), autocommit=True) as reader:
            look(reader)
        wait_until(lambda: any(spool.glob("done/*/*.jsonl")), "files that are counted are moved", PATIENCE_S)


def _source() -> str:
    return "/etc/grafana/provisioning/datasources/counts.yaml"


def published(server: Postgres, database: str) -> bool:
    """The tables are there, and some windows in them."""
    there = server.run("SELECT to_regclass('streamagg_results')", database=database)
    if there == [(None,)]:
        return False
    counted = "SELECT count(*) FROM streamagg_results WHERE calendar IS NULL AND key = ''"
    ((windows,),) = server.run(counted, database=database)
    return bool(windows >= 3)


def look(reader: "psycopg.Connection[Any]") -> None:
    """As the user that Grafana is."""
    asked = queries()
    ((job,),) = reader.execute(asked["jobs"]).fetchall()
    found = {title: reader.execute(sql.replace("$job", job)).fetchall() for title, sql in asked.items()}
    ((users,),) = found["Unique users, freshest window"]
    assert users > 0
    ((age_s,),) = found["The freshest window ended before"]
    assert 0 < age_s < 60
    assert len(found["Unique users of windows"]) >= 3
    countries = {key for _, key, _ in found["Unique users of groups"]}
    assert 1 < len(countries) <= 10
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("DELETE FROM streamagg_results")
