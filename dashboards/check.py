#!/usr/bin/env python3
"""Checks that dashboards, alarms, recording rules, the runbook and the list of metrics fit together."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
DOCS: Final = HERE.parent / "docs"
METRIC: Final = re.compile(r"\b(?:[a-z_]+:)?fundwatch_[a-z_]+(?::\w+)?|\bALERTS\b")
ROW: Final = re.compile(r"^\| `(fundwatch_[a-z_]+)` \| (counter|gauge|histogram) \|", re.MULTILINE)
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
CHOSEN: Final = 'job=~"$job"'
# Prometheus makes these itself.
BUILT_IN: Final = {"ALERTS", "up"}


def series(kinds: dict[str, str]) -> set[str]:
    """Names of the series of metrics: a histogram has three."""
    names = {name for name, kind in kinds.items() if kind != "histogram"}
    histograms = (name for name, kind in kinds.items() if kind == "histogram")
    return names | {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}


def boards(language: str) -> dict[str, dict[str, Any]]:
    """The dashboards of a language."""
    files = sorted((HERE / "grafana" / language).glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels, without headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    """Recording rules and alarms."""
    files = [HERE / "prometheus" / name for name in ("recording.yaml", "alerts.yaml")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Every query with where it stands; dashboards are the same in both languages, which is checked too."""
    for key, board in boards("en").items():
        for panel in panels(board):
            yield from ((f"{key}: {panel['title']}", target["expr"]) for target in panel["targets"])
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{key}: variable {variable['name']}", variable["query"]
    yield from ((rule.get("record") or rule["alert"], rule["expr"]) for rule in rules())


def unknown_metrics() -> Iterator[str]:
    """Metrics that nothing counts, and recordings that nothing reads."""
    there = dict(ROW.findall((DOCS / "metrics.md").read_text(encoding="utf-8")))
    if not there:
        yield "docs/metrics.md has no table of metrics"
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = series(there) | recorded | BUILT_IN
    used = set()
    for place, query in queries():
        names = set(METRIC.findall(query))
        used |= names
        yield from (f"{place}: no metric or recording rule is called {name}" for name in sorted(names - known))
    yield from (f"no query uses the recording rule {name}" for name in sorted(recorded - used))


def careless_panels() -> Iterator[str]:
    """Panels without words, unit or choice of process."""
    for language in ("zh", "en"):
        for key, board in boards(language).items():
            for panel in panels(board):
                place, defaults = f"{language}/{key}: {panel['title']}", panel["fieldConfig"]["defaults"]
                if not (panel["title"] and panel.get("description")):
                    yield f"{place}: no title or description"
                yield from (f"{place}: no {field}" for field in ("unit", "noValue") if not defaults.get(field))
                if panel["datasource"]["uid"] != "${datasource}":
                    yield f"{place}: its data source is not the variable"
                for target in panel["targets"]:
                    found = METRIC.finditer(target["expr"])
                    careless = (name for name in found if not target["expr"][name.end() :].startswith("{" + CHOSEN))
                    yield from (f"{place}: {name.group()} is not limited to $job" for name in careless)


def overlaps() -> Iterator[str]:
    """Panels that lie over one another, or beside the grid."""
    for key, board in boards("en").items():
        taken: dict[tuple[int, int], str] = {}
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
            if at["x"] + at["w"] > 24:
                yield f"{key}: {panel['title']} is wider than the grid"
            if others := {taken[cell] for cell in cells if cell in taken}:
                yield f"{key}: {panel['title']} lies over {', '.join(sorted(others))}"
            taken |= dict.fromkeys(cells, panel["title"])


def different_languages() -> Iterator[str]:
    """Dashboards that are not the same but for words."""
    chinese, english = boards("zh"), boards("en")
    if chinese.keys() != english.keys():
        yield f"not in both languages: {', '.join(sorted(chinese.keys() ^ english.keys()))}"
    for key in chinese.keys() & english.keys():
        if bones(chinese[key]) != bones(english[key]):
            yield f"{key}: the languages differ in more than words"


def bones(board: dict[str, Any]) -> list[Any]:
    """What is left of a dashboard without its words."""
    shape = [
        (panel["type"], panel["gridPos"], [target["expr"] for target in panel.get("targets") or []]) for panel in board["panels"]
    ]
    return [shape, [variable.get("query") for variable in board["templating"]["list"]]]


def careless_alarms() -> Iterator[str]:
    """Alarms without words in both languages, a severity, a section of the runbook, or a test."""
    headings = {anchor(heading) for heading in HEADING.findall((DOCS / "runbook.md").read_text(encoding="utf-8"))}
    tests = "".join(file.read_text(encoding="utf-8") for file in sorted((HERE / "prometheus" / "tests").glob("*.yaml")))
    for rule in rules():
        name = rule.get("alert")
        if name is None:
            if rule["record"] not in tests and not any(rule["record"] in other["expr"] for other in rules()):
                yield f"{rule['record']}: neither a test nor an alarm looks at it"
            continue
        words, page = rule.get("annotations", {}), "docs/runbook.md#"
        needed = ("summary", "summary_zh", "description", "description_zh", "runbook_url")
        yield from (f"{name}: no {field}" for field in needed if not words.get(field))
        if rule.get("labels", {}).get("severity") not in {"info", "warning", "critical"}:
            yield f"{name}: its severity is not info, warning or critical"
        url = words.get("runbook_url", "")
        if not url.startswith(page) or url.removeprefix(page) not in headings:
            yield f"{name}: {url} is no section of the runbook"
        if name not in tests:
            yield f"{name}: no test speaks of it"


def anchor(heading: str) -> str:
    """The anchor that a heading gets when Markdown is shown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def main() -> int:
    """The command."""
    checks = (unknown_metrics, careless_panels, overlaps, different_languages, careless_alarms)
    mistakes = [mistake for check in checks for mistake in check()]
    for mistake in mistakes:
        print(f"check: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
