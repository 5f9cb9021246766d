"""The table against real changes, labelled by reading them; docs/loading-code.md says how they were chosen."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.github.types import Change, ChangedFile, FileStatus
from bot.loading_code.affected import Affected, find_affected
from bot.loading_code.model_graph import ModelGraph

FOLDER = Path(__file__).parents[2] / "data" / "changes"


@dataclass(frozen=True)
class Recorded:
    """A merged pull request. `expected` is `no`, `everything`, or the folders of the models that it is about.

    `draw` is 3 for the held-out draw from which nothing was learnt, 0 for all others.
    """

    name: str
    change: Change
    expected: str | list[str]
    why: str
    held_out: bool
    draw: int

    @property
    def loads(self) -> bool:
        return self.expected != "no"

    def judged(self) -> Affected:
        return find_affected(self.change, ModelGraph())


def recorded(line: dict[str, Any]) -> Recorded:
    files = tuple(
        ChangedFile(file["path"], FileStatus(file["status"]), file.get("previous"), file["patch"])
        for file in line["files"]
    )
    change = Change(line["repository"], files, total=len(files))
    name = f"{line['repository']}#{line['number']}"
    return Recorded(name, change, line["expected"], line["why"], line["held_out"], line.get("draw", 0))


LINES = [
    line for file in sorted(FOLDER.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").split("\n") if line
]
CORPUS = [recorded(json.loads(line)) for line in LINES]
SEEN = [entry for entry in CORPUS if not entry.held_out]
HELD_OUT = [entry for entry in CORPUS if entry.held_out]
UNLEARNT = [entry for entry in CORPUS if entry.draw == 3]


def precision_and_recall(corpus: Sequence[Recorded]) -> tuple[float, float]:
    ran = [entry for entry in corpus if entry.judged()]
    right = sum(entry.loads for entry in ran)
    return right / len(ran), right / sum(entry.loads for entry in corpus)


def test_the_corpus_is_large_and_has_both_sides() -> None:
    assert len(SEEN) >= 60
    assert len(HELD_OUT) >= 15
    assert len(UNLEARNT) >= 40
    assert 0.4 < sum(entry.loads for entry in SEEN) / len(SEEN) < 0.6
    assert len({entry.name for entry in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("entry", [entry for entry in CORPUS if entry.loads], ids=lambda entry: entry.name)
def test_no_loading_code_is_missed_or_run_too_narrowly(entry: Recorded) -> None:
    found = entry.judged()
    assert found, entry.why
    expected = [] if entry.expected == "everything" else entry.expected
    assert found.everything or (expected and set(expected) <= set(found.models)), entry.why


def test_precision_and_recall(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        for name, corpus in (("tuned on", SEEN), ("held out", HELD_OUT), ("third draw", UNLEARNT), ("all", CORPUS)):
            precision, recall = precision_and_recall(corpus)
            line = f"{len(corpus)} changes, precision {precision:.3f}, recall {recall:.3f}"
            sys.stdout.write(f"\nloading code, {name}: {line}")
    for corpus in (SEEN, CORPUS):
        precision, recall = precision_and_recall(corpus)
        assert recall == 1.0
        assert precision >= 0.9


def without_headers(change: Change) -> Change:
    files = tuple(
        ChangedFile(
            file.path, file.status, file.previous, file.patch and re.sub(r"(?m)^(@@ [^@]*@@).*", r"\1", file.patch)
        )
        for file in change.files
    )
    return Change(change.repository, files, change.total)


@pytest.mark.parametrize("entry", [entry for entry in CORPUS if entry.loads], ids=lambda entry: entry.name)
def test_knowing_less_never_turns_a_yes_into_a_no(entry: Recorded) -> None:
    assert find_affected(without_headers(entry.change), ModelGraph()), entry.why
