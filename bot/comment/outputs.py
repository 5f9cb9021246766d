"""Renders a comparison for a pull request: a comment, a check run and a step summary with one verdict."""

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.comment.context import CommentView, Facts, Part, Reproduction, RevisionView, TouchedPlace
from bot.comment.headline import BLAMED, choose_headline, count_outcomes, find_doubts, write_answer
from bot.comment.rows import build_gaps, build_rows, rank_cases
from bot.comment.shorten import CALM, CHECK_LIMIT, COMMENT_LIMIT, SUMMARY_LIMIT, apply_steps, fits_comment, shorten
from bot.comment.state import Headline
from bot.comment.words import ROLES, clean_sentence
from bot.github.types import Annotation, CheckRun
from bot.render import render
from bot.report.labels import format_options
from bot.text import Code, clip, strip_marks
from bot.untrusted.artifacts import Rejected
from matrix.advice.known import load_known
from matrix.comparison.compare import Comparison, Role
from matrix.comparison.outcome import Outcome
from matrix.comparison.plan import ComparisonPlan
from matrix.environments.packages import INSTALLABLE, PACKAGES, PROJECT, RECORDED
from matrix.model import CaseKey
from matrix.text import join_lines

CHECK_NAME = "ZeRO-3 matrix"
ANNOTATIONS = 50
_CONCLUSIONS = {Headline.REGRESSED: "failure", Headline.UNCERTAIN: "neutral"}
_SAFE_PIN = re.compile(r"[\w.+-]+|git\+(https?|file)://[\w./:-]+@[0-9a-f]{40}", re.ASCII)
_SAFE_ARCHITECTURE = re.compile(r"[\w.-]{1,99}:\w{1,99}", re.ASCII)


def build_view(facts: Facts, comparison: Comparison, rejected: Sequence[Rejected] = ()) -> CommentView:
    """Returns everything that may be shown of `comparison`, not shortened; `rejected` says which results do not count."""
    counted = count_outcomes(comparison)
    doubted = find_doubts(counted, comparison, facts, rejected)
    head = choose_headline(counted, doubted)
    pins, known = _pins(facts.plan), load_known()  # what regressed is news, and is not explained by that
    return CommentView(
        repository=facts.plan.repository,
        number=facts.plan.number,
        base=facts.plan.base_sha,
        head=facts.plan.head_sha,
        since="" if facts.since == facts.plan.head_sha else facts.since,
        headline=head,
        answer=write_answer(head, counted, comparison, doubted),
        tally=counted.words,
        report_url=facts.report_url,
        run_url=facts.run_url,
        command=_command(facts.plan, pins.get(Role.HEAD, {}), comparison),
        regressed=build_rows(comparison, BLAMED, _other(pins)),
        fixed=build_rows(comparison, [Outcome.FIXED]),
        still_broken=build_rows(comparison, [Outcome.STILL_BROKEN], known=known),
        flaky=build_rows(comparison, [Outcome.FLAKY], known=known),
        gaps=build_gaps(comparison, facts, rejected),
        revisions=_revisions(pins, comparison),
        places=Part.whole(
            tuple(TouchedPlace(one.path, one.symbol, one.lines, clean_sentence(one.why)) for one in facts.touched)
        ),
        commands=facts.commands,
        project_url=facts.project_url,
    )


def render_comment(view: CommentView, limit: int = COMMENT_LIMIT) -> str:
    """Returns the text of the comment: at most `limit` characters, and never more than GitHub takes."""
    return shorten(
        apply_steps(view, CALM), lambda shown: _page("comment.md", shown), lambda text: fits_comment(text, limit)
    )


def compute_digest(view: CommentView) -> str:
    """Returns a hash that changes when the comment says something else, not when only its links change, as after a rerun."""
    unlinked = replace(view, since="", report_url="", run_url="")
    return hashlib.sha256(render_comment(unlinked).encode()).hexdigest()


def render_summary(view: CommentView, limit: int = SUMMARY_LIMIT) -> str:
    """Returns the step summary: everything, within `limit` bytes."""
    return shorten(view, lambda shown: _page("check.md", shown), lambda text: len(text.encode()) <= limit)


