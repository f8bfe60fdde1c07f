"""``advise`` on real Kafka: each max lag loses what a recount of the topic with it loses."""

from dataclasses import replace
from typing import Any

import pytest

from streamagg.engine.advise import Advice, advise, extents
from streamagg.engine.workers import open as opening
from streamagg.model.settings import AdviseSettings, KafkaSettings, PipelineSettings, WindowSettings
from streamagg.tools.comparison import VerifySettings
from streamagg.tools.verify import recount_topic
from tests.conftest import TopicFactory
from tests.support.pipeline import DECODE, Feed, made_records, record

pytestmark = pytest.mark.kafka
WINDOW = WindowSettings(10_000, 3_000, max_lag_ms=4_000, max_jump_ms=15_000)
T0 = 1_468_244_380


def advice_on(broker: str, topic: str, **more: Any) -> Advice:
    settings = AdviseSettings(topic, window=WINDOW, kafka=KafkaSettings(broker), **more)
    return advise(settings, extents(settings), lambda done, records: None)


def check(advice: Advice, broker: str, topic: str) -> None:
    """Against the independent recount of ``verify``, max lag by max lag."""
    for max_lag_ms in (0, 4_000, 10_000, 30_000):
        window = replace(WINDOW, max_lag_ms=max_lag_ms)
        settings = VerifySettings(topic, "unused", window, DECODE, KafkaSettings(broker))
        recount = recount_topic(settings, lambda done, records: None)
        assert advice.lateness.lost()[max_lag_ms] == recount.late
        assert (advice.records, advice.lateness.accepted) == (
            recount.consumed,
            recount.counted + recount.late,
        )
        assert advice.rejected == recount.rejected


@pytest.mark.parametrize("unmarshallers", [0, 2], ids=["inline", "processes"])
def test_several_partitions(
    unmarshallers: int, broker: str, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a day is missing far into the log: there the reader goes back to look at timestamps."""
    monkeypatch.setitem(opening._WORTH, "records", 0)
    name = topic("advise", partitions=3)
    tomorrow = [record(T0 + 86_400 + i / 10, f"u{i}") for i in range(300)]
    Feed(broker, name, 3).send([*made_records(12_000, corrupt=0.01), *tomorrow])
    pipeline = PipelineSettings(unmarshallers=max(1, unmarshallers), inline=not unmarshallers)
    advice = advice_on(broker, name, pipeline=pipeline)
    assert advice.lateness.lost()[4_000] > 100
    check(advice, broker, name)


def test_from_a_time_and_an_empty_partition(broker: str, topic: TopicFactory) -> None:
    name = topic("advise", partitions=2)
    feed = Feed(broker, name, 2)
    for second in range(20):
        feed.enqueue(record(T0 + second), partition=0, timestamp_ms=1_700_000_000_000 + second)
    feed.flush()
    pipeline = PipelineSettings(inline=True)
    assert advice_on(broker, name, pipeline=pipeline).records == 20
    assert advice_on(broker, name, pipeline=pipeline, start_ms=1_700_000_000_015).records == 5
    assert advice_on(broker, name, pipeline=pipeline, start_ms=1_700_000_000_020).records == 0
