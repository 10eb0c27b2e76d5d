#!/usr/bin/env python3
"""Executes every query of the dashboards, alarms and recording rules against a Prometheus: each is valid and has an answer.

What is empty by design stands in dashboards/empty-by-design.md, with the reason. Queries of metrics that the program does not
have yet (dashboards/missing-metrics.md, where there is one) must be valid, and wait for their data."""

import argparse
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from check import METRIC, queries, rules, series
from check import ROW as LISTED

HERE: Final = Path(__file__).resolve().parent
VARIABLE: Final = re.compile(r"\$(?!__)\w+")
LABEL_VALUES: Final = re.compile(r"label_values\((.+), (\w+)\)")
ROW: Final = re.compile(r"^\| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


def plain(query: str) -> str:
    """The query as Prometheus takes it: with all chosen, and the series behind the values of a variable."""
    if found := LABEL_VALUES.fullmatch(query):
        query = f"count by ({found[2]}) ({found[1]})"
    return VARIABLE.sub(".+", query.replace("$__rate_interval", "1m"))


def ask(address: str, path: str, **parameters: str) -> list[dict[str, Any]]:
    """What Prometheus answers."""
    data = urllib.parse.urlencode(parameters).encode()
    try:
        with urllib.request.urlopen(f"{address}/api/v1/{path}", data, timeout=30) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error)["error"]) from error
    except urllib.error.URLError as error:
        raise SystemExit(f"query: {address} does not answer: {error.reason}") from error
    return result


def without_source() -> set[str]:
    """Series that the program does not have yet, with the recording rules over them."""
    missing = HERE / "missing-metrics.md"
    names = series(dict(LISTED.findall(missing.read_text(encoding="utf-8")))) if missing.exists() else set()
    recording = {rule["record"]: set(METRIC.findall(rule["expr"])) for rule in rules() if "record" in rule}
    while more := {name for name, read in recording.items() if read & names} - names:
        names |= more
    return names


def main() -> int:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address", help="of Prometheus, for example http://127.0.0.1:9090")
    address = arguments.parse_args().address.rstrip("/")
    by_design = {place.strip() for place in ROW.findall((HERE / "empty-by-design.md").read_text(encoding="utf-8"))} - {"where"}
    missing, waiting, mistakes = without_source(), 0, []
    asked = list(queries())
    unknown = sorted(by_design - {place for place, _ in asked})
    mistakes += [f"empty-by-design.md lists {place}, which is no query" for place in unknown]
    for place, query in asked:
        try:
            has_answer = bool(ask(address, "query", query=plain(query)))
        except ValueError as error:
            mistakes.append(f"{place}: {error}: {plain(query)}")
            continue
        if not has_answer and missing & set(METRIC.findall(query)):
            waiting += 1
        elif not has_answer and place not in by_design:
            mistakes.append(f"{place}: no data: {plain(query)}")
    for mistake in mistakes:
        print(f"query: {mistake}", file=sys.stderr)
    print(f"query: {len(asked)} queries, {waiting} wait for metrics to come, {len(mistakes)} without an answer", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
