"""Figures as Grafana writes them, for those units that the dashboards use."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Asia/Shanghai")
THOUSANDS: Final = ((1e12, " Tri"), (1e9, " Bil"), (1e6, " Mil"), (1e3, "K"))
BINARY: Final = ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B"))
SPANS: Final = ((86400, " day"), (3600, " hour"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns"))
RATES: Final = {"recps": " rec/s", "ops": " ops/s"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit."""
    if unit.startswith("currency:"):
        return unit.removeprefix("currency:") + _scaled(value, THOUSANDS, decimals)
    if unit in RATES:
        return _scaled(value, THOUSANDS, decimals) + RATES[unit]
    if unit.startswith("dateTimeAsIso"):
        return moment(value / 1000, unit.endswith("Today"))
    writers = {
        "percentunit": lambda: f"{number(value * 100, decimals)}%",
        "bytes": lambda: _scaled(value, BINARY, decimals),
        "s": lambda: _scaled(value, SPANS, decimals) if value else "0 s",
        "dtdurations": lambda: _duration(value),
    }
    return writers.get(unit, lambda: number(value, decimals))()


def number(value: float, decimals: int | None = None) -> str:
    """A plain number: three digits that say something, or so many decimals."""
    if decimals is None:
        size = abs(value)
        decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 0.1 else 3
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{decimals}f}"


def moment(seconds: float, short: bool) -> str:
    """A time in China; without its day where that is today."""
    time = datetime.fromtimestamp(seconds, ZONE)
    today = time.date() == datetime.now(ZONE).date()
    return f"{time:%H:%M:%S}" if short and today else f"{time:%Y-%m-%d %H:%M:%S}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...], decimals: int | None) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return number(value / size, decimals) + name
    size, name = steps[-1] if steps[-1][0] < 1 else (1, " B" if steps is BINARY else "")
    return number(value / size, decimals) + name


def _duration(seconds: float) -> str:
    for size, name in SPANS[:3]:
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + name
    return f"{seconds:.0f} s"
