"""Small comparisons for the tests of the comment."""

from typing import Any

from bot.comment.context import Facts
from bot.loading_code.affected import Touched
from matrix.comparison.compare import ComparedCase, Comparison, Role
from matrix.comparison.outcome import Attribution, Outcome
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision
from matrix.model import Case, CaseKey, Check, Failure, Loader, Run
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER, case, cell

BASE, HEAD, PUSH = "a" * 40, "b" * 40, "c" * 40
UPSTREAM = "git+https://github.com/huggingface/transformers@"
RED = {Outcome.REGRESSED, Outcome.NEW_BROKEN, Outcome.STILL_BROKEN, Outcome.FLAKY}


LOAD = Check("load")
PLACE = Touched("src/transformers/modeling_utils.py", "_load_pretrained_model", (10, 20), "it loads a model")


def plan(*sides: PlannedRevision) -> ComparisonPlan:
    pins = {"transformers": UPSTREAM + HEAD, "deepspeed": "0.19.8"}
    base = PlannedRevision(Role.BASE, {**pins, "transformers": UPSTREAM + BASE})
    other = PlannedRevision(Role.HEAD_OTHER, {**pins, "deepspeed": "0.18.9"})
    job = ComparisonJob("models-1", sides or (base, PlannedRevision(Role.HEAD, pins), other), (ROUTER,))
    return ComparisonPlan("huggingface/transformers", 7, BASE, HEAD, (job,))


def facts(**other: Any) -> Facts:
    return Facts(
        **{"plan": plan(), "touched": (PLACE,), "report_url": "https://github.com/o/r/actions/runs/1", **other}
    )


def compared(outcome: Outcome, architecture: str = ROUTER, check: Check = LOAD, **other: Any) -> ComparedCase:
    """A case with that outcome, and verdicts that fit it."""
    red = other.pop("red", Verdict.CORRUPT)
    error = Failure("TypeError", "no", "modeling_utils.py:1 in load", (1,)) if red is Verdict.CRASH else None

    def side(verdict: Verdict) -> Case:
        return case(architecture, verdict, check=check, error=error if verdict is red else None)

    base = red if outcome in {Outcome.FIXED, Outcome.STILL_BROKEN} else Verdict.PASS
    cases = {Role.BASE: side(base), Role.HEAD: side(red if outcome in RED else Verdict.PASS)}
    cases = {} if outcome in {Outcome.NOT_RUN, Outcome.INFRASTRUCTURE} else cases
    key = CaseKey(architecture, Loader.STOCK, check)
    return ComparedCase(
        key, outcome, **{"reason": "measured", "cases": cases, "attribution": Attribution.SUBJECT, **other}
    )


def comparison(*cases: ComparedCase, **other: Any) -> Comparison:
    return Comparison(cases, **{"runs": {Role.HEAD: Run((cell(),))}, "errors": {}, **other})
