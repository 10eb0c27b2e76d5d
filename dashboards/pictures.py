#!/usr/bin/env python3
"""Draws the dashboards from their JSON over a Prometheus, for the READMEs: what Grafana shows, without a browser.

A screen shows hours; the pictures show the last seconds that are asked for, so that a short run fills them."""

import argparse
import json
import math
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from painting import BACKGROUND, EDGE, FAINT, KINDS, PANEL, TEXT, Box, Canvas, Series, cut, empty
from query import VARIABLE, ask

HERE: Final = Path(__file__).resolve().parent
LABEL: Final = re.compile(r"{{\s*(\w+)\s*}}")
WIDTH: Final = 1920
# A row of Grafana's grid, with the gap below it.
ROW, GAP, HEAD = 38, 8, 56


def answers(address: str, panel: dict[str, Any], seconds: float, now: float) -> list[Series]:
    """The series of a panel, under the names and colours that it gives them."""
    bars = panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
    step = max(seconds / (30 if bars else 120), 1)
    interval = f"{max(round(step), 10)}s"
    looks = {override["matcher"]["options"]: override["properties"] for override in panel["fieldConfig"]["overrides"]}
    found = []
    for target in panel["targets"]:
        query = VARIABLE.sub(".+", target["expr"].replace("$__rate_interval", interval))
        if target.get("instant"):
            result = ask(address, "query", query=query, time=str(now))
        else:
            span = {"start": str(now - seconds), "end": str(now), "step": str(step)}
            result = ask(address, "query_range", query=query, **span)
        for one in result:
            labels: dict[str, str] = one["metric"]
            name = LABEL.sub(lambda label, labels=labels: labels.get(label[1], ""), target.get("legendFormat") or "").strip()
            values = [(float(at), float(value)) for at, value in one.get("values") or [one["value"]]]
            values = [(at, value) for at, value in values if math.isfinite(value)]
            if not values:
                continue
            series = Series(name or panel["title"], labels, values, target["refId"])
            for part in looks.get(name, ()):
                if part["id"] == "displayName":
                    series.name = part["value"]
                if part["id"] == "color":
                    series.colour = part["value"]["fixedColor"]
            found.append(series)
    return found


def picture(board: dict[str, Any], address: str, seconds: float, now: float) -> Canvas:
    """A whole dashboard."""
    deepest = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    canvas = Canvas(WIDTH, HEAD + deepest * ROW + GAP)
    canvas.text(20, HEAD / 2, board["title"], 24, TEXT, "lm", True)
    canvas.text(WIDTH - 20, HEAD / 2, cut(board["description"], 16, WIDTH * 0.7), 16, FAINT, "rm")
    column = (WIDTH - GAP) / 24
    for panel in board["panels"]:
        at = panel["gridPos"]
        box = Box(GAP + at["x"] * column, HEAD + at["y"] * ROW, at["w"] * column - GAP, at["h"] * ROW - GAP)
        if panel["type"] == "row":
            canvas.fill(box, BACKGROUND)
            canvas.chevron(box.x + 6, box.y + box.height / 2)
            canvas.text(box.x + 26, box.y + box.height / 2, panel["title"], 18, TEXT, "lm", True)
            continue
        canvas.fill(box, PANEL, EDGE, 3)
        canvas.text(box.x + 12, box.y + 18, cut(panel["title"], 16, box.width - 24, True), 16, TEXT, "lm", True)
        inner, series = box.inside(0, 34, 0, 0), answers(address, panel, seconds, now)
        if series:
            KINDS[panel["type"]](canvas, inner, panel, series)
        else:
            empty(canvas, inner, panel)
    return canvas


def main() -> int:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address", help="of Prometheus, for example http://127.0.0.1:9090")
    arguments.add_argument("--seconds", type=float, default=180, help="how much of the past they show (180)")
    arguments.add_argument("--out", type=Path, default=HERE.parent / "docs" / "pictures", help="folder that receives them")
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    # All of them show the same moment.
    now = time.time()
    for language, key in (("zh", "wall"), *(("en", file.stem) for file in sorted((HERE / "grafana" / "en").glob("*.json")))):
        board = json.loads((HERE / "grafana" / language / f"{key}.json").read_text(encoding="utf-8"))
        file = given.out / f"{key}.{language}.png"
        picture(board, given.address.rstrip("/"), given.seconds, now).save(file)
        print(f"pictures: {file}: {file.stat().st_size // 1000} kB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
