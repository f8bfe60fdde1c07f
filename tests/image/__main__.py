"""Builds the image as the Dockerfile says and runs it on a real Kafka: ``python -m tests.image``.

Needs root and the network, no container engine, and a minute. Exits with 1 when something is not as it
should be, and with 0 and a sentence where this machine does not allow it.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from streamagg.kafka.admin import ensure_topic
from streamagg.model.settings import KafkaSettings
from tests.image.build import Built, build
from tests.image.container import Container, size_mb, status
from tests.image.overlay import missing
from tests.support import jars
from tests.support.broker import HOST, Broker, free_port
from tests.support.instances import wait_until
from tests.support.pipeline import Feed, made_records
from tests.support.prometheus import fetch

USER: Final = "10001"
RECORDS: Final = 5_000
PROGRAMS: Final = ("pip", "gcc")
"""What the environment in the image must not hold."""
OF_EXTRAS: Final = ("duckdb", "httptools", "psycopg", "pyarrow", "uvicorn", "uvloop", "watchdog")


def check(what: str, right: bool) -> None:
    """Say it; raises SystemExit when it is wrong."""
    print(f"{'right' if right else 'WRONG'}: {what}", flush=True)
    if not right:
        raise SystemExit(1)


def look_at(image: Built) -> None:
    """What was built."""
    root = image.root
    check("the health check, the entry point and the user are set", bool(image.health and image.entry))
    check(f"not root, by number: {image.user}", image.user == f"{USER}:{USER}")
    found = [name for name in PROGRAMS if root.path(f"/opt/streamagg/bin/{name}").exists()]
    check("no pip and no compiler beside the program", not found)
    parts = sorted(path.name for path in root.path("/opt/streamagg").rglob("streamagg/**/_*.abi3.so"))
    wanted = [f"_{name}.abi3.so" for name in ("csv", "fetcher", "scanner", "stepper")]
    check(f"the parts in C are there: {', '.join(parts)}", parts == wanted)
    owner = root.path("/var/spool/streamagg").stat()
    check(f"the spool is {owner.st_uid}'s", f"{owner.st_uid}:{owner.st_gid}" == image.user)
    print(f"/opt/streamagg: {size_mb(root.path('/opt/streamagg')):.0f} MB")


def run(image: Built, bootstrap: str, scratch: Path) -> None:
    """As a container on a Kafka, from the first health check to SIGTERM."""
    kafka = KafkaSettings(bootstrap)
    ensure_topic(kafka, "visits", partitions=2, config={})
    Feed(bootstrap, "visits", 2).send(made_records(RECORDS))
    address = f"{HOST}:{free_port()}"
    settings = {
        "STREAMAGG_BOOTSTRAP_SERVERS": bootstrap,
        "STREAMAGG_HTTP": address,
        "STREAMAGG_GRANULARITY": "10s",
    }
    arguments = ["run", "--input", "visits", "--output", "visitors"]
    with Container(image, arguments, settings, scratch / "log") as container:
        check("not healthy before it answers", not container.healthy())
        wait_until(lambda: not container.running or container.healthy("--ready"), "ready")
        check("ready", container.running)
        check("healthy", container.healthy())
        kernel = status(container.pid)
        check(f"it runs as {kernel['Uid'].split()[0]}", set(kernel["Uid"].split()) == {USER})
        check("without capabilities", {kernel[f"Cap{each}"] for each in ("Eff", "Prm", "Bnd")} == {"0" * 16})
        check("and cannot get any", kernel["NoNewPrivs"] == "1")
        wait_until(lambda: consumed(address) == RECORDS, "all records, in its metrics")
        found = container.execute(["python", "-c", f"import {', '.join(OF_EXTRAS)}"])
        check(f"what extras need is there: {', '.join(OF_EXTRAS)}{found.stderr}", found.returncode == 0)
        check("nothing can be written", container.execute(["touch", "/tmp/here"]).returncode != 0)
        code = container.stop()
        check(f"SIGTERM ends it: {code}", code == 0)
        lines = [json.loads(line) for line in container.log.splitlines() if line.startswith("{")]
        check("its last line says that it is finished", lines[-1]["event"] == "finished")
        check("no error", "error" not in {line["level"] for line in lines})


def consumed(address: str) -> float:
    """Records, of all partitions."""
    text = fetch(f"http://{address}/metrics")
    return sum(map(float, re.findall(r"(?m)^streamagg_records_consumed_total{.*} (.*)$", text)))


def main() -> int:
    """Build and run; see above."""
    if reason := missing() or jars.missing():
        print(f"The image cannot be built and tried here: {reason}.")
        return 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        image = build(scratch)
        look_at(image)
        broker = Broker(scratch / "broker", small=True).start()
        try:
            run(image, broker.address, scratch)
        finally:
            broker.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
