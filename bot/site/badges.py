"""PURE. Badges as https://shields.io/badges/endpoint-badge reads them: what is not known for certain is never green."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.site.links import slug
from bot.site.rules import version_key
from bot.text import count, visible
from bot.words import VERDICTS
from matrix.advice import RACE, flaky_percent, released
from matrix.board import Board, Reading
from matrix.model import CaseKey, Check, Loader, Verdict

LIMIT: Final = 60
"""Characters of a label or a message."""

_GREEN: Final = "brightgreen"
_GREY: Final = "lightgrey"
_COLORS: Final = {
    Verdict.CORRUPT: "red",
    Verdict.REPORTED: "orange",
    Verdict.CRASH: "orange",
    Verdict.HANG: "orange",
    Verdict.FLAKY: "orange",
    Verdict.NOT_PARTITIONED: "orange",
    Verdict.BASELINE_BROKEN: "yellow",
    Verdict.PASS: _GREEN,
}
_PASSIVE: Final = (Verdict.UNSUPPORTED, Verdict.ENVIRONMENT)


@dataclass(frozen=True)
class Badge:
    """A badge: `label` says of what, `message` how it is."""

    label: str
    message: str
    color: str = _GREY

    @property
    def json(self) -> str:
        """What an endpoint answers. `isError` keeps a badge that is not green from being coloured by whoever shows it."""
        values = {"schemaVersion": 1, "label": _short(self.label), "message": _short(self.message), "color": self.color}
        return json.dumps({**values, "isError": self.color != _GREEN}) + "\n"


def _short(text: str) -> str:
    shown = visible(text[:LIMIT]).replace("\n", " ")
    return shown if len(shown) <= LIMIT and len(text) <= LIMIT else f"{shown[: LIMIT - 1]}…"


def badges(board: Board) -> dict[str, Badge]:
    """Every badge by its path from the root of the site: of the project, and of each environment, pair and architecture.

    They tell of the stock loader. The project's and an architecture's are about the newest pair of releases.
    """
    pairs: dict[_Pair, list[Reading]] = defaultdict(list)
    for reading in board.readings:
        pairs[_pair(reading)].append(reading)
    newest = max(pairs, key=_age, default=("", ""))
    there = pairs.get(newest, [])
    return {
        "badges/project.json": _of_all(f"ZeRO-3, {_words(newest)}" if there else "ZeRO-3", there),
        **{_path("environments", _id(reading)): _of_environment(reading) for reading in board.readings},
        **{_path("pairs", "+".join(pair)): _of_all(_words(pair), readings) for pair, readings in pairs.items()},
        **{_path("architectures", name): _of_one(name, newest[0], there) for name in _architectures(board)},
    }


_Pair = tuple[str, str]
"""Versions of transformers and deepspeed."""


def _pair(reading: Reading) -> _Pair:
    return reading.cell.environment.transformers, reading.cell.environment.deepspeed


def _age(pair: _Pair) -> tuple[object, ...]:
    """Sorts pairs: what is no release comes before all releases."""
    return all(map(released, pair)), *map(version_key, pair)


def _words(pair: _Pair) -> str:
    return f"transformers {pair[0]} + deepspeed {pair[1]}"


def _id(reading: Reading) -> str:
    return reading.cell.environment.id


def _path(folder: str, name: str) -> str:
    return f"badges/{folder}/{slug(name)}.json"


def _architectures(board: Board) -> list[str]:
    return sorted({key.architecture for reading in board.readings for key in reading.cases})


def _of_environment(reading: Reading) -> Badge:
    return _of_all(f"{_words(_pair(reading))}, {reading.cell.environment.device}", [reading])


def _of_all(label: str, readings: Sequence[Reading]) -> Badge:
    """How many of all cases pass."""
    if old := _stale(readings):
        return Badge(label, old)
    told = [verdict for reading in readings for verdict in _verdicts(reading) if verdict not in _PASSIVE]
    if not told:
        return Badge(label, "untested")
    worst, passed = min(told, key=lambda verdict: verdict.rank), told.count(Verdict.PASS)
    if worst is Verdict.PASS:
        return Badge(label, f"all {count(passed, 'case')} pass", _GREEN)
    return Badge(label, f"{passed:,} of {count(len(told), 'case')} pass", _COLORS[worst])


def _of_one(name: str, transformers: str, readings: Sequence[Reading]) -> Badge:
    """How an architecture fares."""
    label = name.partition(":")[0]
    there = [reading for reading in readings if any(key.architecture == name for key in reading.cases)]
    if old := _stale(there):
        return Badge(label, old)
    told = [_worst(reading, name) for reading in there]
    worst = min((verdict for verdict in told if verdict), key=lambda verdict: verdict.rank, default=None)
    if worst is None or None in told or worst is Verdict.ENVIRONMENT:
        return Badge(label, "untested")
    if worst is Verdict.UNSUPPORTED:
        return Badge(label, f"not in transformers {transformers}")
    if worst is Verdict.PASS and any(_racy(reading) for reading in there):
        return Badge(label, f"uncertain with transformers {transformers}")
    word = "safe" if worst is Verdict.PASS else VERDICTS[worst].word
    return Badge(label, f"{word} with transformers {transformers}", _COLORS[worst])


def _stale(readings: Iterable[Reading]) -> str:
    nights = [reading.night for reading in readings if reading.stale]
    return f"stale since {min(nights)}" if nights else ""


def _verdicts(reading: Reading) -> list[Verdict]:
    """The verdicts of the newest measurement; what it left out does not count any more."""
    newest = [dated.case for dated in reading.cases.values() if dated.night == reading.night]
    return [case.verdict for case in newest if case.loader is Loader.STOCK]


def _worst(reading: Reading, name: str) -> Verdict | None:
    """The worst verdict of an architecture; None when a check of it was not measured the last time."""
    found = [reading.cases.get(CaseKey(name, Loader.STOCK, check)) for check in Check]
    told = [dated.case.verdict for dated in found if dated and dated.night == reading.night]
    return min(told, key=lambda verdict: verdict.rank) if len(told) == len(Check) else None


def _racy(reading: Reading) -> bool:
    return flaky_percent([dated.case.verdict for dated in reading.cases.values()]) >= RACE
