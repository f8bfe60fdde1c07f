"""A record that kills whoever decodes it: found, set apart, and everything else counted."""

import json

import pytest

from tests.conftest import TopicFactory
from tests.integration.conftest import RunFactory
from tests.support.instances import wait_until
from tests.support.pipeline import Feed, made_records, read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
DEADLY = b'{"kills":"deadly"}'
"""The recount sees it as a record without fields: it is in no window either way."""


@pytest.fixture(autouse=True)
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMAGG_FAULT", "poison:deadly")


def letters_of(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Place and value of every poisonous record in a dead-letter topic."""
    found = []
    for letter in read_all(bootstrap, topic):
        headers = dict(letter.headers() or [])
        if headers["reason"] == b"poison":
            found.append((headers["offset"], letter.value()))
    return found


@pytest.mark.parametrize("letters", [True, False], ids=["dead letters", "only counted"])
def test_poison_is_narrowed_down_and_the_stream_goes_on(
    letters: bool, new_run: RunFactory, topic: TopicFactory
) -> None:
    run, dead = new_run(2), topic("letters")
    made = made_records(6_000, corrupt=0)
    feed = Feed(run.bootstrap, run.input, 2)
    feed.send([*made[:3_000], DEADLY, DEADLY, *made[3_000:]])
    flags = ["--dead-letter", dead] if letters else []
    stats = run.until_end("--unmarshallers", "2", *flags)
    assert stats["rejected"] == {"poison": 2}
    assert stats["records"] == 6_002
    assert stats["restarts"] == 0, "only unmarshallers died"
    run.check()
    assert letters_of(run.bootstrap, dead) == [(b"1500", DEADLY)] * 2 * letters


def test_a_killed_coordinator_finds_the_same_poison_again(new_run: RunFactory, topic: TopicFactory) -> None:
    run, dead = new_run(), topic("letters")
    made = made_records(6_000, corrupt=0)
    Feed(run.bootstrap, run.input).send([*made[:3_000], DEADLY, *made[3_000:]])
    with run.start("--unmarshallers", "1", "--dead-letter", dead) as instance:
        instance.wait_for("is rejected as poison")
        wait_until(lambda: bool(letters_of(run.bootstrap, dead)), "the dead letter")
        instance.kill()
    run.until_end("--unmarshallers", "1", "--dead-letter", dead)
    assert set(letters_of(run.bootstrap, dead)) == {(b"3000", DEADLY)}
    run.check()


def test_poison_at_the_live_end(new_run: RunFactory) -> None:
    run = new_run()
    feed = Feed(run.bootstrap, run.input)
    made = made_records(2_000, corrupt=0)
    with run.start("--unmarshallers", "1", "--idle-timeout", "300s") as instance:
        feed.send([*made[:1_000], DEADLY])
        instance.wait_for("is rejected as poison")
        feed.send(made[1_000:])
        last = json.loads(made[-1])["ts"] // 10 * 10 - 20
        wait_until(lambda: last in run.counts(), f"the window of {last}")
    run.until_end()
    run.check()
