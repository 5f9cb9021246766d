"""From what the ranks saw to a case: findings merged over ranks, and the verdict. Pure functions."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

from matrix.check_protocol import LoadingReport, NotApplicableError
from matrix.job import Task
from matrix.model import Case, Check, Failure, Finding, Kind, Note, Tensors, What
from matrix.probe.checkpoint.fixture import Fixture
from matrix.probe.checks.observation import Observation
from matrix.probe.checks.reports import compare_reports, find_reported
from matrix.probe.compat import UnsupportedPrecisionError
from matrix.verdicts import Verdict

Message = Mapping[str, Any]
Described = Mapping[str, tuple[What, str]]
"""What each tensor of an architecture is, and its site."""


def _merge(seen: list[Message], described: Described, reported: AbstractSet[str]) -> list[Finding]:
    """Returns one finding per tensor and kind, with the ranks that have it and the values of the lowest of them."""
    found: dict[tuple[str, Kind], list[tuple[int, Message]]] = {}
    for rank, entry in enumerate(seen):
        for name, flaws in entry["flaws"].items():
            for flaw in flaws:
                found.setdefault((name, Kind(flaw["kind"])), []).append((rank, flaw))
    return [
        Finding(
            tensor=name,
            what=described[name][0],
            site=described[name][1],
            kind=kind,
            ranks=tuple(rank for rank, _ in holders),
            reported_missing=name in reported,
            expected=tuple(holders[0][1]["expected"]),
            actual=tuple(holders[0][1]["actual"]),
            elements=_pair(holders[0][1]["elements"]),
            detail=holders[0][1]["detail"],
            at_stage_0=_at_stage_0(name, kind, seen),
        )
        for (name, kind), holders in sorted(found.items())
    ]


def _at_stage_0(name: str, kind: Kind, seen: list[Message]) -> bool | None:
    """Returns whether the control rounds a tensor on every rank; None where it was not tried, or the tensor is not rounded."""
    controls = [entry["at_stage_0"] for entry in seen]
    if kind is not Kind.ROUNDED or None in controls:
        return None
    return all(name in control for control in controls)


def _merge_notes(seen: list[Message]) -> tuple[Note, ...]:
    """Returns each note once, with the ranks that made it."""
    found: dict[tuple[str, str], list[int]] = {}
    for rank, entry in enumerate(seen):
        for about, text in entry["notes"].items():
            if text:
                found.setdefault((about, text), []).append(rank)
    return tuple(Note(about, text, tuple(ranks)) for (about, text), ranks in sorted(found.items()))


def _times(message: Message | None) -> tuple[float, float]:
    """Returns the seconds in all and the seconds loading that a rank reported of one check."""
    timed = message.get("seen", message) if message else {}
    return round(timed.get("seconds", 0.0), 4), round(timed.get("load_seconds", 0.0), 4)


def _pair(values: Iterable[int]) -> tuple[int, int]:
    first, second = values
    return first, second


def _verdict(blamed: list[Finding], found: list[Finding], *, partitioned: bool, misreported: bool) -> Verdict:
    """Returns the verdict on what was `found`; `blamed` is the part that a plain load does not give as well."""
    if blamed:
        silent = {finding.kind for finding in blamed if not finding.reported_missing}
        return Verdict.CORRUPT if silent - {Kind.ROUNDED} else Verdict.NARROWED if silent else Verdict.REPORTED
    if not partitioned:
        return Verdict.NOT_PARTITIONED
    if misreported:
        return Verdict.MISREPORTED
    return Verdict.BASELINE_BROKEN if found else Verdict.PASS


def _blame(observation: Observation, check: Check) -> list[Failure]:
    """Returns what ended a check early, one failure per rank, only those of the first cause that applies.

    A killed rank comes first: what the others then raise, or wait for, follows from it. A hang comes last.
    """
    messages = enumerate(observation.outcomes[check])
    raised = [Failure(**{**m["failure"], "ranks": (rank,)}) for rank, m in messages if m and "failure" in m]
    ended = [failure for _, failure in sorted(observation.ended.items())]
    causes = {
        kind: [failure for failure in ended if failure.type == kind] for kind in ("RankKilled", "RankDied", "Hang")
    }
    return causes["RankKilled"] or raised or causes["RankDied"] or causes["Hang"]


def _broken(observation: Observation, check: Check) -> tuple[Verdict, Failure] | None:
    """Returns the verdict and evidence when not every rank came to an end, None when all did."""
    if all(message and "seen" in message for message in observation.outcomes[check]):
        return None
    blamed = _blame(observation, check)
    ranks = tuple(rank for failure in blamed for rank in failure.ranks)
    verdict = _ENDS.get(blamed[0].type, Verdict.CRASH)
    return verdict, replace(blamed[0], ranks=ranks)


_ENDS: Final = {
    "Hang": Verdict.HANG,
    UnsupportedPrecisionError.__name__: Verdict.UNSUPPORTED,
    NotApplicableError.__name__: Verdict.UNSUPPORTED,
}
"""What an end other than by an exception of upstream says of a case."""


def _judged(case: Case, outcomes: list[Message], fixture: Fixture, described: Described) -> Case:
    """Returns `case` with the verdict and findings of ranks that all came to an end."""
    seen = [outcome["seen"] for outcome in outcomes]
    reports = [LoadingReport.from_dict(entry["report"]) for entry in seen]
    named = {name for entry in seen for name in entry["named"]}
    found = _merge(seen, described, find_reported(fixture.report, reports) | named)
    blamed = [finding for finding in found if (finding.tensor, finding.kind) not in fixture.baseline]
    report = compare_reports(fixture.report, reports, {finding.tensor for finding in found})
    partitioned = all(entry["partitioned"] for entry in seen)
    verdict = _verdict(blamed, found, partitioned=partitioned, misreported=bool(report))
    evidence = () if verdict is Verdict.MISREPORTED else tuple(blamed or found)
    left_out = tuple(Note(way, why) for way, why in fixture.left_out)
    tensors, notes = Tensors(**seen[0]["tensors"]), (*_merge_notes(seen), *left_out)
    return replace(case, verdict=verdict, findings=evidence, report=report, tensors=tensors, notes=notes)


def _case(task: Task, check: Check, verdict: Verdict, **values: Any) -> Case:
    return Case(task.architecture, task.loader, check, verdict, task.precision, task.configuration, **values)


def judge_task(task: Task, observation: Observation, fixture: Fixture, described: Described) -> list[Case]:
    """Returns the case of each check of `task`, whose architecture's tensors are `described`."""
    decided = []
    for check, outcomes in observation.outcomes.items():
        times = [_times(message) for message in outcomes]
        seconds, loading = (max(column) for column in zip(*times, strict=True))
        case = _case(task, check, Verdict.PASS, seconds=seconds, load_seconds=loading)
        if broken := _broken(observation, check):
            decided.append(replace(case, verdict=broken[0], error=broken[1]))
        else:
            decided.append(_judged(case, [message for message in outcomes if message], fixture, described))
    return decided


