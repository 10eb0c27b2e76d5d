"""Draws panels as Grafana's dark theme does, from the same JSON: figures, curves, bars and tables."""

import math
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageColor, ImageDraw, ImageFont

from units import ZONE, written

# Everything is drawn twice as large and made smaller in the end, which smooths lines.
FINE: Final = 2
MOST_BYTES: Final = 200_000
BACKGROUND, PANEL, EDGE, GRID = "#111217", "#181b1f", "#2c2f36", "#2a2d33"
TEXT, FAINT = "#d5d6e0", "#9a9ba8"
NAMED: Final = {
    "green": "#73bf69", "blue": "#5794f2", "orange": "#ff9830", "red": "#f2495c", "dark-red": "#c4162a", "transparent": PANEL,
}  # fmt: skip
PALETTE: Final = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d", "#fade2a", "#447ebc", "#c15c17",
)  # fmt: skip

Points = list[tuple[float, float]]
# Time, value, and the value below it in a stack.
Above = tuple[float, float, float]
Place = Callable[[float, float], tuple[float, float]]


@dataclass
class Series:
    """What a query has answered under one set of labels."""

    name: str
    labels: dict[str, str]
    points: Points
    letter: str = "A"
    colour: str = ""

    @property
    def last(self) -> float:
        """The value of now."""
        return self.points[-1][1]


@dataclass
class Box:
    """A part of the picture, in its final pixels."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """What is left of it within margins."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


@cache
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """A font that has Chinese."""
    wanted = "sans-serif:lang=zh-cn" + (":bold" if bold else "")
    asked = ["fc-match", "--format", "%{file}|%{index}|%{lang}", wanted]
    file, index, languages = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split("|", 2)
    if "zh-cn" not in languages:
        raise SystemExit("pictures: no font here has Chinese (Debian: apt-get install fonts-noto-cjk)")
    return ImageFont.truetype(file, round(size * FINE), index=int(index) & 0xFFFF)


@dataclass
class Canvas:
    """A picture that grows out of boxes."""

    width: int
    height: int
    image: Image.Image = field(init=False)
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        """Begins dark and empty."""
        self.image = Image.new("RGB", (self.width * FINE, self.height * FINE), BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)

    def save(self, path: Path) -> None:
        """Writes it, as large as fits into the most that a picture may take."""
        for share in (1, 0.75, 0.66, 0.58, 0.5):
            size = (round(self.width * share), round(self.height * share))
            done = self.image.resize(size, Image.Resampling.LANCZOS)
            done.quantize(96, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)
            if path.stat().st_size < MOST_BYTES:
                return

    def fill(self, box: Box, colour: str, edge: str = "", radius: float = 0) -> None:
        """A rectangle."""
        corners = [box.x * FINE, box.y * FINE, (box.x + box.width) * FINE - 1, (box.y + box.height) * FINE - 1]
        if corners[2] >= corners[0] and corners[3] >= corners[1]:
            self.draw.rounded_rectangle(corners, radius * FINE, colour, edge or None, FINE if edge else 0)

    def line(self, points: Points, colour: str, width: float = 1) -> None:
        """A line through points."""
        self.draw.line([(x * FINE, y * FINE) for x, y in points], colour, round(width * FINE), joint="curve")

    def chevron(self, x: float, y: float) -> None:
        """The mark of a heading."""
        self.line([(x, y - 3), (x + 5, y + 3), (x + 10, y - 3)], TEXT, 2)

    def dashed(self, x: float, to: float, y: float, colour: str) -> None:
        """A level line of dashes."""
        while x < to:
            self.line([(x, y), (min(x + 8, to), y)], colour, 1.5)
            x += 16

    def area(self, points: Points, floor: Points, colour: str, share: float) -> None:
        """What lies between two lines, in a colour mixed with the panel's."""
        corners = [(x * FINE, y * FINE) for x, y in [*points, *reversed(floor)]]
        if len(corners) > 2:
            self.draw.polygon(corners, mixed(colour, share))

    def text(
        self, x: float, y: float, words: str, size: float, colour: str = TEXT, anchor: str = "lm", bold: bool = False
    ) -> None:
        """Words at a point."""
        self.draw.text((x * FINE, y * FINE), words, mixed(colour), font(size, bold), anchor)


def mixed(colour: str, share: float = 1, other: str = PANEL) -> str:
    """So much of a colour, and of another the rest."""
    one, two = ImageColor.getrgb(NAMED.get(colour, colour)), ImageColor.getrgb(other)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in zip(one, two, strict=True))


def wide(words: str, size: float, bold: bool = False) -> float:
    """How wide words are."""
    return font(size, bold).getlength(words) / FINE


def cut(words: str, size: float, width: float, bold: bool = False) -> str:
    """Words that fit, with an ellipsis where they did not."""
    if wide(words, size, bold) <= width:
        return words
    while words and wide(words + "…", size, bold) > width:
        words = words[:-1]
    return words + "…"


