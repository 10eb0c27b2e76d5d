#!/usr/bin/env python3
"""The rules of Grafana's dashboard-linter, under its names, over both languages. Exceptions stand in dashboards/grafana/.lint, in
the linter's own form, each with its reason."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from check import BUILT_IN, DOCS, HERE, METRIC, ROW, boards, panels
from query import plain

EXCEPTIONS: Final = HERE / "grafana" / ".lint"
CHOSEN: Final = {"job": 'job=~"$job"', "instance": 'instance=~"$instance"'}
RATE: Final = re.compile(r"\bi?rate\([^\[\]]*\[([^\]]+)\]")
LABEL_VALUES: Final = re.compile(r"label_values\([a-z_]+\{.*\}, \w+\)|label_values\([a-z_]+, \w+\)")
# Those of Grafana's list that are in use.
UNITS: Final = {
    "none", "s", "bytes", "percentunit", "recps", "ops", "dtdurations", "dateTimeAsIso", "dateTimeAsIsoNoDateIfToday",
}  # fmt: skip


class Found(NamedTuple):
    """What a rule has against a dashboard, or a panel of it."""

    rule: str
    panel: str
    words: str
    board: str = ""


def variables(board: dict[str, Any]) -> Iterator[Found]:
    """Data source, job and instance can be chosen, and choices follow the time range."""
    chosen = {variable["name"]: variable for variable in board["templating"]["list"]}
    source = chosen.get("datasource")
    if not source or source["type"] != "datasource" or source["query"] != "prometheus":
        yield Found("template-datasource-rule", "", "no variable `datasource` of Prometheus")
    for name in ("job", "instance"):
        variable = chosen.get(name)
        if not variable or not variable.get("multi") or variable.get("allValue") != ".+" or not variable.get("label"):
            yield Found(f"template-{name}-rule", "", f"no variable `{name}` of which several or all can be chosen")
    for name, variable in chosen.items():
        if variable["type"] != "query":
            continue
        if not LABEL_VALUES.fullmatch(variable["query"]):
            yield Found("template-label-promql-rule", "", f"`{name}` is not label_values of a metric")
        if variable.get("refresh") != 2:
            yield Found("template-on-time-change-reload-rule", "", f"`{name}` does not follow the time range")
        if variable["datasource"]["uid"] != "${datasource}":
            yield Found("template-datasource-rule", "", f"`{name}` has a data source of its own")
    if board.get("editable"):
        yield Found("uneditable-dashboard", "", "it can be edited, and its changes would be lost")


def panel_rules(board: dict[str, Any]) -> Iterator[Found]:
    """Panels say what they show, in which unit, and from the source that is chosen."""
    for panel in panels(board):
        title = panel.get("title", "")
        if not title or not panel.get("description"):
            yield Found("panel-title-description-rule", title, "no title or description")
        if not panel.get("targets"):
            yield Found("panel-no-targets-rule", title, "no query")
        if panel["datasource"]["uid"] != "${datasource}":
            yield Found("panel-datasource-rule", title, "its data source is not the variable")
        units = {
            part["value"] for rule in panel["fieldConfig"]["overrides"] for part in rule["properties"] if part["id"] == "unit"
        }
        for unit in {panel["fieldConfig"]["defaults"].get("unit", "")} | units:
            if unit not in UNITS:
                yield Found("panel-units-rule", title, f"Grafana does not list the unit `{unit}`")


def target_rules(board: dict[str, Any]) -> Iterator[Found]:
    """Queries are of the processes that are chosen, and treat counters as such."""
    kinds = dict(ROW.findall((DOCS / "metrics.md").read_text(encoding="utf-8")))
    for panel in panels(board):
        for target in panel.get("targets", []):
            title, query = panel["title"], target["expr"]
            for name in METRIC.finditer(query):
                selector = query[name.end() :].partition("}")[0]
                for label, matcher in CHOSEN.items():
                    if matcher not in selector and name.group() not in BUILT_IN - {"ALERTS"}:
                        yield Found(f"target-{label}-rule", title, f"{name.group()} is not limited to ${label}")
                if kinds.get(name.group()) == "counter" and not query[: name.start()].endswith(("rate(", "increase(")):
                    yield Found("target-counter-agg-rule", title, f"{name.group()} is a counter: rate or increase of it")
            wrong = (interval for interval in RATE.findall(query) if interval != "$__rate_interval")
            yield from (Found("target-rate-interval-rule", title, f"a rate over [{interval}]") for interval in wrong)
            if panel["type"] in {"timeseries", "bargauge"} and " by (" in query and not target.get("legendFormat"):
                yield Found("target-legend", title, "several series without names")


def invalid_queries(board: dict[str, Any]) -> Iterator[Found]:
    """Queries that Prometheus cannot read, by promtool: a recording rule for each."""
    asked = [(panel["title"], plain(target["expr"])) for panel in panels(board) for target in panel.get("targets", [])]
    for title, query in asked:
        rule = {"groups": [{"name": "one", "rules": [{"record": "one", "expr": query}]}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(rule, file)
            file.flush()
            if subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, check=False).returncode:
                yield Found("target-promql-rule", title, f"promtool cannot read {query}")


def findings() -> Iterator[tuple[str, Found]]:
    """All that rules have against dashboards, with the titles of the English ones, by which exceptions are known. The languages
    differ in words alone, which check.py sees to."""
    english = boards("en")
    for language in ("zh", "en"):
        for key, board in boards(language).items():
            pairs = zip(panels(board), panels(english[key]), strict=True)
            titles = {own["title"]: other["title"] for own, other in pairs}
            rules = (variables, panel_rules, target_rules, *((invalid_queries,) if language == "en" else ()))
            for found in (found for rule in rules for found in rule(board)):
                yield (
                    f"{language}/{key}: {found.panel}",
                    found._replace(panel=titles.get(found.panel, ""), board=english[key]["title"]),
                )


def main() -> int:
    """The command."""
    exclusions = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))["exclusions"]
    allowed = {(rule, entry["dashboard"], entry.get("panel", "")) for rule, how in exclusions.items() for entry in how["entries"]}
    mistakes = [f"{rule}: an exception without a reason" for rule, how in exclusions.items() if not how.get("reason")]
    used = set()
    for place, found in findings():
        exception = (found.rule, found.board, found.panel)
        used.add(exception)
        if exception not in allowed:
            mistakes.append(f"{place}: {found.rule}: {found.words}")
    mistakes += [f".lint allows in vain: {', '.join(exception)}" for exception in sorted(allowed - used)]
    for mistake in mistakes:
        print(f"lint: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
