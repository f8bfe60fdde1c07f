"""The rows about stages, queues, processes and Kafka."""

from typing import Final

from deploy.monitoring.panels import Query, Row, added, graph, per_second, quantile, states, table

STAGES: Final = Row(
    "Stages",
    (
        graph(
            "Time in each stage",
            "Seconds a second, all processes together: 1 is one core, or one process that waits.",
            Query(per_second("streamagg_stage_seconds_sum", "stage"), "{{stage}}"),
            unit="s",
        ),
        graph(
            "A batch, half of them",
            "Half of the batches take less.",
            Query(
                quantile(0.5, "streamagg_stage_seconds", by="stage"),
                "{{stage}}",
            ),
            unit="s",
        ),
        graph(
            "A batch, 99 of 100",
            "One in a hundred takes longer.",
            Query(
                quantile(0.99, "streamagg_stage_seconds", by="stage"),
                "{{stage}}",
            ),
            unit="s",
        ),
    ),
)

QUEUES: Final = Row(
    "Queues",
    (
        graph(
            "Bytes that wait for a worker",
            "An aggregator with megabytes here is the bottleneck.",
            Query("max by (instance, worker) (streamagg_link_backlog_bytes)", "{{instance}} {{worker}}"),
            unit="bytes",
            width=12,
        ),
        graph(
            "Blocks that wait for the sequencer",
            "Many in one partition: the others hold it up, or the coordinator is the bottleneck.",
            Query("max by (partition) (streamagg_blocks_pending)", "{{partition}}"),
            width=12,
        ),
    ),
)

PROCESSES: Final = Row(
    "Processes",
    (
        graph(
            "CPU by process",
            "Cores in use.",
            Query(
                per_second("streamagg_process_cpu_seconds_total", "instance, process"),
                "{{instance}} {{process}}",
            ),
            stacked=True,
        ),
        graph(
            "Memory by process",
            "Resident memory, and the limit of the control group where there is one.",
            Query(
                "sum by (instance, process) (streamagg_process_resident_memory_bytes)",
                "{{instance}} {{process}}",
            ),
            Query("max by (instance) (streamagg_memory_limit_bytes)", "{{instance}} limit"),
            unit="bytes",
        ),
        graph(
            "Workers that are missing",
            "Configured, and not at work; a replaced one is missing for a moment.",
            Query(
                "sum by (instance, kind) (streamagg_workers_configured)"
                " - sum by (instance, kind) (streamagg_workers_alive)",
                "{{instance}} {{kind}}",
            ),
        ),
        graph(
            "Workers replaced",
            "By what ended them.",
            Query(
                added("streamagg_worker_restarts_total", "kind, cause") + " > 0",
                "{{kind}} {{cause}}",
            ),
        ),
        graph(
            "Sessions begun anew at the checkpoint",
            "By what had broken.",
            Query(added("streamagg_session_restarts_total", "cause") + " > 0", "{{cause}}"),
        ),
        graph(
            "Age of the run",
            "It falls to 0 when the whole program begins again.",
            Query("time() - max by (instance) (streamagg_start_timestamp_seconds)", "{{instance}}"),
            unit="s",
        ),
    ),
)

KAFKA: Final = Row(
    "Kafka",
    (
        states(
            "Leader",
            "Who reads and publishes.",
            Query("max by (instance) (streamagg_leader)", "{{instance}}"),
            {0: ("standby", "blue"), 1: ("leader", "green")},
        ),
        states(
            "Member of the group",
            "An instance outside the group cannot take over.",
            Query("max by (instance) (streamagg_group_member)", "{{instance}}"),
            {0: ("outside", "red"), 1: ("member", "green")},
        ),
        graph(
            "Rebalances",
            "The group deals its partitions out anew.",
            Query(added("streamagg_rebalances_total", "instance"), "{{instance}}"),
        ),
        graph(
            "Errors of Kafka's clients",
            "By client and librdkafka's name of the error.",
            Query(
                added("streamagg_kafka_errors_total", "client, code") + " > 0",
                "{{client}} {{code}}",
            ),
        ),
        graph(
            "Transactions",
            "By how they ended.",
            Query(per_second("streamagg_transactions_total", "outcome"), "{{outcome}}"),
            unit="ops",
        ),
        graph(
            "Age of the checkpoint",
            "While something moves it is committed at least every ten seconds.",
            Query("time() - max(streamagg_last_commit_timestamp_seconds)", "last commit"),
            unit="s",
        ),
        graph(
            "Round trip to a broker",
            "99 of 100 answers came so soon, by librdkafka's statistics.",
            Query(
                'max by (client, broker) (streamagg_broker_round_trip_seconds{quantile="0.99"})',
                "{{client}} {{broker}}",
            ),
            unit="s",
        ),
    ),
)

FACTS: Final = Row(
    "What runs",
    (
        graph(
            "Files that are skipped",
            "Of an input that is a directory, by why something of them is in no count.",
            Query(added("streamagg_skipped_files_total", "reason") + " > 0", "{{reason}}"),
        ),
        table(
            "Settings", "Of each instance.", Query("max without (__name__) (streamagg_configuration_info)")
        ),
        table("Versions", "Of each instance.", Query("max without (__name__) (streamagg_build_info)")),
        graph(
            "Length of a window and max lag",
            "Settings that shape the counts.",
            Query("max(streamagg_granularity_seconds)", "granularity"),
            Query("max(streamagg_max_lag_seconds)", "max lag"),
            unit="s",
        ),
    ),
)
