"""Starts the job: in this process, on a cluster, or by a person who is told how."""

import base64
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from streamagg.errors import CheckpointError, SettingsError
from streamagg.flink import jars
from streamagg.flink.cluster import Cluster
from streamagg.kafka.passthrough import SECRETS
from streamagg.model.settings import RunSettings
from streamagg.sinks.kafka.topic import TopicSink

JOB: Final = "io.streamagg.flink.Job"
LOCAL_JOB: Final = "io.streamagg.flink.LocalJob"
_SETTINGS: Final = "STREAMAGG_FLINK_SETTINGS"
"""Handed on in the environment, which other users of the machine cannot read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job is run."""

    parallelism: int
    checkpoint_ms: int
    checkpoints: Path | None = None
    """Where a local one keeps its checkpoints and savepoints; None: nowhere that lasts."""
    savepoint: str | None = None
    """Where it continues."""


def make_topics(settings: RunSettings, plan: Plan) -> None:
    """All topics that are written to; raises TopicError, CheckpointError, and what Kafka answers."""
    # What periods hold is in Flink's state.
    sink = TopicSink(replace(settings, state_topic=None), lambda point: None)
    sink.make()
    if settings.start.kind == "committed" and plan.savepoint is None and sink.holds_results():
        raise CheckpointError(
            f"{settings.output} holds counts already: continue the job with --savepoint, use another"
            " --output, or start anew with --from earliest, which publishes windows again"
        )


def run_here(settings: RunSettings, plan: Plan, *, debug: bool) -> NoReturn:
    """Become the Java process that the job and its cluster run in; raises FlinkMissing and SettingsError."""
    java = jars.java()
    level = "info" if debug else "error"
    command = [java, f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}", "-cp", jars.built().class_path]
    command += [LOCAL_JOB, f"env:{_SETTINGS}", str(plan.parallelism), *_configuration(plan)]
    os.execve(java, command, {**os.environ, _SETTINGS: _json(settings).decode()})


def _configuration(plan: Plan) -> Iterator[str]:
    """Settings of Flink for a local cluster."""
    values = {
        "execution.checkpointing.interval": f"{plan.checkpoint_ms} ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.incremental": "true",
        "state.backend.type": "rocksdb",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "5",
        "restart-strategy.fixed-delay.delay": "1 s",
        "rest.bind-port": "0",
    }
    if plan.checkpoints is not None:
        place = plan.checkpoints.resolve().as_uri()
        values |= {"execution.checkpointing.dir": place, "execution.checkpointing.savepoint-dir": place}
    if plan.savepoint is not None:
        values["execution.state-recovery.path"] = _newest(plan.savepoint)
    return (f"{name}={value}" for name, value in values.items())


def _newest(savepoint: str) -> str:
    """A savepoint or checkpoint as it is named, or the newest one below a directory."""
    place = Path(savepoint)
    if re.match(r"\w+:/", savepoint):
        return savepoint
    if (place / "_metadata").is_file():
        return place.resolve().as_uri()
    found = sorted(place.rglob("_metadata"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise SettingsError(f"--savepoint {savepoint} holds no savepoint and no checkpoint.")
    return found[-1].parent.resolve().as_uri()


def submit(settings: RunSettings, plan: Plan, address: str) -> str:
    """Run the job on a cluster; returns its id. Raises FlinkMissing, ClusterFailed and SettingsError."""
    cluster = Cluster(address)
    built = jars.built()
    run: dict[str, object] = {
        "entryClass": JOB,
        "parallelism": plan.parallelism,
        "programArgsList": ["base64:" + base64.b64encode(_json(settings)).decode()],
        "flinkConfiguration": {"execution.checkpointing.interval": f"{plan.checkpoint_ms} ms"},
    }
    if plan.savepoint is not None:
        run["savepointPath"] = plan.savepoint
    with closing(cluster), tempfile.TemporaryDirectory() as scratch:
        jar = Path(scratch) / built.own.name
        built.write_jar(jar)
        return cluster.submit(jar, run)


def by_hand(settings: RunSettings, plan: Plan) -> str:
    """The settings as the job takes them, the command that runs it, and SQL that comes close."""
    shown = msgspec.json.format(_json(_without_secrets(settings)), indent=2).decode()
    words = ["flink", "run", "-d", "-p", str(plan.parallelism), "-c", JOB]
    words.append(f"-Dexecution.checkpointing.interval={plan.checkpoint_ms}ms")
    words += [] if plan.savepoint is None else ["-s", plan.savepoint]
    command = shlex.join([*words, "streamagg-flink.jar", "settings.json"])
    return "\n".join([shown, "", f"# {command}", *(f"-- {line}" for line in _sql(settings))])


def _sql(settings: RunSettings) -> Iterator[str]:
    window, decode = settings.window, settings.decode
    if decode.group_by or decode.measures or decode.user_field is None or window.offset_ms:
        yield "No short SQL says about the same."
        return
    yield "About the same in SQL, but late by the watermark of the query, and texts instead of hashes:"
    yield f"SELECT window_start, COUNT(DISTINCT `{decode.user_field}`) FROM TABLE(TUMBLE("
    yield f"  TABLE `{settings.input}`, DESCRIPTOR(`{decode.time_field}`),"
    yield f"  INTERVAL '{window.granularity_ms / 1000:.3f}' SECOND)) GROUP BY window_start, window_end"


def _without_secrets(settings: RunSettings) -> RunSettings:
    client = {name: "***" if name in SECRETS else value for name, value in settings.kafka.client.items()}
    decode = replace(settings.decode, hash_seed=0)
    return replace(settings, decode=decode, kafka=replace(settings.kafka, client=client))


def _json(settings: RunSettings) -> bytes:
    return msgspec.json.encode(settings)