def foresee_cases(task: Task, fixture: Fixture) -> list[Case]:
    """Returns the cases of a task that say nothing about ZeRO-3: one process cannot load, or save, the model either."""
    return [
        _case(task, check, fixture.foreseen(check), error=fixture.error)
        for check in task.checks
        if fixture.foreseen(check) is not Verdict.PASS
    ]


def remove_foreseen(task: Task, fixture: Fixture) -> Task:
    """Returns the task with the checks that are left to make, maybe none."""
    return replace(task, checks=tuple(check for check in task.checks if fixture.foreseen(check) is Verdict.PASS))


def signature(case: Case) -> tuple[object, ...]:
    """Returns what a rerun must repeat for the verdict to be believed: the same tensors wrong on the same ranks, the same report."""
    # Not the values: what uninitialised memory holds differs from run to run.
    wrong = frozenset((finding.tensor, finding.ranks) for finding in case.findings)
    return case.verdict, wrong, case.report, case.error and (case.error.type, case.error.ranks)


def confirm(runs: list[Case]) -> Case:
    """Returns one case from the first run and its reruns: `flaky` unless all agree."""
    first = runs[0]
    agreeing = sum(signature(run) == signature(first) for run in runs)
    verdict = first.verdict if agreeing == len(runs) else Verdict.FLAKY
    return replace(first, verdict=verdict, confirmed=(agreeing, len(runs)))
