"""PURE. Badges as https://shields.io/badges/endpoint-badge reads them: only what is known for certain is green."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from bot.site.data.urls import slug
from bot.text import count
from bot.verdict_words import is_absent
from matrix.advice.safety import Answer, Tried, combine_answers, find_tried
from matrix.history.snapshot import Pair, Reading, Snapshot
from matrix.model import Loader, Precision
from matrix.text import make_visible
from matrix.verdicts import Verdict
from matrix.versions import is_release, version_key

LIMIT: Final = 72
"""Characters of a label or a message."""

_GREEN: Final = "brightgreen"
_GREY: Final = "lightgrey"


@dataclass(frozen=True)
class Badge:
    """A badge. `label` names its subject, `message` says its state."""

    label: str
    message: str
    color: str = _GREY

    @property
    def json(self) -> str:
        """What an endpoint answers. With `isError`, nobody who shows the badge can give it another colour."""
        values = {"schemaVersion": 1, "label": _short(self.label), "message": _short(self.message), "color": self.color}
        return json.dumps({**values, "isError": self.color != _GREEN}) + "\n"


def _short(text: str) -> str:
    shown = make_visible(text[:LIMIT]).replace("\n", " ")
    return shown if len(shown) <= LIMIT and len(text) <= LIMIT else f"{shown[: LIMIT - 1]}…"


def build_badges(snapshot: Snapshot) -> dict[str, Badge]:
    """Returns every badge by its path from the root of the site: of the project, and of each environment, pair and architecture.

    They are about the stock loader. The project's and an architecture's are about the newest pair of releases.
    """
    pairs: dict[Pair, list[Reading]] = defaultdict(list)
    for reading in snapshot.readings:
        pairs[reading.pair].append(reading)
    newest = max(pairs, key=_age, default=("", ""))
    there = pairs.get(newest, [])
    return {
        "badges/project.json": _of_all(f"ZeRO-3, {_words(newest)}" if there else "ZeRO-3", there),
        **{_path("environments", _id(reading)): _of_environment(reading) for reading in snapshot.readings},
        **{_path("pairs", "+".join(pair)): _of_all(_words(pair), readings) for pair, readings in pairs.items()},
        **{_path("architectures", name): _of_one(name, there) for name in _architectures(snapshot.readings)},
    }


def _age(pair: Pair) -> tuple[object, ...]:
    """Sorts pairs: what is not a release comes before all releases."""
    return all(map(is_release, pair)), *map(version_key, pair)


def _words(pair: Pair) -> str:
    return f"transformers {pair[0]} + deepspeed {pair[1]}"


def _id(reading: Reading) -> str:
    return reading.cell.environment.id


def _path(folder: str, name: str) -> str:
    return f"badges/{folder}/{slug(name)}.json"


def _architectures(readings: Iterable[Reading]) -> list[str]:
    return sorted({key.architecture for reading in readings for key in reading.cases})


def _of_environment(reading: Reading) -> Badge:
    return _of_all(f"{_words(reading.pair)}, {reading.cell.environment.device}", [reading])


def _of_all(label: str, readings: Sequence[Reading]) -> Badge:
    """How many of all cases pass: green when every architecture that the versions have is safe."""
    if any(reading.stale for reading in readings):
        return Badge(label, _stale(reading.night for reading in readings if reading.stale))
    tried = {name: find_tried(readings, name) for name in _architectures(readings)}
    verdicts = [verdict for found in tried.values() for verdict in _verdicts(found) if not is_absent(verdict)]
    if not verdicts:
        return Badge(label, "untested")
    day, worst, passed = _day(readings), min(verdicts, key=lambda verdict: verdict.rank), verdicts.count(Verdict.PASS)
    if worst is not Verdict.PASS:
        return Badge(label, f"{passed:,} of {count(len(verdicts), 'case')} pass{day}", worst.row.badge)
    there = [found for found in tried.values() if not _lacking(found)]
    precisions = _precisions([one for found in there for one in found])
    if precisions and all(combine_answers(found, Loader.STOCK) is Answer.SAFE for found in there):
        return Badge(label, f"all {count(passed, 'case')} pass in {precisions}{day}", _GREEN)
    return Badge(label, f"uncertain, {count(passed, 'case')} pass{day}")


def _of_one(name: str, readings: Iterable[Reading]) -> Badge:
    """How an architecture fares with a pair."""
    label, tried = name.partition(":")[0], find_tried(readings, name)
    answer = combine_answers(tried, Loader.STOCK)
    if answer is Answer.UNSAFE:
        return _unsafe(label, [one for one in tried if one.answer(Loader.STOCK) is Answer.UNSAFE])
    if answer is Answer.SAFE and (precisions := _precisions(tried)):
        return Badge(label, f"safe in {precisions} {_where(tried)}", _GREEN)
    if any(one.stale for one in tried):
        return Badge(label, _stale(one.night for one in tried if one.stale))
    passed = tried and all(one.passed(Loader.STOCK) for one in tried)
    return Badge(label, f"uncertain {_where(tried)}" if passed else "untested")


def _precisions(tried: Sequence[Tried]) -> str:
    """The precisions that every safe answer rests on; empty where no precision is safe in all."""
    found = [one.precisions(Loader.STOCK) for one in tried]
    return ", ".join(precision for precision in Precision if all(precision in one for one in found))


def _unsafe(label: str, tried: Sequence[Tried]) -> Badge:
    """The worst verdict, of what is not stale if there is any: what went wrong stays so, but is not shown as of today."""
    fresh = [one for one in tried if not one.stale]
    worst = min(_verdicts(fresh or tried), key=lambda verdict: verdict.rank)
    if not fresh:
        return Badge(label, f"{worst.row.word}, {_stale(one.night for one in tried)}")
    if worst is Verdict.UNSUPPORTED:
        return Badge(label, f"not in transformers {tried[0].transformers}")
    return Badge(label, f"{worst.row.word} {_where(fresh)}", worst.row.badge)


def _verdicts(tried: Iterable[Tried]) -> list[Verdict]:
    """What was measured with the stock loader."""
    found = (verdict for one in tried for verdict in one.measured(Loader.STOCK).values())
    return [verdict for verdict in found if not verdict.infrastructure]


def _lacking(tried: Iterable[Tried]) -> bool:
    """Whether the versions do not have the architecture."""
    found = _verdicts(tried)
    return bool(found) and all(map(is_absent, found))


def _where(tried: Sequence[Tried]) -> str:
    return f"with transformers {tried[0].transformers}{_day(tried)}"


def _day(measured: Iterable[Tried | Reading]) -> str:
    """The date of the oldest measurement behind a badge: it does not change when nightly runs stop, so its reader must see how old it is."""
    return f" ({min(one.night for one in measured)})"


def _stale(nights: Iterable[date]) -> str:
    return f"stale since {min(nights)}"