def build_check_run(view: CommentView, external_id: str = "") -> CheckRun:
    """Returns the check run on head, with an annotation at each place of loading code that the change touches.

    GitHub adds annotations to those of the same `external_id` and never removes one: give each attempt its own.
    """
    return CheckRun(
        name=CHECK_NAME,
        head_sha=view.head,
        conclusion=_CONCLUSIONS.get(view.headline, "success"),
        title=clip(join_lines(strip_marks(view.answer))),
        summary=render_summary(view, CHECK_LIMIT),
        annotations=tuple(_annotations(view))[:ANNOTATIONS],
        details_url=view.report_url or view.run_url,
        external_id=external_id or f"{view.repository}#{view.number}",
    )


def _page(template: str, shown: CommentView) -> str:
    """Renders a template, with one empty line where absent parts leave more."""
    return re.sub(r"\n{3,}", "\n\n", render(template, shown)).strip() + "\n"


def _annotations(view: CommentView) -> list[Annotation]:
    """Returns no annotation for lines that head does not have: GitHub takes lines of head only."""
    level = "warning" if view.headline is Headline.REGRESSED else "notice"
    return [
        Annotation(place.path, *place.lines, _message(view, place), level)
        for place in view.places.items
        if place.path and place.lines and 0 < place.lines[0] <= place.lines[1]
    ]


def _message(view: CommentView, place: TouchedPlace) -> str:
    place_of = f"Measured because of {clip(join_lines(place.symbol))}" if place.symbol else "Measured"
    return f"{join_lines(strip_marks(view.answer))} {place_of}: {strip_marks(place.why)}"


def _pins(plan: ComparisonPlan) -> dict[Role, Mapping[str, str]]:
    """Returns what each run installs. Jobs differ in architectures, not in what they compare."""
    return {revision.role: revision.pins for job in reversed(plan.jobs) for revision in job.revisions}


def _other(pins: Mapping[Role, Mapping[str, str]]) -> str:
    """Returns the package whose older release the `other` runs have; in words where none was planned."""
    head, other = pins.get(Role.HEAD, {}), pins.get(Role.HEAD_OTHER, {})
    return next((name for name, pin in other.items() if head.get(name) != pin), "the other package")


def _revisions(pins: Mapping[Role, Mapping[str, str]], comparison: Comparison) -> Part[RevisionView]:
    """Returns one line for each run that installs something else than those before it."""
    shown = [role for role in Role if role in pins and role not in (Role.BASE_RERUN, Role.HEAD_RERUN)]
    return Part.whole(tuple(_revision(role, pins[role], comparison) for role in shown))


def _revision(role: Role, pins: Mapping[str, str], comparison: Comparison) -> RevisionView:
    cells = comparison.runs[role].cells if role in comparison.runs else ()
    info = cells[0].environment if cells else None
    named = (*RECORDED, "python", "device")
    measured = ", ".join(f"{name} {getattr(info, name)}" for name in named) if info else ""
    return RevisionView(ROLES[role], clip(", ".join(f"{name} {pin}" for name, pin in pins.items())), clip(measured))


def _command(plan: ComparisonPlan, pins: Mapping[str, str], comparison: Comparison) -> Reproduction | None:
    """Returns how to reproduce the first failing case; None where there is none, or no safe command."""
    found = rank_cases(comparison, [*BLAMED, Outcome.STILL_BROKEN, Outcome.FLAKY])
    packages = {package: pin for package, pin in pins.items() if package != PROJECT}
    if not found or not packages or not _reproducible(packages, found[0].key):
        return None
    key = found[0].key
    variables = [f"{PACKAGES[package].variable}={shlex.quote(pin)}" for package, pin in packages.items()]
    session = f"nox -s zero3_matrix -- --architecture '{key.architecture}' {format_options(key.variant)}"
    return Reproduction(Code(" ".join([*variables, session])), plan.head_sha if PROJECT in pins else "")


def _reproducible(pins: Mapping[str, str], key: CaseKey) -> bool:
    """Tests whether every pin is one that a variable takes, and nothing in the line could be a command of someone else's."""
    known = all(package in INSTALLABLE and _SAFE_PIN.fullmatch(pin) for package, pin in pins.items())
    return known and bool(_SAFE_ARCHITECTURE.fullmatch(key.architecture))
