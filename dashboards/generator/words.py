"""The words of the dashboards in both languages, from words.toml."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("zh", "en")


class WordsError(Exception):
    """The table of words and the dashboards do not fit."""


@dataclass
class Words:
    """The table in one language; remembers what was asked for."""

    language: str
    table: dict[str, Any]
    used: set[tuple[str, ...]] = field(default_factory=set)

    def say(self, *path: str) -> str:
        """The text at a path, for example `say("wall", "open", "title")`."""
        entry: Any = self.table
        for key in path:
            if key not in entry:
                raise WordsError(f"words.toml has no {'.'.join(path)}")
            entry = entry[key]
        self.used.add(path)
        return str(entry[self.language])

    def values(self, label: str) -> dict[str, str]:
        """What the known values of a label are called."""
        return {value: self.say("values", label, value) for value in self.table["values"][label]}

    def unused(self) -> list[str]:
        """Texts that no dashboard shows."""
        return sorted(".".join(path) for path in _paths(self.table) if path not in self.used)


def _paths(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if set(table) == set(LANGUAGES):
        return [above]
    paths = []
    for key, entry in table.items():
        if not isinstance(entry, dict):
            raise WordsError(f"{'.'.join((*above, key))} is not in both languages")
        paths += _paths(entry, (*above, key))
    return paths


def read(file: Path) -> dict[str, Any]:
    """The whole table."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    _paths(table)
    return table
