"""What a panel is, and how it becomes one of Grafana's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as parts
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from .words import Words

DATASOURCE: Final = parts.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, BLUE, AMBER, ORANGE, RED, GREY = "green", "blue", "#EAB839", "orange", "red", "#8e8e8e"

COLOURS: Final = {
    "critical": "dark-red",
    "high": RED,
    "medium": ORANGE,
    "low": AMBER,
    "live": GREEN,
    "shadow": GREY,
    "raised": RED,
    "cut": ORANGE,
    "usual": GREEN,
}

# Grafana knows no unit for it by name.
YUAN: Final = "currency:¥"

# What stands for a name in the language of the dashboard; metrics carry both as labels.
NAME: Final = "rule_name"

Builder = bargauge.Panel | stat.Panel | table.Panel | timeseries.Panel


@dataclass(frozen=True)
class Query:
    """A query. `<>` stands for the choice of job and instance. Its series are called by `legend`, where `{{rule_name}}` is the
    name in the dashboard's language, or by a word of the table."""

    expr: str
    legend: str = ""
    word: str = ""

    def promql(self) -> str:
        """The query as Prometheus takes it."""
        return self.expr.replace("<>", 'job=~"$job", instance=~"$instance"')

    def name(self, words: Words) -> str:
        """What its series are called."""
        if self.word:
            return words.say("series", self.word)
        return self.legend.replace("{{" + NAME + "}}", "{{name_" + words.language + "}}")


