"""The pipeline: whether records come, how fast they go through, what is kept, and what goes wrong."""

from typing import Final

from .board import Board, Section
from .panels import AMBER, GREEN, RED, Panel, Query, lines, names, stats, verdict

LATENCY: Final = "instance:fundwatch_latency_seconds"


def quantile(share: str, histogram: str) -> Query:
    """A quantile of a histogram."""
    expr = f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket{{<>}}[$__rate_interval])))"
    return Query(expr, f"p{float(share) * 100:.0f}")


def rate(metric: str, label: str) -> Query:
    """A counter a second, by a label."""
    return Query(f"sum by ({label}) (rate({metric}{{<>}}[$__rate_interval]))", f"{{{{{label}}}}}")


def total(metric: str, word: str) -> Query:
    """A counter a second, under a word."""
    return Query(f"sum(rate({metric}{{<>}}[$__rate_interval]))", word=word)


BOARD: Final = Board(
    key="pipeline",
    since="now-3h",
    refresh="10s",
    sections=(
        Section(
            "now",
            (
                Panel(
                    "health",
                    verdict,
                    6,
                    4,
                    "none",
                    (Query("min(fundwatch_healthy{<>}) + min(fundwatch_ready{<>})"),),
                    meanings="health",
                ),
                Panel("version", names, 6, 4, "none", (Query("max by (version) (fundwatch_build_info{<>})", "{{version}}"),)),
                Panel(
                    "uptime",
                    stats,
                    6,
                    4,
                    "dtdurations",
                    (Query("time() - max(fundwatch_process_start_time_seconds{<>})"),),
                ),
                Panel("clients", stats, 6, 4, "none", (Query("sum(fundwatch_stream_clients{<>})"),)),
                Panel(
                    "trouble",
                    lines,
                    24,
                    6,
                    "none",
                    (Query("max by (cause) (fundwatch_trouble{<>}) > 0", "{{cause}}"),),
                    values="cause",
                    stacked=True,
                    bars=True,
                    least=0,
                    decimals=0,
                ),
            ),
        ),
        Section(
            "lag",
            (
                Panel(
                    "lag",
                    lines,
                    12,
                    8,
                    "none",
                    (Query("sum by (partition) (fundwatch_source_lag_records{<>})", "{{partition}}"),),
                    steps=((None, GREEN), (10_000, RED)),
                    least=0,
                ),
                Panel(
                    "event_time",
                    lines,
                    12,
                    8,
                    "s",
                    (Query("max by (instance) (fundwatch_event_time_age_seconds{<>})", "{{instance}}"),),
                ),
            ),
        ),
        Section(
            "latency",
            (
                Panel(
                    "latency",
                    lines,
                    8,
                    8,
                    "s",
                    (
                        Query(f"max({LATENCY}:p50_5m{{<>}})", "p50"),
                        Query(f"max({LATENCY}:p95_5m{{<>}})", "p95"),
                        Query(f"max({LATENCY}:p99_5m{{<>}})", "p99"),
                    ),
                    least=0,
                ),
                Panel(
                    "batch_time",
                    lines,
                    8,
                    8,
                    "s",
                    tuple(quantile(share, "fundwatch_batch_processing_seconds") for share in ("0.5", "0.95", "0.99")),
                    least=0,
                ),
                Panel(
                    "batch_records",
                    lines,
                    8,
                    8,
                    "none",
                    tuple(quantile(share, "fundwatch_batch_records") for share in ("0.5", "0.95", "0.99")),
                    least=0,
                ),
            ),
        ),
        Section(
            "throughput",
            (
                Panel(
                    "types",
                    lines,
                    8,
                    8,
                    "recps",
                    (rate("fundwatch_records_total", "type"),),
                    values="type",
                    stacked=True,
                    least=0,
                ),
                Panel(
                    "outcomes",
                    lines,
                    8,
                    8,
                    "recps",
                    (rate("fundwatch_record_outcomes_total", "outcome"),),
                    values="record_outcome",
                    stacked=True,
                    least=0,
                ),
                Panel(
                    "other_records",
                    lines,
                    8,
                    8,
                    "recps",
                    (
                        total("fundwatch_embedded_fee_details_total", "embedded"),
                        total("fundwatch_record_revisions_total", "revisions"),
                        total("fundwatch_future_records_total", "future"),
                        total("fundwatch_source_tombstones_total", "tombstones"),
                        total("fundwatch_source_stale_total", "stale"),
                    ),
                    least=0,
                ),
                Panel(
                    "source",
                    lines,
                    24,
                    6,
                    "ops",
                    (
                        total("fundwatch_source_commits_total", "commits"),
                        total("fundwatch_source_rebalances_total", "rebalances"),
                    ),
                    least=0,
                ),
            ),
        ),
        Section(
            "state",
            (
                Panel(
                    "rows",
                    lines,
                    12,
                    8,
                    "none",
                    (Query("sum by (kind) (fundwatch_state_rows{<>})", "{{kind}}"),),
                    values="kind",
                    least=0,
                ),
                Panel(
                    "memory",
                    lines,
                    12,
                    8,
                    "bytes",
                    (Query("max by (instance) (fundwatch_resident_memory_bytes{<>})", "{{instance}}"),),
                    least=0,
                ),
            ),
        ),
        Section(
            "checkpoints",
            (
                Panel(
                    "checkpoint_age",
                    lines,
                    8,
                    8,
                    "s",
                    (Query("max by (instance) (fundwatch_checkpoint_age_seconds{<>})", "{{instance}}"),),
                    steps=((None, GREEN), (120, RED)),
                    least=0,
                ),
                Panel(
                    "checkpoint_time",
                    lines,
                    8,
                    8,
                    "s",
                    (Query("max by (instance) (fundwatch_checkpoint_duration_seconds{<>})", "{{instance}}"),),
                    least=0,
                ),
                Panel(
                    "checkpoint_bytes",
                    lines,
                    8,
                    8,
                    "bytes",
                    (Query("max by (instance) (fundwatch_checkpoint_bytes{<>})", "{{instance}}"),),
                    least=0,
                ),
                Panel(
                    "checkpoints",
                    lines,
                    12,
                    6,
                    "none",
                    (Query("max by (instance) (fundwatch_checkpoint_number{<>})", "{{instance}}"),),
                ),
                Panel(
                    "checkpoint_failures",
                    lines,
                    12,
                    6,
                    "none",
                    (
                        Query(
                            "sum by (instance) (increase(fundwatch_checkpoint_failures_total{<>}[$__rate_interval]))",
                            "{{instance}}",
                        ),
                    ),
                    bars=True,
                    least=0,
                ),
            ),
        ),
        Section(
            "sinks",
            (
                Panel("delivered", lines, 8, 8, "ops", (rate("fundwatch_sink_delivered_total", "sink"),), values="sink", least=0),
                Panel(
                    "queue",
                    lines,
                    8,
                    8,
                    "percentunit",
                    (
                        Query(
                            "max by (sink) (fundwatch_sink_queue_items{<>} / (fundwatch_sink_queue_limit_items{<>} > 0))",
                            "{{sink}}",
                        ),
                    ),
                    values="sink",
                    least=0,
                    most=1,
                ),
                Panel(
                    "blocked",
                    lines,
                    8,
                    8,
                    "percentunit",
                    (rate("fundwatch_sink_blocked_seconds_total", "sink"),),
                    values="sink",
                    least=0,
                ),
                Panel(
                    "sink_errors",
                    lines,
                    12,
                    8,
                    "ops",
                    (
                        total("fundwatch_sink_retries_total", "retries"),
                        total("fundwatch_sink_errors_total", "errors"),
                        total("fundwatch_sink_dropped_total", "dropped"),
                        total("fundwatch_sink_undeliverable_total", "undeliverable"),
                        total("fundwatch_sink_left_out_total", "left_out"),
                    ),
                    least=0,
                ),
                Panel(
                    "sink_trouble",
                    lines,
                    12,
                    8,
                    "none",
                    (Query("max by (sink) (fundwatch_sink_trouble{<>})", "{{sink}}"),),
                    values="sink",
                    least=0,
                    most=1,
                    decimals=0,
                ),
            ),
        ),
        Section(
            "errors",
            (
                Panel(
                    "dead_letters",
                    lines,
                    8,
                    8,
                    "recps",
                    (rate("fundwatch_dead_letters_total", "reason"),),
                    values="reason",
                    stacked=True,
                    least=0,
                ),
                Panel(
                    "dead_letter_ratio",
                    lines,
                    8,
                    8,
                    "percentunit",
                    (
                        Query("max(instance:fundwatch_dead_letters:ratio10m{<>})", word="last_ten_minutes"),
                        Query("max(fundwatch_dead_letter_ratio{<>})", word="last_records"),
                    ),
                    steps=((None, GREEN), (0.01, AMBER), (0.5, RED)),
                    least=0,
                ),
                Panel(
                    "dead_letter_run",
                    lines,
                    8,
                    8,
                    "none",
                    (Query("max by (instance) (fundwatch_dead_letter_run{<>})", "{{instance}}"),),
                    least=0,
                ),
                Panel("late", lines, 24, 7, "recps", (rate("fundwatch_late_records_total", "family"),), values="family", least=0),
            ),
        ),
    ),
)
