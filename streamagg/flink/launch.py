"""Starts the job: in this process, on a cluster, or by a person who is told how."""

import base64
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, NoReturn

import msgspec

from streamagg.errors import CheckpointError, SettingsError
from streamagg.flink import jars
from streamagg.flink.clients import SECRETS, java_settings
from streamagg.flink.cluster import Cluster
from streamagg.flink.moving import Handed, give_back, require_lent, take_over
from streamagg.kafka.admin import transaction_timeout_ms
from streamagg.model.settings import RunSettings
from streamagg.sinks.kafka.topic import TopicSink

JOB: Final = "io.streamagg.flink.Job"
LOCAL_JOB: Final = "io.streamagg.flink.LocalJob"
_SETTINGS: Final = "STREAMAGG_FLINK_SETTINGS"
"""Handed on in the environment, which other users of the machine cannot read."""
_IN_A_TRANSACTION: Final = 3
"""Checkpoints in the time that a transaction may last, for a restart takes some of it."""
_WORD_BYTES: Final = 4
"""Of what a session is called by in the state topic."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job is run."""

    parallelism: int
    checkpoint_ms: int
    checkpoints: Path | None = None
    """Where a local one keeps its checkpoints and savepoints; None: nowhere that lasts."""
    savepoint: str | None = None
    """Where it continues."""


def prepare(settings: RunSettings, plan: Plan) -> Handed | None:
    """Make topics, and shut out who counts for the group now; returns where the job goes on, if there is one.

    Raises TopicError, CheckpointError, and what Kafka answers.
    """
    # What periods hold is in Flink's state.
    sink = TopicSink(replace(settings, state_topic=None), lambda point: None)
    sink.make()
    handed = take_over(settings, continues=plan.savepoint is not None)
    anew = handed is None and plan.savepoint is None and settings.start.kind == "committed"
    if anew and sink.holds_results():
        raise CheckpointError(
            f"{settings.output} holds counts already: continue the job with --savepoint, use another"
            " --output, or start anew with --from earliest, which publishes windows again"
        )
    return handed


def run_here(settings: RunSettings, plan: Plan, handed: Handed | None, *, debug: bool) -> NoReturn:
    """Become the Java process that the job and its cluster run in; raises FlinkMissing and SettingsError."""
    command = _command(plan, debug=debug)
    os.execve(command[0], command, _environment(_begun(settings, plan, handed)))


def hand_back(settings: RunSettings, plan: Plan, *, debug: bool) -> None:
    """Let ``streamagg run`` go on where a job has stopped; without a savepoint, where it has not begun.

    Raises FlinkMissing, CheckpointError, and what Kafka answers.
    """
    require_lent(settings)
    handed = None
    if plan.savepoint is not None:
        TopicSink(settings, lambda point: None).make()
        handed = _read_back(settings, plan, debug=debug)
    give_back(settings, handed)


def _read_back(settings: RunSettings, plan: Plan, *, debug: bool) -> Handed:
    """Where a daemon goes on, as the savepoint of a job has it; what open periods hold is written meanwhile.

    Raises FlinkMissing, SettingsError, and CheckpointError if the savepoint cannot be read.
    """
    environment = _environment(_json(settings, session=token_hex(_WORD_BYTES)))
    command = [*_command(plan, debug=debug), "execution.state-recovery.ignore-unclaimed-state=true"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise CheckpointError(f"{plan.savepoint} was not read back: nothing is changed")
    return msgspec.json.decode(done.stdout, type=_Told).handed[0]


class _Told(msgspec.Struct):
    handed: list[Handed]


def _command(plan: Plan, *, debug: bool) -> list[str]:
    level = "info" if debug else "error"
    command = [jars.java(), f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}"]
    command += ["-cp", jars.built().class_path, LOCAL_JOB, f"env:{_SETTINGS}", str(plan.parallelism)]
    return [*command, *_configuration(plan)]


def _environment(settings: bytes) -> dict[str, str]:
    return {**os.environ, _SETTINGS: settings.decode()}


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


def submit(settings: RunSettings, plan: Plan, handed: Handed | None, address: str) -> str:
    """Run the job on a cluster; returns its id. Raises FlinkMissing, ClusterFailed and SettingsError."""
    cluster = Cluster(address)
    built = jars.built()
    run: dict[str, object] = {
        "entryClass": JOB,
        "parallelism": plan.parallelism,
        "programArgsList": ["base64:" + base64.b64encode(_begun(settings, plan, handed)).decode()],
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
    shown = msgspec.json.format(msgspec.json.encode(_without_secrets(_job(settings))), indent=2).decode()
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


def _without_secrets(job: dict[str, Any]) -> dict[str, Any]:
    client = {name: "***" if name in SECRETS else value for name, value in job["kafka"]["client"].items()}
    decode = {**job["decode"], "hash_seed": 0}
    return {**job, "decode": decode, "kafka": {**job["kafka"], "client": client}}


def _job(settings: RunSettings, **more: object) -> dict[str, Any]:
    """What the job is told."""
    kafka = replace(settings.kafka, client=java_settings(settings.kafka.client))
    return {**msgspec.to_builtins(replace(settings, kafka=kafka)), **more}


def _begun(settings: RunSettings, plan: Plan, handed: Handed | None) -> bytes:
    """What a job is told that begins now; raises SettingsError."""
    transaction_ms = transaction_timeout_ms(settings.kafka, settings.output)
    if plan.checkpoint_ms * _IN_A_TRANSACTION > transaction_ms:
        raise SettingsError(
            f"--checkpoint-interval must be at most {transaction_ms // _IN_A_TRANSACTION} ms: the brokers "
            f"end a transaction after {transaction_ms} ms (transaction.max.timeout.ms), and it has to last "
            "longer than from one checkpoint to the next."
        )
    return _json(settings, handed=handed, transaction_ms=transaction_ms)


def _json(settings: RunSettings, **more: object) -> bytes:
    return msgspec.json.encode(_job(settings, **more))