@dataclass(frozen=True)
class Column:
    """A column of a table: a label, or the value of the query with this letter."""

    field: str
    word: str
    unit: str = ""
    values: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel. Its words stand in the table under its dashboard and its key."""

    key: str
    make: Callable[["Panel", Words], Builder]
    width: int
    height: int
    unit: str
    queries: tuple[Query, ...]
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    # Limits from which another colour holds, after the first.
    steps: tuple[tuple[float | None, str], ...] = ()
    # The label whose values have names and perhaps colours.
    values: str = ""
    # What figures are called instead.
    meanings: str = ""
    columns: tuple[Column, ...] = ()
    sort: str = ""
    stacked: bool = False
    bars: bool = False
    curve: bool = False
    # For eyes at five metres.
    large: bool = False
    interval: str = ""

    def sized(self, width: int, height: int) -> "Panel":
        """The same in another size."""
        return replace(self, width=width, height=height)


def build(panel: Panel, board: str, number: int, x: int, y: int, words: Words) -> Builder:
    """The panel at its place."""
    built = panel.make(panel, words)
    built.id(number).datasource(DATASOURCE).unit(panel.unit)
    built.title(words.say(board, panel.key, "title")).description(words.say(board, panel.key, "about"))
    built.no_value(words.say(board, panel.key, "empty"))
    built.grid_pos(parts.GridPos(h=panel.height, w=panel.width, x=x, y=y))
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    if panel.least is not None:
        built.min(panel.least)
    if panel.most is not None:
        built.max(panel.most)
    if panel.interval:
        built.interval(panel.interval)
    if panel.values and not panel.columns:
        for value, text in words.values(panel.values).items():
            properties = [parts.DynamicConfigValue("displayName", text)]
            if value in COLOURS:
                properties.append(_fixed(COLOURS[value]))
            built.override_by_name(value, properties)
    return built


def stats(panel: Panel, words: Words) -> Builder:
    """Figures of now."""
    graph = kinds.BigValueGraphMode.AREA if panel.curve else kinds.BigValueGraphMode.NONE
    built = stat.Panel().graph_mode(graph).reduce_options(_last())
    built.color_mode(kinds.BigValueColorMode.VALUE)
    named = len(panel.queries) > 1 or bool(panel.queries[0].legend)
    built.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if named else kinds.BigValueTextMode.VALUE)
    if panel.large:
        built.text(common.VizTextDisplayOptions().value_size(64).title_size(24)).justify_mode(kinds.BigValueJustifyMode.CENTER)
    if not panel.steps:
        built.color_scheme(_colour(parts.FieldColorModeId.FIXED, BLUE))
    built.thresholds(_thresholds(panel))
    for number, query in enumerate(panel.queries):
        built.with_target(_target(query, number, words) if panel.curve else _target(query, number, words).instant())
    return built


def verdict(panel: Panel, words: Words) -> Builder:
    """A figure that stands for words."""
    built = stats(replace(panel, steps=((None, RED), (1, AMBER), (2, GREEN))), words)
    named = words.values(panel.meanings)
    colours = {"0": RED, "1": AMBER, "2": GREEN}
    results = {value: parts.ValueMappingResult(text=text, color=colours[value]) for value, text in named.items()}
    assert isinstance(built, stat.Panel)
    return built.mappings([parts.ValueMap(results)]).color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)


def names(panel: Panel, words: Words) -> Builder:
    """What a label says, where the figure beside it says nothing."""
    built = stats(panel, words)
    assert isinstance(built, stat.Panel)
    return built.text_mode(kinds.BigValueTextMode.NAME)


def ranking(panel: Panel, words: Words) -> Builder:
    """Bars of now, the longest first."""
    built = bargauge.Panel().orientation(kinds.VizOrientation.HORIZONTAL).reduce_options(_last())
    built.display_mode(kinds.BarGaugeDisplayMode.BASIC).name_placement(kinds.BarGaugeNamePlacement.LEFT)
    built.value_mode(kinds.BarGaugeValueMode.TEXT).show_unfilled(False)
    if panel.large:
        built.text(common.VizTextDisplayOptions().value_size(24).title_size(20))
    if not panel.steps:
        built.color_scheme(_colour(parts.FieldColorModeId.FIXED, BLUE))
    built.thresholds(_thresholds(panel))
    for number, query in enumerate(panel.queries):
        built.with_target(_target(query, number, words).instant())
    return built


def lines(panel: Panel, words: Words) -> Builder:
    """Curves or bars over time."""
    built = timeseries.Panel().show_points(kinds.VisibilityMode.NEVER)
    built.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    built.legend(
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    style = kinds.GraphDrawStyle.BARS if panel.bars else kinds.GraphDrawStyle.LINE
    built.draw_style(style).fill_opacity(80 if panel.bars else 15 if panel.stacked else 0).line_width(1 if panel.bars else 2)
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if panel.steps:
        built.thresholds(_thresholds(panel))
        built.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    built.color_scheme(_colour(parts.FieldColorModeId.PALETTE_CLASSIC))
    for number, query in enumerate(panel.queries):
        built.with_target(_target(query, number, words))
    return built


def rows(panel: Panel, words: Words) -> Builder:
    """A table of now: a row for each set of labels."""
    built = table.Panel().show_header(True).cell_height(kinds.TableCellHeight.LG if panel.large else kinds.TableCellHeight.SM)
    for number, query in enumerate(panel.queries):
        built.with_target(_target(query, number, words).instant().format(PromQueryFormat.TABLE))
    known = {column.field: column for column in panel.columns}
    headings = {_field(column.field, panel, words): words.say("columns", column.word) for column in panel.columns}
    hidden = {"Time": True} | {f"name_{language}": True for language in ("zh", "en") if language != words.language}
    built.with_transformation(parts.DataTransformerConfig(id_val="merge", options={}))
    organise = {
        "excludeByName": hidden,
        "indexByName": {name: place for place, name in enumerate(headings)},
        "renameByName": headings,
    }
    built.with_transformation(parts.DataTransformerConfig(id_val="organize", options=organise))
    for column in known.values():
        properties = []
        if column.unit:
            properties.append(parts.DynamicConfigValue("unit", column.unit))
        if column.values:
            results = {
                value: parts.ValueMappingResult(text=text, color=COLOURS.get(value))
                for value, text in words.values(column.values).items()
            }
            properties.append(parts.DynamicConfigValue("mappings", [parts.ValueMap(results)]))
            properties.append(parts.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        if properties:
            built.override_by_name(words.say("columns", column.word), properties)
    if panel.sort:
        by = words.say("columns", known[panel.sort].word)
        built.sort_by([common.TableSortByFieldState().display_name(by).desc(True)])
    return built


def _field(field: str, panel: Panel, words: Words) -> str:
    if field == NAME:
        return f"name_{words.language}"
    if len(field) == 1:
        return "Value" if len(panel.queries) == 1 else f"Value #{field}"
    return field


def _target(query: Query, number: int, words: Words) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.promql()).ref_id("ABCDEFGH"[number]).datasource(DATASOURCE).range()
    name = query.name(words)
    return target.legend_format(name) if name else target


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [parts.Threshold(value, colour) for value, colour in panel.steps or ((None, BLUE),)]
    return dashboard.ThresholdsConfig().mode(parts.ThresholdsMode.ABSOLUTE).steps(steps)


def _colour(mode: parts.FieldColorModeId, fixed: str = "") -> dashboard.FieldColor:
    colour = dashboard.FieldColor().mode(mode)
    return colour.fixed_color(fixed) if fixed else colour


def _fixed(colour: str) -> parts.DynamicConfigValue:
    return parts.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")
