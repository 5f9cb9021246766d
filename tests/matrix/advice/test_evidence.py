"""What known.toml and the documents say of versions rests on records in docs/evidence, or is marked as read and not run."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from matrix.advice.known import Known, Proof, load_known
from matrix.environments.choose import load_environments
from matrix.environments.packages import CROSSED
from matrix.model import Case, Failure, Finding
from tests.support.history.real_runs import evidence as read_evidence

ROOT = Path(__file__).parents[3]
MEASURED = {f"{cell.environment.transformers}+{cell.environment.deepspeed}": cell for cell in read_evidence().cells}
KNOWN = {rule.id: rule for rule in load_known()}
RUN = [(rule, rule.evidence) for rule in KNOWN.values() if rule.evidence]
EVERY = pytest.mark.parametrize(("rule", "evidence"), RUN, ids=[rule.id for rule, _ in RUN])
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
READ = "read in the sources, not run"
CHANGED = re.compile(r"\b(?:[Ss]ince|[Bb]efore|[Ff]ixed in) (?:transformers |deepspeed |DeepSpeed )?(\d+\.\d+\.\d+)")
LINK = re.compile(r"(?:github\.com/[\w./-]+/|#)(\d{4,5})\b")


def explained(rule: Known, pairs: Iterable[str]) -> Iterator[tuple[Case, Failure | Finding]]:
    """What `rule` explains in the records of these pairs."""
    for cell in (MEASURED[pair] for pair in pairs):
        for case in cell.cases:
            causes = (*case.findings, *([case.error] if case.error else ()))
            yield from ((case, cause) for cause in causes if rule.explains(case, cell.environment, cause))


def bounds(rule: Known) -> set[tuple[str, str, str]]:
    """The package, operator and version of each part of a range that `rule` has."""
    ranges = [(package, getattr(match, package)) for match in rule.match for package in CROSSED]
    return {(name, one.operator, one.version) for name, wanted in ranges for one in SpecifierSet(wanted)}


def versions(package: str, pairs: Iterable[str]) -> list[Version]:
    return [Version(pair.split("+")[CROSSED.index(package)]) for pair in pairs]


@EVERY
def test_bad_versions_have_the_failure_and_good_ones_do_not(rule: Known, evidence: Proof) -> None:
    anywhere = replace(rule, match=tuple(replace(match, transformers="", deepspeed="") for match in rule.match))
    assert all(any(explained(rule, [pair])) for pair in evidence.bad)
    assert all(any(explained(replace(rule, match=(match,)), evidence.bad)) for match in rule.match)
    failed = {case.key for case, _ in explained(rule, evidence.bad)}
    for pair in evidence.good:
        assert not any(explained(anywhere, [pair]))
        assert failed & {case.key for case in MEASURED[pair].cases if not case.error}, "another exception hides it"


@EVERY
def test_only_the_package_that_mended_it_differs(rule: Known, evidence: Proof) -> None:
    packages = ("python", "torch", "accelerate", "device", "world_size", *CROSSED)
    others = [name for name in packages if not rule.fixed_in.startswith(name)]
    found = [MEASURED[pair].environment for pair in (*evidence.bad, *evidence.good)]
    assert len({tuple(getattr(one, name) for name in others) for one in found}) == 1


@EVERY
def test_a_range_begins_and_ends_where_records_do(rule: Known, evidence: Proof) -> None:
    package, _, fixed = rule.fixed_in.partition(" ")
    assert {name for name, _, _ in bounds(rule)} <= {package}
    if not fixed:
        return
    bad, good = versions(package, evidence.bad), versions(package, evidence.good)
    axis = versions(package, [f"{one.transformers}+{one.deepspeed}" for one in load_environments()])
    takes_over = any(other.becomes == rule.id for _, other in RUN)
    assert Version(fixed) in good
    assert evidence.becomes or not [one for one in axis if max(bad) < one < Version(fixed)]
    for _, operator, version in bounds(rule):
        begins, edge = operator == ">=", Version(version)
        assert begins or operator == "<"
        assert edge in bad if begins else edge in good or evidence.becomes
        assert takes_over or not begins or min(good) < edge


@pytest.mark.parametrize("rule", [rule for rule, evidence in RUN if evidence.becomes], ids=lambda rule: rule.id)
def test_what_becomes_another_failure_fails_in_the_same_cases(rule: Known) -> None:
    after = KNOWN[rule.evidence.becomes] if rule.evidence else rule
    assert after.fixed_in == rule.fixed_in
    (edge,) = (version for _, operator, version in bounds(rule) if operator == "<")
    assert edge in {version for _, operator, version in bounds(after) if operator == ">="}
    here, there = ({case.key for case, _ in explained(one, one.evidence.bad)} for one in (rule, after) if one.evidence)
    assert here & there


def test_each_record_is_the_evidence_of_something() -> None:
    named = {pair for _, evidence in RUN for pair in (*evidence.bad, *evidence.good)}
    assert {*MEASURED} == named


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_documents_link_to_known_failures_and_date_only_those(path: Path) -> None:
    text = " ".join(path.read_text(encoding="utf-8").split())
    linked = {link.rpartition("/")[2] for rule in KNOWN.values() for link in rule.issues}
    assert {*LINK.findall(text)} <= linked
    dated = {version for one in text.split(". ") if READ not in one for version in CHANGED.findall(one)}
    assert dated <= {rule.fixed_in.partition(" ")[2] for rule in KNOWN.values()}
