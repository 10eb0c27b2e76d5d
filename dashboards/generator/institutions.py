"""Institutions: those that stand out, beside their peers and beside their own past."""

from typing import Final

from .board import Board, Choice, Section
from .panels import AMBER, GREEN, RED, YUAN, Column, Panel, Query, lines, ranking, rows

CHOSEN: Final = '<>, institution=~"$institution"'
JUDGED: Final = '<>, model=~"$model", institution=~"$institution"'
LEGEND: Final = "{{institution}} {{name}}"
BY_SCORE: Final = "max by (institution, name, model)"
BY_FEATURE: Final = "max by (institution, name, model, feature)"
VALUE: Final = f"{BY_FEATURE} (fundwatch_top_institution_feature{{{JUDGED}}})"
PEERS: Final = f"{BY_FEATURE} (fundwatch_top_institution_feature_peer_median{{{JUDGED}}})"
PAST: Final = f"{BY_FEATURE} (fundwatch_top_institution_feature_own_median{{{JUDGED}}})"
GROUPS: Final = 'sum by (model, peers) (fundwatch_model_group_entities{<>, model=~"$model"})'
GROUPS_RAISED: Final = 'sum by (model, peers) (fundwatch_model_group_entities{<>, model=~"$model", decision="raised"})'

BOARD: Final = Board(
    key="institutions",
    since="now-7d",
    refresh="1m",
    choices=(Choice("model", "fundwatch_model_info"), Choice("institution", "fundwatch_top_institution_score")),
    sections=(
        Section(
            "alerts",
            (
                Panel(
                    "amount",
                    ranking,
                    12,
                    9,
                    YUAN,
                    (Query("topk(10, max by (institution, name) (fundwatch_top_institution_amount_at_issue_yuan{<>}))", LEGEND),),
                    steps=((None, AMBER),),
                ),
                Panel(
                    "open",
                    ranking,
                    12,
                    9,
                    "none",
                    (Query("topk(10, max by (institution, name) (fundwatch_top_institution_open_alerts{<>}))", LEGEND),),
                ),
                Panel(
                    "amount_over_time",
                    lines,
                    24,
                    8,
                    YUAN,
                    (Query("max by (institution, name) (fundwatch_top_institution_amount_at_issue_yuan{<>})", LEGEND),),
                ),
            ),
        ),
        Section(
            "scores",
            (
                Panel(
                    "scores",
                    rows,
                    12,
                    10,
                    "none",
                    (
                        Query(f"{BY_SCORE} (fundwatch_top_institution_score{{{JUDGED}}})"),
                        Query(f"{BY_SCORE} (fundwatch_top_institution_p_value{{{JUDGED}}})"),
                    ),
                    columns=(
                        Column("institution", "institution"),
                        Column("name", "name"),
                        Column("model", "model"),
                        Column("A", "score"),
                        Column("B", "p_value"),
                    ),
                    sort="A",
                    decimals=4,
                ),
                Panel(
                    "scores_over_time",
                    lines,
                    12,
                    10,
                    "none",
                    (Query(f"{BY_SCORE} (fundwatch_top_institution_score{{{JUDGED}}})", "{{model}} {{institution}} {{name}}"),),
                ),
            ),
        ),
        Section(
            "peers",
            (
                Panel(
                    "peers",
                    rows,
                    24,
                    11,
                    "none",
                    (Query(VALUE), Query(PEERS), Query(f"{VALUE} / ({PEERS} != 0)"), Query(PAST)),
                    columns=(
                        Column("institution", "institution"),
                        Column("name", "name"),
                        Column("model", "model"),
                        Column("feature", "feature", values="feature"),
                        Column("A", "value"),
                        Column("B", "peer_median"),
                        Column("C", "times_peers"),
                        Column("D", "own_median"),
                    ),
                    sort="C",
                    decimals=3,
                ),
                Panel(
                    "groups",
                    ranking,
                    12,
                    9,
                    "none",
                    (
                        Query(
                            f"sort_desc({GROUPS})",
                            "{{model}} {{peers}}",
                        ),
                    ),
                ),
                Panel(
                    "groups_raised",
                    ranking,
                    12,
                    9,
                    "percentunit",
                    (
                        Query(
                            f"sort_desc({GROUPS_RAISED} / ({GROUPS} > 0))",
                            "{{model}} {{peers}}",
                        ),
                    ),
                    steps=((None, GREEN), (0.05, AMBER), (0.2, RED)),
                ),
            ),
        ),
        Section(
            "growth",
            (
                Panel(
                    "growth",
                    ranking,
                    12,
                    9,
                    "percentunit",
                    (
                        Query(
                            f"topk(10, max by (institution, name) (fundwatch_top_institution_fund_growth_ratio{{{CHOSEN}}}))",
                            LEGEND,
                        ),
                    ),
                    steps=((None, GREEN), (1.5, AMBER), (2, RED)),
                ),
                Panel(
                    "growth_over_time",
                    lines,
                    12,
                    9,
                    "percentunit",
                    (Query(f"max by (institution, name) (fundwatch_top_institution_fund_growth_ratio{{{CHOSEN}}})", LEGEND),),
                ),
            ),
        ),
    ),
)
