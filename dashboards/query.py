#!/usr/bin/env python3
"""Executes every query of the dashboards, alarms and recording rules against a Prometheus: each is valid and has an answer.

What is empty by design stands in dashboards/empty-by-design.md, with the reason."""

import argparse
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from check import queries

HERE: Final = Path(__file__).resolve().parent
VARIABLE: Final = re.compile(r"\$(?!__)\w+")
LABEL_VALUES: Final = re.compile(r"label_values\((.+), (\w+)\)")
ROW: Final = re.compile(r"^\| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


def plain(query: str) -> str:
    """The query as Prometheus takes it: with all chosen, and the series behind the values of a variable."""
    if found := LABEL_VALUES.fullmatch(query):
        query = f"count by ({found[2]}) ({found[1]})"
    return VARIABLE.sub(".+", query.replace("$__rate_interval", "1m"))


def ask(address: str, query: str) -> list[Any]:
    """What Prometheus answers now."""
    data = urllib.parse.urlencode({"query": query}).encode()
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query", data, timeout=30) as answer:
            result: list[Any] = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error)["error"]) from error
    return result


def main() -> int:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address", help="of Prometheus, for example http://127.0.0.1:9090")
    address = arguments.parse_args().address.rstrip("/")
    by_design = {place.strip() for place in ROW.findall((HERE / "empty-by-design.md").read_text(encoding="utf-8"))}
    asked, mistakes = 0, []
    for place, query in queries():
        asked += 1
        try:
            if not ask(address, plain(query)) and place not in by_design:
                mistakes.append(f"{place}: no data: {plain(query)}")
        except ValueError as error:
            mistakes.append(f"{place}: {error}: {plain(query)}")
    for mistake in mistakes:
        print(f"query: {mistake}", file=sys.stderr)
    print(f"query: {asked} queries, {len(mistakes)} without an answer", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