def fitting(words: str, most: float, width: float, height: float) -> float:
    """The largest size in which words fit."""
    return max(9.0, min(most, height, most * width / max(wide(words, most, True), 1)))


def threshold(value: float, panel: dict[str, Any]) -> str:
    """The colour of a value: fixed, or that of the last limit that it reaches."""
    defaults = panel["fieldConfig"]["defaults"]
    if defaults.get("color", {}).get("mode") == "fixed":
        return str(defaults["color"]["fixedColor"])
    steps = defaults.get("thresholds", {}).get("steps", [])
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(reached[-1]) if reached else "blue"


def meaning(value: str, mappings: list[dict[str, Any]]) -> dict[str, str]:
    """What stands for a value, and in which colour."""
    for mapping in mappings:
        if mapping["type"] == "value" and value in mapping["options"]:
            return dict(mapping["options"][value])
    return {}


def empty(canvas: Canvas, box: Box, panel: dict[str, Any], size: float = 15) -> None:
    """The words that stand where there is no data."""
    words = cut(panel["fieldConfig"]["defaults"].get("noValue", ""), size, box.width - 16)
    canvas.text(box.x + box.width / 2, box.y + box.height / 2, words, size, FAINT, "mm")


def stat(canvas: Canvas, box: Box, panel: dict[str, Any], series: list[Series]) -> None:
    """Figures of now, side by side, each with the way it took."""
    options, defaults = panel["options"], panel["fieldConfig"]["defaults"]
    most = float((options.get("text") or {}).get("valueSize") or 40)
    each = box.width / len(series)
    solid, curved = options["colorMode"].startswith("background"), options.get("graphMode") == "area"
    named = options["textMode"] == "value_and_name"
    for number, one in enumerate(series):
        part = Box(box.x + number * each, box.y, each, box.height)
        middle, mapped = part.x + each / 2, meaning(f"{one.last:g}", defaults.get("mappings") or [])
        colour = mapped.get("color") or one.colour or threshold(one.last, panel)
        words = mapped.get("text") or written(one.last, defaults["unit"], defaults.get("decimals"))
        words = one.name if options["textMode"] == "name" else words
        if solid:
            canvas.fill(part.inside(4, 0, 4, 4), mixed(colour, 0.85), radius=3)
        if curved and len(one.points) > 2:
            sparkline(canvas, part.inside(4, part.height * 0.66, 4, 4), one.points, colour)
        size = fitting(words, most, part.width - 28, part.height * 0.5)
        depth = 0.6 if named else 0.34 if curved else 0.46
        canvas.text(middle, part.y + part.height * depth, words, size, "#ffffff" if solid else colour, "mm", True)
        if named:
            canvas.text(middle, part.y + part.height * 0.24, cut(one.name, 15, part.width - 12), 15, TEXT, "mm")


