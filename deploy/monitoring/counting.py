"""The rows about records, event time and windows."""

from typing import Final

from deploy.monitoring.panels import Query, Row, added, graph, heatmap, per_second

THROUGHPUT: Final = Row(
    "Throughput",
    (
        graph(
            "Records by what became of them",
            "Together these are the records that are read.",
            Query(per_second("streamagg_records_counted_total"), "counted"),
            Query(per_second("streamagg_records_late_total"), "late"),
            Query(per_second("streamagg_records_rejected_total"), "rejected"),
            Query(per_second("streamagg_records_published_before_total"), "published before"),
            Query(per_second("streamagg_records_read_again_total"), "read again"),
            unit="cps",
            stacked=True,
        ),
        graph(
            "Bytes read",
            "Values of records, after decompression.",
            Query(per_second("streamagg_bytes_consumed_total"), "bytes"),
            unit="Bps",
        ),
        graph(
            "Records by partition",
            "A partition without records is idle or has a producer less.",
            Query(per_second("streamagg_records_consumed_total", "partition"), "{{partition}}"),
            unit="cps",
        ),
        graph(
            "Rejected by reason",
            "The reasons are those of docs/decoding.md.",
            Query(per_second("streamagg_records_rejected_total", "reason") + " > 0", "{{reason}}"),
            unit="cps",
        ),
        graph(
            "Values ignored, by measure",
            "In records that are counted: a measure cannot take them. Nothing where there are none.",
            Query(per_second("streamagg_values_ignored_total", "measure") + " > 0", "{{measure}}"),
            unit="cps",
        ),
        graph(
            "Late by partition",
            "The window was closed already by the clock of the partition.",
            Query(per_second("streamagg_records_late_total", "partition") + " > 0", "{{partition}}"),
            unit="cps",
        ),
        graph(
            "Share in no count, by partition",
            "Late and rejected records among those of the last minute; more than 2 % are told.",
            Query("max by (partition) (streamagg_partition_uncounted_share) > 0", "{{partition}}"),
            unit="percentunit",
        ),
        graph(
            "Closed early, by partition",
            "Late because the partition had been idle when the window was closed.",
            Query(
                per_second("streamagg_records_closed_early_total", "partition") + " > 0",
                "{{partition}}",
            ),
            unit="cps",
        ),
    ),
)

LAG_AND_TIME: Final = Row(
    "Lag and event time",
    (
        graph(
            "Lag by partition",
            "Records between what is applied and the end of the partition.",
            Query("max by (partition) (streamagg_partition_lag_records)", "{{partition}}"),
        ),
        graph(
            "Time to catch up",
            "The lag at the present rate, if nothing more came.",
            Query(
                "sum by () (streamagg_partition_lag_records) / "
                + per_second("streamagg_records_consumed_total"),
                "all partitions",
            ),
            unit="s",
        ),
        graph(
            "Watermark behind the wall clock",
            "Of no meaning while records of the past are read.",
            Query("time() - max(streamagg_watermark_timestamp_seconds)", "watermark"),
            unit="s",
        ),
        graph(
            "Clock ahead of the watermark, by partition",
            "The partition at 0 holds the watermark; the others wait for it.",
            Query(
                "max by (partition) (streamagg_partition_clock_timestamp_seconds"
                " - on (job, instance) group_left () streamagg_watermark_timestamp_seconds)",
                "{{partition}}",
            ),
            unit="s",
        ),
        graph(
            "Idle partitions",
            "Silent, so that they do not hold the watermark.",
            Query("sum(streamagg_partition_idle)", "idle"),
        ),
        graph(
            "Records not decided yet",
            "Set aside: too far ahead of the clock. Waiting: for a free slot of the ring.",
            Query("sum(streamagg_records_set_aside)", "set aside"),
            Query("sum(streamagg_records_waiting)", "waiting"),
        ),
    ),
)

WINDOWS: Final = Row(
    "Windows",
    (
        graph(
            "Windows published",
            "By kind: exact counts, counts of 0, estimates.",
            Query(added("streamagg_windows_published_total", "kind"), "{{kind}}"),
        ),
        graph(
            "Open windows",
            "They hold records and are not closed.",
            Query("sum(streamagg_windows_open)", "open"),
        ),
        heatmap(
            "Delay of publication",
            "From the end of a window to its publication.",
            Query(added("streamagg_publication_delay_seconds_bucket", "le"), "{{le}}"),
        ),
        graph(
            "Users of the largest window",
            "Of those held, some counted twice until they are merged; and how many --max-users allows.",
            Query("max(streamagg_largest_window_users)", "largest window"),
            Query("max(streamagg_max_users)", "--max-users"),
        ),
        graph(
            "Users held",
            "In the sets of windows that are not published.",
            Query("sum(streamagg_users_held)", "users"),
        ),
        graph(
            "Memory of windows and periods",
            "Users, groups and measures held; part of the memory of the aggregators.",
            Query("sum(streamagg_users_held_bytes)", "held"),
            unit="bytes",
        ),
        graph(
            "Groups of a window",
            "Of the last one published, and of the largest that is open, where a group counts once for each"
            " aggregator that holds it; and how many --max-groups allows.",
            Query("max(streamagg_last_window_groups)", "last window"),
            Query("max(streamagg_largest_window_groups)", "largest window"),
            Query("max(streamagg_max_groups)", "--max-groups"),
        ),
        graph(
            "Groups held",
            "In windows that are not published.",
            Query("sum(streamagg_groups_held)", "groups"),
        ),
        graph(
            "Windows without their groups",
            "Published so because there were more than --max-groups.",
            Query(added("streamagg_windows_without_groups_total"), "windows"),
        ),
        graph(
            "State of open periods",
            "What is written to the state topic; nothing without calendars.",
            Query(per_second("streamagg_state_written_bytes_total"), "written"),
            unit="Bps",
        ),
        graph(
            "Open periods",
            "Which are not published yet; nothing without calendars.",
            Query("sum by (calendar) (streamagg_periods_open)", "{{calendar}}"),
        ),
        graph(
            "Restore of open periods",
            "How long reading the state topic took when counting last began.",
            Query("max(streamagg_state_restore_seconds)", "restore"),
            unit="s",
        ),
    ),
)
