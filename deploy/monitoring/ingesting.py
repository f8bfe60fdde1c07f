"""The row about ``streamagg ingest``."""

from typing import Final

from deploy.monitoring.panels import Query, Row, graph, per_second, quantile

INGEST: Final = Row(
    "Records by HTTP",
    (
        graph(
            "Acknowledged and rejected",
            "Records that are in the topic or on the disk, lines that are none, and bodies that were known.",
            Query(per_second("streamagg_ingest_records_total"), "acknowledged"),
            Query(per_second("streamagg_ingest_rejected_lines_total"), "rejected lines"),
            Query(per_second("streamagg_ingest_repeats_total"), "known bodies"),
        ),
        graph(
            "Requests",
            "Answers by route and class of status, and connections ended for what their clients did.",
            Query(
                per_second("streamagg_ingest_request_seconds_count", "route, status"), "{{route}} {{status}}"
            ),
            Query(per_second("streamagg_ingest_connections_ended_total", "reason"), "ended: {{reason}}"),
        ),
        graph(
            "From a request to its answer",
            "99 of 100 requests are answered sooner, and 99 of 100 groups of bodies are written sooner.",
            Query(quantile(0.99, "streamagg_ingest_request_seconds", by="status"), "{{status}}"),
            Query(quantile(0.99, "streamagg_ingest_commit_seconds"), "written"),
            unit="s",
        ),
        graph(
            "Bytes",
            "Of bodies as they come, maybe compressed, and of the records in them.",
            Query(per_second("streamagg_ingest_body_bytes_total"), "bodies"),
            Query(per_second("streamagg_ingest_record_bytes_total"), "records"),
            unit="Bps",
        ),
        graph(
            "Waiting to be written",
            "At the limit requests are answered with 503.",
            Query("sum(streamagg_ingest_waiting_bytes)", "waiting"),
            Query("sum(streamagg_ingest_waiting_limit_bytes)", "limit"),
            unit="bytes",
        ),
        graph(
            "Connections, failures and restarts",
            "Open connections, groups of bodies that were given up, and workers that died.",
            Query("sum(streamagg_ingest_connections)", "connections"),
            Query(per_second("streamagg_ingest_failed_commits_total"), "given up a second"),
            Query(per_second("streamagg_ingest_worker_restarts_total"), "restarts a second"),
        ),
    ),
)
