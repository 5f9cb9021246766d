"""The trusted side: reports a workflow run that measured a pull request in a comment, a check run and a step summary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.comment.context import CommentView, Facts
from bot.comment.outputs import build_check_run, build_view, compute_digest, render_comment
from bot.comment.post import has_newer_report, post_comment
from bot.comment.state import CommentState
from bot.github.errors import ForbiddenError, NotFoundError, TooLargeError
from bot.github.thread import Thread, reply
from bot.github.types import ArtifactInfo, JobResult, WorkflowRun
from bot.pull_requests.assess import Assessment, recompute_plan
from bot.pull_requests.plan import list_expected_cases
from bot.pull_requests.services import Services
from bot.pull_requests.subject import Ignored, find_subject, parse_selector
from bot.pull_requests.tracking_issue import TrackedResult
from bot.pull_requests.watch import list_result
from bot.untrusted.artifacts import Rejected, read_runs, select_artifacts
from bot.untrusted.strict_records import LIMITS
from matrix.comparison.compare import Comparison, compare
from matrix.comparison.plan import ComparisonPlan

_GOOD: Final = frozenset({"success", "skipped"})


@dataclass(frozen=True)
class Reported:
    """What happened to the report of a run: `words` say where it was posted, `view` is all there is to show, if any."""

    words: tuple[str, ...]
    view: CommentView | None = None


def report_run(run: WorkflowRun, services: Services) -> Reported:
    """Reports `run` wherever the bot may write; posts nothing when it measured no loading code. Raises GitHubError."""
    found = find_subject(run, services.github, services.workflow)
    if isinstance(found, Ignored):
        return Reported((f"No report posted: {found.reason}.",))
    assessed = recompute_plan(services, run, found)
    if not assessed.plan.jobs:
        return Reported(("No report posted: the pull request touches no loading code.",))
    shown = compare_run(run, assessed, services).view()
    # Asked again: downloading and comparing takes a while, in which the author may push or close.
    if isinstance(moved := find_subject(run, services.github, services.workflow), Ignored):
        return Reported((f"No report posted: {moved.reason}.",), shown)
    return Reported(_post(run, shown, services), shown)


@dataclass(frozen=True)
class Conclusion:
    """What a run says: the comparison, what was rejected of its artifacts, and every fact that casts doubt on both.

    The comment, the check run and the answer to `/zero3 explain` all show this one.
    """

    facts: Facts
    comparison: Comparison
    rejected: tuple[Rejected, ...]

    def view(self) -> CommentView:
        """Returns all there is to show."""
        return build_view(self.facts, self.comparison, self.rejected)

    def narrow(self, architecture: str) -> "Conclusion":
        """Returns what it says about one architecture, with every doubt about the run."""
        own = tuple(one for one in self.comparison.compared if one.key.architecture == architecture)
        return replace(self, facts=replace(self.facts, touched=()), comparison=replace(self.comparison, compared=own))


def compare_run(run: WorkflowRun, assessed: Assessment, services: Services) -> Conclusion:
    """Compares what `run` measured with what it had to measure; raises GitHubError."""
    workflow, plan = services.workflow, assessed.plan
    jobs = services.github.list_jobs(workflow.repository, run.id, run.attempt)
    comparison, rejected = _compare_artifacts(services, run, plan, jobs)
    facts = Facts(
        plan=plan,
        touched=assessed.affected.touched,
        since=plan.head_sha,
        report_url=services.page,
        run_url=run.url,
        notes=tuple((note,) for note in assessed.notes),
        selector=parse_selector(run),
        project_url=services.home,
        uncovered=assessed.uncovered,
        measuring_edit=assessed.measuring_edit if _measures_itself(plan, services) else (),
        failed_jobs=tuple(job.name for job in jobs if job.conclusion not in _GOOD),
        commands=plan.repository.lower() == services.project.lower(),
    )
    return Conclusion(facts, comparison, rejected)


def _measures_itself(plan: ComparisonPlan, services: Services) -> bool:
    """Tests whether code of the pull request's own repository measured it: its workflows, or this whole project."""
    return plan.repository.lower() in (services.workflow.repository.lower(), services.project.lower())


def _compare_artifacts(
    services: Services, run: WorkflowRun, plan: ComparisonPlan, jobs: Sequence[JobResult]
) -> tuple[Comparison, tuple[Rejected, ...]]:
    """Returns the comparison that the artifacts of `run` hold, and what of them was rejected; raises GitHubError."""
    listed = select_artifacts(services.github.list_artifacts(services.workflow.repository, run.id), plan)
    archives = {name: _download(services, name, artifact) for name, artifact in listed.items()}
    runs, rejected = read_runs(archives, plan, jobs)
    return compare(runs, list_expected_cases(plan).get("pair", ())), rejected


def _download(services: Services, job: str, artifact: ArtifactInfo) -> bytes | Rejected:
    try:
        return services.github.download_artifact(services.workflow.repository, artifact.id, LIMITS.archive)
    except TooLargeError:
        return Rejected(job, ("its results are larger than the limit",))
    except NotFoundError:
        return Rejected(job, ("its results are no longer there",))


def _post(run: WorkflowRun, shown: CommentView, services: Services) -> tuple[str, ...]:
    """Writes comment and check run where the bot may write, else the tracking issue of its own project.

    Somebody asked for a narrowed run: the result is a reply to them, and the report of the whole run stays.
    """
    thread = Thread(services.github, shown.repository, shown.number)
    allowed = services.settings.may_comment(shown.repository, services.workflow.repository)
    if parse_selector(run):
        marker = f"<!-- zero3-run {run.id}.{run.attempt} -->"
        return (
            reply(thread, render_comment(shown), marker)
            if allowed
            else "No reply posted: the bot may not comment there.",
        )
    if not allowed:
        entry = TrackedResult(shown.repository, shown.number, shown.head, shown.headline, run.id, run.attempt, run.url)
        return (list_result(services, entry),)
    state = CommentState(
        shown.head, shown.base, run.id, run.attempt, shown.headline, shown.head, digest=compute_digest(shown)
    )
    if has_newer_report(thread, state):
        return ("No report posted: the comment already reports a newer run.",)

    def body(state: CommentState, *, limit: int) -> str:
        return render_comment(replace(shown, since="" if state.since == shown.head else state.since), limit)

    return post_comment(thread, state, body), _put_check_run(run, shown, services)


def _put_check_run(run: WorkflowRun, shown: CommentView, services: Services) -> str:
    try:
        name = f"{shown.repository}#{shown.number}/{run.id}.{run.attempt}"
        return f"Check run: {services.github.put_check_run(shown.repository, build_check_run(shown, name))}"
    except (ForbiddenError, NotFoundError) as error:
        return f"The check run could not be written: {error}"
