"""The row about ``streamagg serve``."""

from typing import Final

from deploy.monitoring.panels import Query, Row, graph, per_second, quantile

SERVE: Final = Row(
    "Questions and answers",
    (
        graph(
            "Behind",
            "Records that wait to be stored, and instances that do not follow what is published.",
            Query("sum by (instance) (streamagg_serve_behind_records)", "{{instance}}"),
            Query("sum by (instance) (1 - streamagg_serve_following)", "{{instance}} does not follow"),
        ),
        graph(
            "Age of the freshest window",
            "By the wall clock; it is huge while records of the past are read.",
            Query("time() - streamagg_serve_freshest_window_timestamp_seconds", "{{instance}}"),
            unit="s",
        ),
        graph(
            "Stored",
            "Records and sketches, and records of other forms, which are left out.",
            Query(per_second("streamagg_serve_records_total"), "stored"),
            Query(per_second("streamagg_serve_unreadable_records_total"), "left out"),
        ),
        graph(
            "Answers",
            "By route and class of status, connections ended for what their clients did, and questions that"
            " were one too many or interrupted.",
            Query(
                per_second("streamagg_serve_request_seconds_count", "route, status"), "{{route}} {{status}}"
            ),
            Query(per_second("streamagg_serve_connections_ended_total", "reason"), "ended: {{reason}}"),
            Query(per_second("streamagg_serve_questions_refused_total"), "refused"),
            Query(per_second("streamagg_serve_questions_cancelled_total"), "interrupted"),
        ),
        graph(
            "From a question to its answer",
            "99 of 100 are answered sooner.",
            Query(quantile(0.99, "streamagg_serve_request_seconds", by="route"), "{{route}}"),
            unit="s",
        ),
        graph(
            "Clients and questions",
            "Open connections, clients that listen, those that were dropped, and questions at this moment.",
            Query("sum(streamagg_serve_connections)", "connections"),
            Query("sum(streamagg_serve_live_clients)", "listening"),
            Query(per_second("streamagg_serve_live_dropped_total"), "dropped a second"),
            Query("sum(streamagg_serve_questions)", "questions"),
        ),
        graph(
            "Store",
            "Size of its files.",
            Query("sum by (instance) (streamagg_serve_store_bytes)", "{{instance}}"),
            unit="bytes",
        ),
    ),
)
