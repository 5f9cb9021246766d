"""PURE. Finds the shortest description of the measured cases that a failure hits."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from operator import and_, or_
from typing import Final

from bot.text import Sentence, clip, count, join_words
from matrix.environments.packages import CROSSED
from matrix.model import Check, Device, Loader, Precision
from matrix.versions import version_key

NAMED: Final = 8
"""How many architectures a sentence names."""
BEYOND: Final = 3
"""What it costs a rule to cover points that another failure ended: more than a version, less than naming many models."""
RULES: Final = 3
"""How many rules together may explain a failure."""


@dataclass(frozen=True)
class Point:
    """A measured case, as far as a rule can see it; `buffers` is whether the architecture has persistent ones."""

    transformers: str
    deepspeed: str
    device: Device
    loader: Loader
    check: Check
    precision: Precision
    architecture: str
    family: str = ""
    buffers: bool = False


@dataclass(frozen=True)
class Condition:
    """One part of a rule: the allowed `values` of a `field` of a point, in `words`. `cost` is what it adds to the rule's cost."""

    field: str
    values: frozenset[object]
    words: Sentence
    cost: int = 2


@dataclass(frozen=True)
class PointSets:
    """Sets of points: those that a failure hits, those that are `clean`, and those that another failure `ended` earlier."""

    failing: int
    clean: int
    ended: int = 0


@dataclass(frozen=True)
class Rule:
    """Conditions that all hold. They cover `of` points, `hit` of them failing; `beyond`: also some that another failure ended."""

    conditions: tuple[Condition, ...]
    hit: int
    of: int
    beyond: bool = False

    @property
    def cost(self) -> int:
        """How long the description is; one that goes beyond what was seen counts as longer."""
        return sum(condition.cost for condition in self.conditions) + BEYOND * self.beyond

    @property
    def exact(self) -> bool:
        """Whether no clean point is covered."""
        return self.hit == self.of

    @property
    def sentence(self) -> Sentence:
        """The rule in words; a rule that is not exact says how much of what it describes is failing."""
        named = [condition for condition in self.conditions if condition.field == "architecture"]
        others = [condition for condition in self.conditions if condition.field != "architecture"]
        shown = [*named, *others]
        parts: list[str] = []
        for number, condition in enumerate(shown):
            joint = " with " if named and number == 1 and condition.field in CROSSED else ", "
            parts += [joint, *condition.words] if number else condition.words
        if not others:
            parts.append(" in every measured case" if named else "every measured case")
        return tuple(parts) if self.exact else (*parts, f": {self.hit:,} of {count(self.of, 'measured case')}")


