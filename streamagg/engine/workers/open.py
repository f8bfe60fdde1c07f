"""Opens workers: as processes, or in this one where that is as fast."""

from collections.abc import Sequence
from typing import Final

from streamagg.decode import Decoder
from streamagg.engine.workers.contract import Workers
from streamagg.engine.workers.inline import InlineWorkers
from streamagg.engine.workers.supervisor import ProcessWorkers
from streamagg.engine.workers.unmarshaller import open_unmarshaller
from streamagg.model.messages import AggregatorSetup, UnmarshallerSetup
from streamagg.model.settings import PipelineSettings
from streamagg.sources.contract import UNKNOWN_END, Unit
from streamagg.sources.open import open_source

_WORTH: Final[dict[Unit, int]] = {"bytes": 64 << 20, "records": 200_000}
"""Less is read in this process. Two unmarshallers on two busy cores took as long as this process for 128 MiB
of records of 180 bytes (1.3 s), and twice as long for as much of 2.2 KB (1.3 and 0.7 s): there the bounds are
on the low side."""


def open_workers(
    pipeline: PipelineSettings,
    unmarshaller: UnmarshallerSetup,
    aggregator: AggregatorSetup | None = None,
    amounts: Sequence[int] | None = None,
) -> Workers:
    """As many as the settings say; without the setup of an aggregator there is none.

    ``amounts``: how many offsets there are to read, by partition; None: no end of them.
    """
    if pipeline.inline or not (
        amounts is None or _worth_processes(amounts, open_source(unmarshaller.source).unit)
    ):
        inline = open_unmarshaller(unmarshaller, Decoder(unmarshaller.decode))
        return InlineWorkers([inline], [] if aggregator is None else [aggregator])
    return ProcessWorkers(
        [unmarshaller] * pipeline.unmarshallers,
        [] if aggregator is None else [aggregator] * pipeline.aggregators,
        pipeline.max_restarts,
    )


def _worth_processes(amounts: Sequence[int], unit: Unit) -> bool:
    # A stream may be standard input, which is this process's own.
    return UNKNOWN_END not in amounts and sum(amounts) >= _WORTH[unit]
