"""Reads the metrics of a running instance."""

import re
from collections.abc import Callable
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.support.instances import READY_S, Instance, wait_until

SERVED: Final = ("--http", "127.0.0.1:0")
"""Flags of a run whose metrics are to be read."""
_URL: Final = re.compile(r"metrics at (http://\S+)")
_PREFIX: Final = "streamagg_"


class Scrape:
    """All samples of one moment; names without ``streamagg_``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of the samples that bear these labels among others; 0 without any."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == _PREFIX + name and labels.items() <= sample.labels.items()
        )

    def by(self, label: str, name: str) -> dict[str, float]:
        """The samples of a metric by the values of one of its labels, added up."""
        values = {sample.labels[label] for sample in self._samples if sample.name == _PREFIX + name}
        return {value: self(name, **{label: value}) for value in sorted(values)}

    def has(self, name: str) -> bool:
        """There is a sample of this metric."""
        return any(sample.name == _PREFIX + name for sample in self._samples)

    def labels(self, name: str) -> dict[str, str]:
        """The labels of a metric's first sample."""
        return next(sample.labels for sample in self._samples if sample.name == _PREFIX + name)


def scrape(instance: Instance) -> Scrape:
    """What an instance started with ``SERVED`` shows."""
    instance.wait_for("metrics at ")
    found = _URL.search(instance.log)
    assert found, instance.log
    with urlopen(found[1], timeout=READY_S) as response:
        return Scrape(response.read().decode())


def scrape_until(instance: Instance, condition: Callable[[Scrape], bool], what: str) -> Scrape:
    """The first scrape that fulfils the condition."""
    last: list[Scrape] = []

    def fulfilled() -> bool:
        last[:] = [scrape(instance)]
        return condition(last[0])

    wait_until(fulfilled, what)
    return last[0]
