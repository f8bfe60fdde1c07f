"""What workers report stays when they are replaced."""

from streamagg.engine.workers.heartbeat_totals import HeartbeatTotals
from streamagg.model.measured import ClientNumbers, RoundTrip, StageTimes
from streamagg.model.messages import Heartbeat
from streamagg.telemetry.snapshot import ProcessSample, WorkersSample


def heartbeat(batches: int = 0, *, cpu_s: float = 0.0, rss: int = 1, errors: int = 0) -> Heartbeat:
    """Of a worker that has decoded so many batches, each for a second."""
    times = StageTimes()
    for _ in range(batches):
        times.took("decode", 1.0)
    return Heartbeat(cpu_s, rss, times, ClientNumbers({"_TRANSPORT": errors}, {"1": RoundTrip(0.1, 0.2)}))


def decoded(sample: WorkersSample) -> float:
    times = sample.times.by_stage.get("decode")
    return 0 if times is None else times.sum


def unmarshaller() -> HeartbeatTotals:
    ledger = HeartbeatTotals()
    ledger.begin("unmarshaller-0", "unmarshaller")
    return ledger


def test_counters_never_go_back() -> None:
    """Three lives; the last heartbeat of each counts, whatever the next one begins with."""
    ledger, seen = unmarshaller(), []
    for lasted in ((1, 3), (2,), (4, 5)):
        for batches in lasted:
            ledger.heard("unmarshaller-0", heartbeat(batches, cpu_s=batches, errors=batches))
            sample = ledger.sample({}, [])
            seen.append(
                (
                    decoded(sample),
                    sample.processes["unmarshaller-0"].cpu_s,
                    sample.readers.errors["_TRANSPORT"],
                )
            )
        ledger.ended("unmarshaller-0", "signal")
        ledger.begin("unmarshaller-0", "unmarshaller")
        seen.append(seen[-1])
        assert decoded(ledger.sample({}, [])) == seen[-1][0]
    assert seen == sorted(seen)
    assert seen[-1] == (3 + 2 + 5, 3 + 2 + 5, 3 + 2 + 5)


def test_what_a_dead_worker_held_is_gone() -> None:
    ledger = HeartbeatTotals()
    ledger.begin("aggregator-0", "aggregator")
    ledger.heard("aggregator-0", Heartbeat(1.0, 50, StageTimes(), users={7: 3}, groups={7: 2}, held_bytes=24))
    assert (ledger.sample({}, []).users, ledger.sample({}, []).groups) == ({7: 3}, {7: 2})
    assert ledger.rss_bytes() == 50
    ledger.ended("aggregator-0", "exit")
    assert ledger.rss_bytes() == 0
    assert ledger.sample({}, []) == WorkersSample(
        configured={"aggregator": 1},
        alive={"aggregator": 1},
        restarts={("aggregator", "exit"): 1},
        processes={"aggregator-0": ProcessSample(1.0, None)},
    )


def test_restarts_are_counted_by_kind_and_cause() -> None:
    ledger = unmarshaller()
    ledger.begin("aggregator-0", "aggregator")
    for cause in ("signal", "stuck", "signal"):
        ledger.ended("unmarshaller-0", cause)  # type: ignore[arg-type]
    ledger.ended("aggregator-0", "exit")
    assert ledger.sample({}, []).restarts == {
        ("unmarshaller", "signal"): 2,
        ("unmarshaller", "stuck"): 1,
        ("aggregator", "exit"): 1,
    }


def test_shards_of_one_window_add_up() -> None:
    ledger = HeartbeatTotals()
    for shard, users in enumerate(({7: 3, 8: 1}, {8: 5})):
        ledger.begin(f"aggregator-{shard}", "aggregator")
        held = Heartbeat(0.0, 1, StageTimes(), users=users, groups=users, held_bytes=10)
        ledger.heard(f"aggregator-{shard}", held)
    alive = {f"aggregator-{shard}": ProcessSample(0.0, 1) for shard in range(2)}
    assert ledger.sample({}, []) == WorkersSample(
        configured={"aggregator": 2},
        alive={"aggregator": 2},
        processes=alive,
        users={7: 3, 8: 6},
        groups={7: 3, 8: 6},
        held_bytes=20,
    )


def test_the_silent_are_not_alive() -> None:
    ledger = unmarshaller()
    ledger.begin("unmarshaller-1", "unmarshaller")
    ledger.begin("aggregator-0", "aggregator")
    sample = ledger.sample({}, ["unmarshaller-1", "aggregator-0"])
    assert sample.configured == {"unmarshaller": 2, "aggregator": 1}
    assert sample.alive == {"unmarshaller": 1, "aggregator": 0}
