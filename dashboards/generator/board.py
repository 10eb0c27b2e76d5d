"""What a dashboard is, and how it becomes one of Grafana's."""

import json
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as parts

from .panels import DATASOURCE, Panel, build
from .words import LANGUAGES, Words

COLUMNS: Final = 24


@dataclass(frozen=True)
class Section:
    """Panels under a heading; without a key there is no heading."""

    key: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Choice:
    """A variable: values of a label of a metric."""

    name: str
    metric: str


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    key: str
    sections: tuple[Section, ...]
    choices: tuple[Choice, ...] = ()
    since: str = "now-6h"
    refresh: str = "30s"


def render(board: Board, words: Words) -> str:
    """The dashboard in a language, as a JSON text that is the same each time."""
    built = dashboard.Dashboard(words.say(board.key, "title"))
    built.uid(f"fundwatch-{board.key}-{words.language}").description(words.say(board.key, "about"))
    built.tags(["fundwatch", f"fundwatch-{words.language}"]).readonly().timezone("Asia/Shanghai")
    built.time(board.since, "now").refresh(board.refresh).tooltip(parts.DashboardCursorSync.CROSSHAIR)
    for variable in _variables(board, words):
        built.with_variable(variable)
    others = dashboard.DashboardLink(words.say("common", "others")).type(parts.DashboardLinkType.DASHBOARDS)
    built.link(others.tags([f"fundwatch-{words.language}"]).as_dropdown(True).include_vars(True).keep_time(True))
    for language in LANGUAGES:
        if language != words.language:
            other = dashboard.DashboardLink(words.say("common", "other_language")).type(parts.DashboardLinkType.LINK)
            built.link(other.url(f"/d/fundwatch-{board.key}-{language}").include_vars(True).keep_time(True))
    _place(built, board, words)
    text = json.dumps(built.build(), cls=JSONEncoder, ensure_ascii=False, indent=2, sort_keys=True)
    return text + "\n"


def _variables(board: Board, words: Words) -> list[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    source = dashboard.DatasourceVariable("datasource").label(words.say("variables", "datasource")).type("prometheus")
    job = _choice(Choice("job", "fundwatch_build_info"), "", words)
    instance = _choice(Choice("instance", "fundwatch_build_info"), 'job=~"$job"', words)
    within = 'job=~"$job", instance=~"$instance"'
    return [source, job, instance, *(_choice(choice, within, words) for choice in board.choices)]


def _choice(choice: Choice, within: str, words: Words) -> dashboard.QueryVariable:
    series = f"{choice.metric}{{{within}}}" if within else choice.metric
    variable = dashboard.QueryVariable(choice.name).label(words.say("variables", choice.name))
    variable.query(f"label_values({series}, {choice.name})").datasource(DATASOURCE)
    variable.refresh(parts.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(parts.VariableSort.ALPHABETICAL_ASC)
    everything = parts.VariableOption(selected=True, text=["All"], value=["$__all"])
    return variable.multi(True).include_all(True).all_value(".+").current(everything)


def _place(built: dashboard.Dashboard, board: Board, words: Words) -> None:
    number, x, y, height = 0, 0, 0, 0
    for section in board.sections:
        if section.key:
            x, y, height = 0, y + height, 0
            number += 1
            heading = dashboard.Row(words.say(board.key, "sections", section.key)).id(number)
            built.with_row(heading.grid_pos(parts.GridPos(h=1, w=COLUMNS, x=0, y=y)))
            y += 1
        for panel in section.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            built.with_panel(build(panel, board.key, number, x, y, words))
            x, height = x + panel.width, max(height, panel.height)
