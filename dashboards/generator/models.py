"""Models: what they see in the latest window, whether the world has moved away from training, and the budget."""

from typing import Final

from .board import Board, Choice, Section
from .panels import AMBER, GREEN, RED, Column, Panel, Query, lines, ranking, rows, stats

CHOSEN: Final = '<>, model=~"$model"'
ENTITIES: Final = f"fundwatch_model_entities{{{CHOSEN}}}"
RAISED: Final = f'sum by (model) (fundwatch_model_entities{{{CHOSEN}, decision="raised"}})'
STRANGE: Final = f'sum by (model) (fundwatch_model_entities{{{CHOSEN}, decision=~"raised|cut"}})'
DRIFT: Final = f"max by (model, feature) (fundwatch_model_drift{{{CHOSEN}}})"

BOARD: Final = Board(
    key="models",
    since="now-7d",
    refresh="1m",
    choices=(Choice("model", "fundwatch_model_info"),),
    sections=(
        Section(
            "now",
            (
                Panel(
                    "at_work",
                    rows,
                    12,
                    7,
                    "none",
                    (
                        Query(f"max by (model, version, status) (fundwatch_model_info{{{CHOSEN}}})"),
                        Query(
                            f"max by (model, version, status) (fundwatch_model_info{{{CHOSEN}}} * on (job, instance, model) "
                            # Its clock is that of China, written as if it were UTC.
                            "group_left () (fundwatch_model_window_timestamp_seconds{<>} - 28800)) * 1000"
                        ),
                    ),
                    columns=(
                        Column("model", "model"),
                        Column("version", "version"),
                        Column("status", "status", values="status"),
                        Column("A", "processes"),
                        Column("B", "window", "dateTimeAsIso"),
                    ),
                ),
                Panel(
                    "entities",
                    ranking,
                    6,
                    7,
                    "none",
                    (Query(f"sum by (decision) ({ENTITIES})", "{{decision}}"),),
                    values="decision",
                ),
                Panel(
                    "reloads",
                    stats,
                    6,
                    7,
                    "none",
                    (Query("sum by (outcome) (increase(fundwatch_model_reloads_total{<>}[24h]))", "{{outcome}}"),),
                    values="outcome",
                    decimals=0,
                ),
            ),
        ),
        Section(
            "scores",
            (
                Panel(
                    "scores",
                    lines,
                    12,
                    9,
                    "none",
                    (Query(f"max by (model, quantile) (fundwatch_model_score{{{CHOSEN}}})", "{{model}} q{{quantile}}"),),
                ),
                Panel(
                    "p_values",
                    lines,
                    12,
                    9,
                    "percentunit",
                    (Query(f"max by (model, le) (fundwatch_model_p_value_ratio{{{CHOSEN}}})", "{{model}} p ≤ {{le}}"),),
                    least=0,
                    most=1,
                ),
            ),
        ),
        Section(
            "drift",
            (
                Panel(
                    "drift",
                    ranking,
                    12,
                    11,
                    "none",
                    (Query(f"topk(15, {DRIFT})", "{{model}} {{feature}}"),),
                    steps=((None, GREEN), (0.1, AMBER), (0.25, RED)),
                    decimals=3,
                    least=0,
                ),
                Panel(
                    "drift_over_time",
                    lines,
                    12,
                    11,
                    "none",
                    (Query(DRIFT, "{{model}} {{feature}}"),),
                    steps=((None, GREEN), (0.25, RED)),
                    decimals=3,
                    least=0,
                ),
            ),
        ),
        Section(
            "budget",
            (
                Panel(
                    "budget_use",
                    ranking,
                    8,
                    8,
                    "percentunit",
                    (
                        Query(
                            f"{RAISED} / (sum by (model) (fundwatch_model_budget_entities{{{CHOSEN}}}) > 0)",
                            "{{model}}",
                        ),
                    ),
                    steps=((None, GREEN), (0.8, AMBER), (1, RED)),
                    least=0,
                    most=1,
                ),
                Panel(
                    "cut_share",
                    lines,
                    8,
                    8,
                    "percentunit",
                    (
                        Query(
                            f'sum by (model) (fundwatch_model_entities{{{CHOSEN}, decision="cut"}}) / ({STRANGE} > 0)',
                            "{{model}}",
                        ),
                    ),
                    least=0,
                    most=1,
                ),
                Panel(
                    "decisions",
                    lines,
                    8,
                    8,
                    "none",
                    (Query(f"sum by (decision) ({ENTITIES})", "{{decision}}"),),
                    values="decision",
                    stacked=True,
                    least=0,
                ),
            ),
        ),
    ),
)
