"""What the Grafana dashboard shows; ``python -m deploy.monitoring.dashboard`` writes ``dashboard.json``.

The first row answers whether the counts are right and on time, the others why not.
"""

import json
from pathlib import Path
from typing import Final

from deploy.monitoring.counting import LAG_AND_TIME, THROUGHPUT, WINDOWS
from deploy.monitoring.ingesting import INGEST
from deploy.monitoring.panels import Panel, Query, Row, dashboard, graph, quantile, stat
from deploy.monitoring.running import FACTS, KAFKA, PROCESSES, QUEUES, STAGES
from deploy.monitoring.serving import SERVE

FILE: Final = Path(__file__).with_name("dashboard.json")
_OF_LEADER: Final = " and on (job, instance) streamagg_leader == 1"
"""An instance that has led before still shows the last window that it published."""
DELAY: Final = "streamagg_publication_delay_seconds"
RIGHT_AND_ON_TIME: Final = Row(
    "Are the counts right and on time?",
    (
        stat(
            "Alerts that fire",
            "Of the rules in alerts.yaml; what to do about each is in docs/runbook.md.",
            Query('count(ALERTS{alertname=~"Streamagg.*", alertstate="firing", job="$job"}) or vector(0)'),
            red_from=1,
        ),
        stat(
            "Leaders",
            "One instance of a group reads and publishes, the others stand by.",
            Query("sum(streamagg_leader)"),
            steps=((None, "red"), (1, "green"), (2, "red")),
        ),
        stat(
            "Next count is overdue by",
            "Since the next window should have been published, by the wall clock. It grows in silence, when"
            " there is nothing to publish, and is huge while records of the past are read.",
            Query(
                "clamp_min(time() - max(streamagg_last_window_start_timestamp_seconds"
                " + 2 * streamagg_granularity_seconds + streamagg_max_lag_seconds), 0)"
            ),
            unit="s",
            orange_from=30,
            red_from=120,
        ),
        stat(
            "Records behind",
            "Between what is applied and the ends of the partitions.",
            Query("sum(streamagg_partition_lag_records)"),
            unit="short",
        ),
        stat(
            "End of window to count",
            "99 of 100 counts of the last ten minutes were published so soon after the end of their window.",
            Query(quantile(0.99, DELAY, "10m")),
            unit="s",
        ),
        stat(
            "Late or rejected",
            "Share of the records in the time shown that is in no count.",
            Query(
                "(sum(increase(streamagg_records_late_total[$__range]))"
                " + sum(increase(streamagg_records_rejected_total[$__range])))"
                " / sum(increase(streamagg_records_consumed_total[$__range]))"
            ),
            unit="percentunit",
            orange_from=0.001,
            red_from=0.01,
        ),
        stat(
            "Records unaccounted for",
            "Read, and in none of the counters: always 0.",
            Query(
                "sum(streamagg_records_consumed_total) - sum(streamagg_records_counted_total)"
                " - sum(streamagg_records_late_total) - sum(streamagg_records_rejected_total)"
                " - sum(streamagg_records_published_before_total)"
                " - sum(streamagg_records_read_again_total)"
                " - sum(streamagg_records_set_aside) - sum(streamagg_records_waiting)"
            ),
            steps=((None, "red"), (0, "green"), (1, "red")),
        ),
        stat(
            "Counts that are estimates",
            "Windows with more users than --max-users, in the time shown.",
            Query('sum(increase(streamagg_windows_published_total{kind="approximate"}[$__range]))'),
            orange_from=1,
        ),
        graph(
            "Unique users of a window",
            "The counts as they are published.",
            Query(f"max(streamagg_last_window_unique_users{_OF_LEADER})", "unique users"),
            Query(f"max(streamagg_last_window_records{_OF_LEADER})", "records"),
            width=12,
        ),
        graph(
            "From the end of a window to its publication",
            "By the wall clock: at least max lag on live records, and up to years for a backlog.",
            Query(
                quantile(0.5, DELAY, "10m"),
                "half of the windows",
            ),
            Query(
                quantile(0.99, DELAY, "10m"),
                "99 %",
            ),
            Query(
                f"sum(rate({DELAY}_sum[10m])) / sum(rate({DELAY}_count[10m]))",
                "mean",
            ),
            unit="s",
            width=12,
        ),
    ),
)

ROWS: Final = (
    RIGHT_AND_ON_TIME,
    THROUGHPUT,
    LAG_AND_TIME,
    WINDOWS,
    STAGES,
    QUEUES,
    PROCESSES,
    KAFKA,
    INGEST,
    SERVE,
    FACTS,
)


def built() -> Panel:
    """The dashboard in Grafana's JSON model."""
    return dashboard("streamagg", "streamagg", ROWS)


def text() -> str:
    """``dashboard.json`` as it is committed."""
    return json.dumps(built(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
