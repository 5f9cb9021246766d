"""From what the ranks saw to a case: findings merged over ranks, and the verdict. Pure functions."""

from collections.abc import Iterable, Mapping
from typing import Any

from matrix.model import Case, Check, Failure, Finding, Kind, Task, Tensors, Verdict, What
from matrix.probe.fixture import Fixture
from matrix.probe.group import Observation

Message = Mapping[str, Any]


def _merge(seen: list[Message], what: Mapping[str, What], sites: Mapping[str, str]) -> list[Finding]:
    """One finding per tensor and kind, with the ranks that have it and the values of the lowest of them."""
    missing = set.intersection(*(set(entry["missing"]) for entry in seen))
    found: dict[tuple[str, Kind], list[tuple[int, Message]]] = {}
    for rank, entry in enumerate(seen):
        for name, flaws in entry["flaws"].items():
            for flaw in flaws:
                found.setdefault((name, Kind(flaw["kind"])), []).append((rank, flaw))
    return [
        Finding(
            tensor=name,
            what=what[name],
            site=sites[name],
            kind=kind,
            ranks=tuple(rank for rank, _ in holders),
            reported_missing=name in missing,
            expected=tuple(holders[0][1]["expected"]),
            actual=tuple(holders[0][1]["actual"]),
            elements=_pair(holders[0][1]["elements"]),
            detail=holders[0][1]["detail"],
        )
        for (name, kind), holders in sorted(found.items())
    ]


def _pair(values: Iterable[int]) -> tuple[int, int]:
    first, second = values
    return first, second


def _verdict(blamed: list[Finding], found: list[Finding], *, partitioned: bool) -> Verdict:
    """`blamed` are those of `found` that a plain load does not give as well."""
    if blamed:
        return Verdict.REPORTED if all(finding.reported_missing for finding in blamed) else Verdict.CORRUPT
    if not partitioned:
        return Verdict.NOT_PARTITIONED
    return Verdict.BASELINE_BROKEN if found else Verdict.PASS


def _broken(observation: Observation, check: Check) -> tuple[Verdict, Failure] | None:
    """The verdict and evidence when not every rank came to an end, None when all did."""
    outcomes = observation.outcomes[check]
    raised = [(rank, outcome["failure"]) for rank, outcome in enumerate(outcomes) if outcome and "failure" in outcome]
    if raised:
        ranks = tuple(rank for rank, _ in raised)
        return Verdict.CRASH, Failure(**{**raised[0][1], "ranks": ranks})
    silent = [rank for rank, outcome in enumerate(outcomes) if outcome is None]
    ended = [observation.ended[rank] for rank in silent if rank in observation.ended]
    if not silent:
        return None
    died = [failure for failure in ended if failure.type != "Hang"]
    verdict, first = (Verdict.CRASH, died[0]) if died else (Verdict.HANG, ended[0])
    ranks = tuple(rank for failure in (died or ended) for rank in failure.ranks)
    return verdict, Failure(first.type, first.message, first.frame, ranks)


def cases(
    task: Task, observation: Observation, fixture: Fixture, what: Mapping[str, What], sites: Mapping[str, str]
) -> list[Case]:
    """The case of each check of `task`. `what` and `sites` describe every tensor of its architecture by name."""
    decided = []
    for check in task.checks:
        if broken := _broken(observation, check):
            verdict, error = broken
            decided.append(Case(task.architecture, task.loader, check, verdict, error=error))
            continue
        seen = [outcome["seen"] for outcome in observation.outcomes[check] if outcome]
        found = _merge(seen, what, sites)
        blamed = [finding for finding in found if (finding.tensor, finding.kind) not in fixture.baseline]
        verdict = _verdict(blamed, found, partitioned=all(entry["partitioned"] for entry in seen))
        decided.append(
            Case(
                architecture=task.architecture,
                loader=task.loader,
                check=check,
                verdict=verdict,
                tensors=Tensors(**seen[0]["tensors"]),
                findings=tuple(blamed or found),
                seconds=round(max(entry["seconds"] for entry in seen), 4),
                load_seconds=round(max(entry["load_seconds"] for entry in seen), 4),
            )
        )
    return decided


def signature(case: Case) -> tuple[object, ...]:
    """What must be the same in a rerun for the verdict to be believed: the same tensors wrong on the same ranks."""
    wrong = frozenset((finding.tensor, finding.ranks) for finding in case.findings)
    return case.verdict, wrong, case.error and (case.error.type, case.error.ranks)


def confirm(runs: list[Case]) -> Case:
    """One case from the first run and its reruns: `flaky` unless all agree."""
    first = runs[0]
    agreeing = sum(signature(run) == signature(first) for run in runs)
    verdict = first.verdict if agreeing == len(runs) else Verdict.FLAKY
    return Case(**{**vars(first), "verdict": verdict, "confirmed": (agreeing, len(runs))})
