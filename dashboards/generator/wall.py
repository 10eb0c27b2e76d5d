"""The wall: what a supervisor sees from five metres."""

from typing import Final

from .board import Board, Section
from .panels import AMBER, GREEN, NAME, RED, YUAN, Column, Panel, Query, lines, ranking, rows, stats, verdict

LIVE_RULE: Final = ' * on (job, instance, rule) group_left (name_zh, name_en) fundwatch_rule_info{<>, status="live"}'
OPENED: Final = 'fundwatch_alert_revisions_total{<>, status="open", shadow="false"}'
BY_ALERT: Final = "sum by (rule, name_zh, name_en, severity)"
OPEN: Final = "family_severity:fundwatch_open_alerts:sum{<>}"

BOARD: Final = Board(
    key="wall",
    since="now-24h",
    refresh="10s",
    sections=(
        Section(
            "",
            (
                Panel(
                    "fund_today",
                    stats,
                    6,
                    5,
                    YUAN,
                    (Query('sum(fundwatch_fund_settled_yuan{<>, day="today"})'),),
                    large=True,
                    curve=True,
                ),
                Panel(
                    "at_issue",
                    stats,
                    6,
                    5,
                    YUAN,
                    (Query("sum(family:fundwatch_open_amount_at_issue_yuan:sum{<>})"),),
                    steps=((None, AMBER),),
                    large=True,
                    curve=True,
                ),
                Panel("open", stats, 4, 5, "none", (Query(f"sum({OPEN})"),), large=True, curve=True),
                Panel(
                    "grave",
                    stats,
                    4,
                    5,
                    "none",
                    (Query('sum(family_severity:fundwatch_open_alerts:sum{<>, severity=~"high|critical"})'),),
                    steps=((None, GREEN), (1, RED)),
                    large=True,
                    curve=True,
                ),
                Panel(
                    "health",
                    verdict,
                    4,
                    5,
                    "none",
                    (Query("min(fundwatch_healthy{<>}) + min(fundwatch_ready{<>})"),),
                    meanings="health",
                    large=True,
                ),
                Panel(
                    "by_family",
                    ranking,
                    6,
                    9,
                    "none",
                    (Query(f"sort_desc(sum by (family) ({OPEN}))", "{{family}}"),),
                    values="family",
                    large=True,
                ),
                Panel(
                    "by_severity",
                    ranking,
                    5,
                    9,
                    "none",
                    (Query(f"sort_desc(sum by (severity) ({OPEN}))", "{{severity}}"),),
                    values="severity",
                    large=True,
                ),
                Panel(
                    "over_time",
                    lines,
                    13,
                    9,
                    "none",
                    (Query(f"sum by (severity) (increase({OPENED}[$__rate_interval]))", "{{severity}}"),),
                    values="severity",
                    stacked=True,
                    bars=True,
                    interval="5m",
                    decimals=0,
                    least=0,
                ),
                Panel(
                    "institutions",
                    ranking,
                    11,
                    9,
                    YUAN,
                    (
                        Query(
                            "topk(10, max by (institution, name) (fundwatch_top_institution_amount_at_issue_yuan{<>}))",
                            "{{institution}} {{name}}",
                        ),
                    ),
                    steps=((None, AMBER),),
                    large=True,
                ),
                Panel(
                    "newest",
                    rows,
                    13,
                    9,
                    "none",
                    (
                        Query(
                            "max by (rule, name_zh, name_en, severity) "
                            f"(fundwatch_last_alert_timestamp_seconds{{<>}}{LIVE_RULE}) * 1000"
                        ),
                        Query(f"{BY_ALERT} (increase({OPENED}[15m]){LIVE_RULE})"),
                        Query(f"{BY_ALERT} (fundwatch_open_alerts{{<>}}{LIVE_RULE})"),
                    ),
                    columns=(
                        Column("A", "last_alert", "dateTimeAsIsoNoDateIfToday"),
                        Column("severity", "severity", values="severity"),
                        Column("rule", "rule"),
                        Column(NAME, "name"),
                        Column("B", "last_minutes"),
                        Column("C", "open"),
                    ),
                    sort="A",
                    decimals=0,
                    large=True,
                ),
                Panel(
                    "rate",
                    stats,
                    4,
                    4,
                    "recps",
                    (Query("sum(rate(fundwatch_record_outcomes_total{<>}[$__rate_interval]))"),),
                    curve=True,
                ),
                Panel(
                    "waiting",
                    stats,
                    4,
                    4,
                    "none",
                    (Query("sum(instance:fundwatch_source_lag_records:sum{<>})"),),
                    steps=((None, GREEN), (10_000, RED)),
                    curve=True,
                ),
                Panel(
                    "latency",
                    stats,
                    4,
                    4,
                    "s",
                    (Query("max(instance:fundwatch_latency_seconds:p99_5m{<>})"),),
                    steps=((None, GREEN), (1, AMBER), (5, RED)),
                    curve=True,
                ),
                Panel(
                    "dead_letters",
                    stats,
                    4,
                    4,
                    "percentunit",
                    (Query("max(instance:fundwatch_dead_letters:ratio10m{<>})"),),
                    steps=((None, GREEN), (0.01, AMBER), (0.1, RED)),
                    curve=True,
                ),
                Panel(
                    "checkpoint",
                    stats,
                    4,
                    4,
                    "s",
                    (Query("max(fundwatch_checkpoint_age_seconds{<>})"),),
                    steps=((None, GREEN), (60, AMBER), (120, RED)),
                ),
                Panel(
                    "firing",
                    stats,
                    4,
                    4,
                    "none",
                    (Query('count(ALERTS{job=~"$job", alertname=~"Fundwatch.+", alertstate="firing"})'),),
                    steps=((None, GREEN), (1, RED)),
                ),
            ),
        ),
    ),
)