def sparkline(canvas: Canvas, box: Box, points: Points, colour: str) -> None:
    """The way of a figure below it."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    first, span = points[0][0], max(points[-1][0] - points[0][0], 1)
    scale = (box.height - 4) / (high - low or 1)
    floor = box.y + box.height
    path = [(box.x + (time - first) / span * box.width, floor - 2 - (value - low) * scale) for time, value in points]
    canvas.area(path, [(x, floor) for x, _ in path], colour, 0.22)
    canvas.line(path, mixed(colour, 0.8), 1.5)


def bargauge(canvas: Canvas, box: Box, panel: dict[str, Any], series: list[Series]) -> None:
    """Bars of now, names at the left and figures at the right."""
    defaults, text = panel["fieldConfig"]["defaults"], panel["options"].get("text") or {}
    box = box.inside(10, 4, 10, 8)
    each = min(box.height / len(series), 64.0)
    name_size = min(float(text.get("titleSize") or 14), each * 0.55)
    value_size = min(float(text.get("valueSize") or 16), each * 0.62)
    figures = [written(one.last, defaults["unit"], defaults.get("decimals")) for one in series]
    left = min(max(wide(one.name, name_size) for one in series) + 12, box.width * 0.46)
    right = max(wide(figure, value_size, True) for figure in figures) + 12
    most = float(defaults.get("max") or max(*(one.last for one in series), 1e-9))
    room = box.width - left - right
    for number, (one, figure) in enumerate(zip(series, figures, strict=True)):
        y = box.y + number * each
        colour = one.colour or threshold(one.last, panel)
        length = max(min(one.last / most, 1) * room, 2)
        bar = Box(box.x + left, y + each * 0.12, length, each * 0.76)
        canvas.fill(bar, mixed(colour, 0.42), radius=2)
        canvas.fill(Box(bar.x + length - 3, bar.y, 3, bar.height), mixed(colour))
        canvas.text(box.x, y + each / 2, cut(one.name, name_size, left - 8), name_size)
        canvas.text(bar.x + length + 8, y + each / 2, figure, value_size, colour, "lm", True)


def timeseries(canvas: Canvas, box: Box, panel: dict[str, Any], series: list[Series]) -> None:
    """Curves, areas or bars over time, with a legend below."""
    custom, defaults = panel["fieldConfig"]["defaults"].get("custom", {}), panel["fieldConfig"]["defaults"]
    for number, one in enumerate(series):
        one.colour = one.colour or PALETTE[number % len(PALETTE)]
    rows = legend(canvas, box, series)
    unit, decimals = defaults["unit"], defaults.get("decimals")
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    layers = stack(series) if stacked else [one.points for one in series]
    values = [value for layer in layers for _, value in layer] or [0.0]
    limits = [step for step in defaults.get("thresholds", {}).get("steps", []) if step["value"] is not None]
    dashed = limits if custom.get("thresholdsStyle", {}).get("mode") == "dashed" else []
    ticks = scale(min(values), max(values), defaults)
    marks = [written(tick, unit, decimals) for tick in ticks]
    left = max(wide(mark, 12) for mark in marks) + 16
    plot = box.inside(left, 8, 14, 26 + rows * 20)
    times = [time for layer in layers for time, _ in layer]
    first, last = min(times), max(*times, min(times) + 1)
    if custom.get("drawStyle") == "bars":
        # Half a bar's room at either end.
        half = (last - first) / max(len(set(times)) - 1, 1) / 2
        first, last = first - half, last + half

    def place(time: float, value: float) -> tuple[float, float]:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return plot.x + (time - first) / (last - first) * plot.width, plot.y + plot.height * (1 - share)

    for tick, mark in zip(ticks, marks, strict=True):
        y = place(first, tick)[1]
        canvas.line([(plot.x, y), (plot.x + plot.width, y)], GRID)
        canvas.text(plot.x - 8, y, mark, 12, FAINT, "rm")
    count = max(2, int(plot.width // 110))
    for step in range(count):
        time = first + (last - first) * (step + 0.5) / count
        x = place(time, ticks[0])[0]
        canvas.text(x, plot.y + plot.height + 14, f"{datetime.fromtimestamp(time, ZONE):%H:%M:%S}", 12, FAINT, "mm")
    floor: dict[float, float] = {}
    for one, layer in zip(series, layers, strict=True):
        above = [(time, value, floor.get(time, max(ticks[0], 0.0))) for time, value in layer]
        run(canvas, custom, plot, one.colour, above, place)
        floor |= dict(layer) if stacked else {}
    for limit in dashed:
        if ticks[0] <= limit["value"] <= ticks[-1]:
            canvas.dashed(plot.x, plot.x + plot.width, place(first, limit["value"])[1], limit["color"])


def run(canvas: Canvas, custom: dict[str, Any], plot: Box, colour: str, layer: list[Above], place: Place) -> None:
    """One series of a panel of curves."""
    if custom.get("drawStyle") == "bars":
        width = max((place(layer[1][0], 0)[0] - place(layer[0][0], 0)[0]) * 0.7, 2) if len(layer) > 1 else plot.width * 0.1
        for time, value, below in layer:
            (x, top), (_, bottom) = place(time, value), place(time, below)
            canvas.fill(Box(x - width / 2, top, width, bottom - top), mixed(colour, 0.85))
        return
    share = min(custom.get("fillOpacity", 0) / 100 * 1.6, 1)
    for part in unbroken(layer):
        path = [place(time, value) for time, value, _ in part]
        if share:
            canvas.area(path, [place(time, below) for time, _, below in part], colour, share)
        if len(path) > 1:
            canvas.line(path, mixed(colour), 1.8)


def unbroken(layer: list[Above]) -> list[list[Above]]:
    """The parts of a series between the times at which it was away."""
    steps = [later[0] - earlier[0] for earlier, later in pairwise(layer)]
    parts = [layer[:1]]
    for point, step in zip(layer[1:], steps, strict=True):
        if step > 1.5 * min(steps):
            parts.append([])
        parts[-1].append(point)
    return parts


def stack(series: list[Series]) -> list[Points]:
    """Each series on top of those before it."""
    sums: dict[float, float] = {}
    layers = []
    for one in series:
        for time, value in one.points:
            sums[time] = sums.get(time, 0) + value
        layers.append([(time, sums[time]) for time, _ in one.points])
    return layers


def scale(low: float, high: float, defaults: dict[str, Any]) -> list[float]:
    """Round steps that reach from the lowest to the highest value."""
    least, most = defaults.get("min"), defaults.get("max")
    low = least if least is not None else min(low, 0) if low < high * 0.5 else low
    high = most if most is not None else high
    if high - low < 1e-12:
        low, high = (low - 1, high + 1) if least is None else (low, low + 1)
    base = 1024.0 if defaults["unit"] == "bytes" else 10.0
    rough = (high - low) / 4
    power = base ** math.floor(math.log(rough, base))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20, 50, 100, 200, 500, 1024) if factor * power >= rough * 0.999)
    step = max(step, 1) if defaults.get("decimals") == 0 else step
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [number * step for number in range(first, last + 1)]


def legend(canvas: Canvas, box: Box, series: list[Series]) -> int:
    """Names with their colours in rows at the bottom, and how many have no room; how many rows."""
    most, row, x, left = 3, 1, box.x + 14, 0
    entries: list[tuple[int, float, str, str]] = []
    for number, one in enumerate(series):
        words = cut(one.name, 13, 320)
        width = 36 + wide(words, 13)
        if x + width > box.x + box.width - (90 if row == most else 8) and x > box.x + 14:
            if row == most:
                left = len(series) - number
                break
            row, x = row + 1, box.x + 14
        entries.append((row, x, one.colour, words))
        x += width
    for line, place, colour, words in entries:
        y = box.y + box.height - 14 - (row - line) * 20
        canvas.fill(Box(place, y - 2, 14, 4), mixed(colour), radius=2)
        canvas.text(place + 20, y, words, 13)
    if left:
        canvas.text(x, box.y + box.height - 14, f"+ {left}", 13, FAINT)
    return row


def table(canvas: Canvas, box: Box, panel: dict[str, Any], series: list[Series]) -> None:
    """A row for each set of labels, as the transformations merge and name them."""
    organise = next(step["options"] for step in panel["transformations"] if step["id"] == "organize")
    names: dict[str, str] = organise["renameByName"]
    letters = {target["refId"] for target in panel["targets"]}
    rows: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
    for one in series:
        row = rows.setdefault(frozenset(one.labels.items()), dict(one.labels))
        row["Value" if len(letters) == 1 else f"Value #{one.letter}"] = one.last
    fields = sorted(names, key=lambda name: organise["indexByName"].get(name, 99))
    ordered = list(rows.values())
    for by in panel["options"].get("sortBy") or []:
        key = next((name for name, shown in names.items() if shown == by["displayName"]), "")
        ordered.sort(key=lambda row: row.get(key, float("-inf")), reverse=bool(by.get("desc")))
    large = panel["options"].get("cellHeight") == "lg"
    size, height = (17.0, 36.0) if large else (14.0, 27.0)
    shown = ordered[: max(int((box.height - height - 8) // height), 1)]
    cells = [[cell(row.get(name), names[name], panel) for name in fields] for row in shown]
    headings = [(names[name], FAINT) for name in fields]
    columns = zip(*[headings, *cells], strict=True)
    widths = [max(wide(text, size, not line) for line, (text, _) in enumerate(column)) + 28 for column in columns]
    widths = [width * (box.width - 20) / sum(widths) for width in widths]
    numeric = [all(isinstance(row.get(name), float) for row in shown) for name in fields]
    numeric = [right and "date" not in unit_of(names[name], panel)[0] for right, name in zip(numeric, fields, strict=True)]
    y = box.y + height / 2
    numeric = [
        bool(shown) and isinstance(shown[0].get(name), float) and "date" not in unit_of(names[name], panel)[0] for name in fields
    ]
    for line, texts in enumerate([headings, *cells]):
        x = box.x + 10
        for (text, colour), width, right in zip(texts, widths, numeric, strict=True):
            words = cut(text, size, width - 12)
            canvas.text(x + (width - 14 if right else 0), y, words, size, colour, "rm" if right else "lm", line == 0)
            x += width
        canvas.line([(box.x + 8, y + height / 2), (box.x + box.width - 8, y + height / 2)], GRID)
        y += height


def unit_of(column: str, panel: dict[str, Any]) -> tuple[str, int | None, list[dict[str, Any]]]:
    """Unit, decimals and meanings of a column."""
    defaults = panel["fieldConfig"]["defaults"]
    unit, mappings = defaults["unit"], list[dict[str, Any]]()
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == column:
            for part in override["properties"]:
                unit = part["value"] if part["id"] == "unit" else unit
                mappings = part["value"] if part["id"] == "mappings" else mappings
    return unit, defaults.get("decimals"), mappings


def cell(value: Any, column: str, panel: dict[str, Any]) -> tuple[str, str]:
    """The text of a cell, and its colour."""
    unit, decimals, mappings = unit_of(column, panel)
    if value is None:
        return "", TEXT
    if isinstance(value, float):
        return written(value, unit, decimals), TEXT
    mapped = meaning(value, mappings)
    return mapped.get("text") or value, mapped.get("color") or TEXT


KINDS: Final = {"stat": stat, "bargauge": bargauge, "timeseries": timeseries, "table": table}
