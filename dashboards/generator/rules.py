"""Rules: what they find, what is withdrawn again, what they cost, and how those in shadow compare."""

from typing import Final

from .board import Board, Choice, Section
from .panels import NAME, YUAN, Column, Panel, Query, lines, names, ranking, rows, stats

NAMED: Final = " * on (job, instance, rule) group_left (name_zh, name_en) fundwatch_rule_info{<>}"
STANDING: Final = " * on (job, instance, rule) group_left (name_zh, name_en, status) fundwatch_rule_info{<>}"
BY_RULE: Final = "sum by (rule, name_zh, name_en)"
LEGEND: Final = "{{rule}} {{rule_name}}"
OPENED: Final = 'fundwatch_alert_revisions_total{<>, rule=~"$rule", status="open"}'
BY_INSTANCE: Final = "sum by (job, instance, rule)"
OPEN: Final = f'{BY_INSTANCE} (fundwatch_open_alerts{{<>, rule=~"$rule"}})'
WITHDRAWN: Final = f'{BY_INSTANCE} (fundwatch_withdrawn_alerts{{<>, rule=~"$rule"}})'
SHARE_WITHDRAWN: Final = f"{WITHDRAWN} / ({WITHDRAWN} + {OPEN} > 0)"
AMOUNT: Final = 'fundwatch_open_amount_at_issue_yuan{<>, rule=~"$rule"}'
EVALUATING: Final = 'fundwatch_rule_evaluation_seconds_total{<>, rule=~"$rule"}'
EVALUATION: Final = 'rule:fundwatch_rule_evaluation_seconds:mean5m{<>, rule=~"$rule"}'

BOARD: Final = Board(
    key="rules",
    choices=(Choice("rule", "fundwatch_rule_info"),),
    sections=(
        Section(
            "now",
            (
                Panel(
                    "in_force",
                    stats,
                    8,
                    4,
                    "none",
                    (Query("sum by (status) (fundwatch_rules{<>})", "{{status}}"),),
                    values="status",
                ),
                Panel("version", names, 8, 4, "none", (Query("max by (version) (fundwatch_rule_set_info{<>})", "{{version}}"),)),
                Panel(
                    "reloads",
                    stats,
                    8,
                    4,
                    "none",
                    (Query("sum by (outcome) (increase(fundwatch_rule_reloads_total{<>}[24h]))", "{{outcome}}"),),
                    values="outcome",
                    decimals=0,
                ),
                Panel(
                    "all",
                    rows,
                    24,
                    12,
                    "none",
                    (
                        Query(f"sum by (rule, name_zh, name_en, status) (({OPEN}){STANDING})"),
                        Query(f"sum by (rule, name_zh, name_en, status) ({BY_INSTANCE} (increase({OPENED}[24h])){STANDING})"),
                        Query(f"avg by (rule, name_zh, name_en, status) (({SHARE_WITHDRAWN}){STANDING})"),
                        Query(f"sum by (rule, name_zh, name_en, status) ({AMOUNT}{STANDING})"),
                        Query(f"avg by (rule, name_zh, name_en, status) ({EVALUATION}{STANDING})"),
                    ),
                    columns=(
                        Column("rule", "rule"),
                        Column(NAME, "name"),
                        Column("status", "status", values="status"),
                        Column("A", "open"),
                        Column("B", "last_day"),
                        Column("C", "withdrawn", "percentunit"),
                        Column("D", "amount", YUAN),
                        Column("E", "evaluation", "s"),
                    ),
                    sort="D",
                ),
            ),
        ),
        Section(
            "hits",
            (
                Panel(
                    "hits",
                    lines,
                    12,
                    9,
                    "none",
                    (Query(f"{BY_RULE} (increase({OPENED}[$__rate_interval]){NAMED})", LEGEND),),
                    stacked=True,
                    bars=True,
                    interval="5m",
                    least=0,
                ),
                Panel("open", lines, 12, 9, "none", (Query(f"{BY_RULE} (({OPEN}){NAMED})", LEGEND),), stacked=True, least=0),
                Panel(
                    "withdrawn",
                    lines,
                    12,
                    9,
                    "percentunit",
                    (Query(f"avg by (rule, name_zh, name_en) (({SHARE_WITHDRAWN}){NAMED})", LEGEND),),
                    least=0,
                    most=1,
                ),
                Panel("amount", lines, 12, 9, YUAN, (Query(f"{BY_RULE} ({AMOUNT}{NAMED})", LEGEND),), stacked=True),
            ),
        ),
        Section(
            "cost",
            (
                Panel(
                    "evaluation",
                    lines,
                    12,
                    9,
                    "s",
                    (Query(f"avg by (rule, name_zh, name_en) ({EVALUATION}{NAMED})", LEGEND),),
                    least=0,
                ),
                Panel(
                    "share_of_time",
                    lines,
                    12,
                    9,
                    "percentunit",
                    (
                        Query(
                            f"{BY_RULE} (rate({EVALUATING}[$__rate_interval]){NAMED})",
                            LEGEND,
                        ),
                    ),
                    stacked=True,
                    least=0,
                ),
            ),
        ),
        Section(
            "shadow",
            (
                Panel(
                    "shadow_hits",
                    lines,
                    8,
                    9,
                    "none",
                    (Query(f"sum by (shadow) (increase({OPENED}[$__rate_interval]))", "{{shadow}}"),),
                    values="shadow",
                    bars=True,
                    interval="5m",
                    least=0,
                ),
                Panel(
                    "shadow_amount",
                    lines,
                    8,
                    9,
                    YUAN,
                    (Query(f"sum by (status) ({AMOUNT}{STANDING})", "{{status}}"),),
                    values="status",
                ),
                Panel(
                    "shadow_rules",
                    ranking,
                    8,
                    9,
                    "none",
                    (
                        Query(
                            f"sort_desc({BY_RULE} (({OPEN}) * on (job, instance, rule) group_left (name_zh, name_en) "
                            'fundwatch_rule_info{<>, status="shadow"}))',
                            LEGEND,
                        ),
                    ),
                ),
            ),
        ),
    ),
)