class MeasuredPoints:
    """All measured points, and for each value of each of their fields the set of those that have it, as bits of a number."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(points)
        places: dict[str, dict[object, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, point in enumerate(self.points):
            for name, value in vars(point).items():
                places[name][value].append(index)
        self._bits = {
            name: {value: self.bits(where) for value, where in found.items()} for name, found in places.items()
        }

    def bits(self, indices: Iterable[int]) -> int:
        """Returns the set of the points with these `indices`."""
        octets = bytearray(len(self.points) // 8 + 1)
        for index in indices:
            octets[index >> 3] |= 1 << (index & 7)
        return int.from_bytes(octets, "little")

    def values(self, name: str, among: int = -1) -> list[object]:
        """Returns what the field `name` is in the points of the set `among`; versions in their order."""
        found = [value for value, bits in self._bits.get(name, {}).items() if bits & among]
        return sorted(found, key=lambda value: version_key(str(value)))

    def where(self, condition: Condition) -> int:
        """Returns the points that `condition` holds for."""
        return reduce(or_, (self._bits[condition.field].get(value, 0) for value in condition.values), 0)


def explain(measured: MeasuredPoints, seen: PointSets) -> tuple[Rule, ...]:
    """Returns the shortest rule that covers all failing points and no clean one; there is at least one failing point.

    If there is no such rule, returns a few rules that together are exact: one for each group of architectures that fail in
    the same versions. If there are none of these either, returns the narrowest rule.
    """
    single = _smallest(measured, seen)
    if single.exact:
        return (single,)
    parts = _alike(measured, seen.failing)
    several = tuple(_smallest(measured, replace(seen, failing=part)) for part in parts[: RULES + 1])
    return several if len(several) <= RULES and all(rule.exact for rule in several) else (single,)


def describe(rules: Sequence[Rule]) -> Sentence:
    """Returns what `explain` found, as one sentence."""
    return tuple(
        part for number, rule in enumerate(rules) for part in (("; " if number else ""), *rule.sentence) if part
    )


def _alike(measured: MeasuredPoints, failing: int) -> list[int]:
    """The `failing` points in parts: those of architectures that are failing in the same versions, ways of loading and checks."""
    parts: dict[tuple[object, ...], int] = defaultdict(int)
    for name in measured.values("architecture", failing):
        its = failing & measured.where(Condition("architecture", frozenset({name}), ()))
        where = tuple(condition for choice in _narrow(measured, its) for condition in choice)
        parts[where] |= its
    return sorted(parts.values(), key=int.bit_count, reverse=True)


def _smallest(measured: MeasuredPoints, seen: PointSets) -> Rule:
    """The shortest exact rule, all being tried, some hundred; else the narrowest."""
    choices = [*_narrow(measured, seen.failing), list(_architectures(measured, seen.failing))]
    bits = {condition: measured.where(condition) for choice in choices for condition in choice}

    def rule(conditions: tuple[Condition, ...]) -> Rule:
        covered = reduce(and_, (bits[condition] for condition in conditions), -1)
        hit, of = (covered & seen.failing).bit_count(), (covered & (seen.failing | seen.clean)).bit_count()
        return Rule(conditions, hit, of, beyond=bool(covered & seen.ended))

    rules = [rule(tuple(filter(None, chosen))) for chosen in product(*([None, *choice] for choice in choices))]
    narrowest = rule(tuple(choice[0] for choice in choices if choice))
    return min((found for found in rules if found.exact), key=lambda found: found.cost, default=narrowest)


def _narrow(measured: MeasuredPoints, failing: int) -> Iterator[list[Condition]]:
    """For each field but the architecture the one condition that fits the failing points, if not all points do."""
    for name in (*CROSSED, *_WORDS):
        every, bad = measured.values(name), measured.values(name, failing)
        if name in CROSSED:
            first, last = every.index(bad[0]), every.index(bad[-1])
            bad, words = every[first : last + 1], _range(name, first, last, every)
        else:
            words = (_WORDS[name].format(join_words(list(map(str, bad)))),)
        yield [Condition(name, frozenset(bad), words)] if len(bad) < len(every) else []


_WORDS: Final = {"device": "on {}", "loader": "{} loader", "check": "{} check", "precision": "in {}"}


def _range(package: str, first: int, last: int, every: Sequence[object]) -> Sentence:
    """Versions `first` to `last` of all that were measured; what lies between measured ones is not known."""
    begin, end = clip(str(every[first])), clip(str(every[last]))
    newest = last == len(every) - 1
    if first == last:
        return f"{package} ", begin, " (the newest measured)" if newest else ""
    if newest:
        return f"{package} ", begin, " and newer (as measured)"
    if first == 0:
        return f"{package} up to ", end, " (as measured)"
    return f"{package} ", begin, " to ", end, " (as measured)"


def _architectures(measured: MeasuredPoints, failing: int) -> Iterator[Condition]:
    """What describes the architectures of the failing points: their names, which are the narrowest, or what they share."""
    names, families = (list(map(str, measured.values(name, failing))) for name in ("architecture", "family"))
    if len(names) < len(measured.values("architecture")):
        yield Condition("architecture", frozenset(names), _named(names), 2 * len(names))
    if measured.values("buffers", failing) == [True] and len(measured.values("buffers")) > 1:
        yield Condition("buffers", frozenset({True}), ("architectures with persistent buffers",))
    if all(families) and len(families) < len(measured.values("family")):
        words = f"{'family' if len(families) == 1 else 'families'} {join_words(families)}"
        yield Condition("family", frozenset(families), (words,), 1 + 2 * len(families))


def _named(names: Sequence[str]) -> Sentence:
    """The names in words, at most NAMED of them."""
    shown = [clip(name.partition(":")[0]) for name in names[:NAMED]]
    left = len(names) - len(shown)
    parts: list[str] = []
    for number, name in enumerate(shown):
        last = number == len(shown) - 1 and not left
        parts += [*([" and " if last else ", "] if number else []), name]
    return (*parts, f" and {left:,} more architectures") if left else tuple(parts)
