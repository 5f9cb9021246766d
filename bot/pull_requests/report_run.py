"""The trusted zone: a workflow run that measured a pull request becomes one comment, one check run and a step summary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.comment.context import CommentView, Facts
from bot.comment.outputs import check_run, digest, markdown, view
from bot.comment.post import Thread, newer, post, reply
from bot.comment.upsert import State
from bot.github.client import GitHub
from bot.github.errors import ForbiddenError, NotFoundError, TooLargeError
from bot.github.project import Desk
from bot.github.types import ArtifactInfo, JobResult, PullRequest, WorkflowRun
from bot.pull_requests.assess import Judged, judge
from bot.pull_requests.plan import GITHUB, Sources, expected_keys
from bot.pull_requests.subject import Ignored, Workflow, selector, subject
from bot.pull_requests.tracking_issue import Entry
from bot.pull_requests.watch import track
from bot.settings import Settings
from bot.untrusted.artifacts import Refused, runs_of, wanted
from bot.untrusted.strict_records import LIMITS
from matrix.comparison.compare import Comparison, compare
from matrix.comparison.plan import ComparisonPlan

GOOD = frozenset({"success", "skipped"})


@dataclass(frozen=True)
class Office:
    """Where to read and write: the `desk`, the workflow that measures, and what the repository has settled on.

    `sources` says where commits are cloned from, `page` is where this job's step summary can be read,
    `home` where this project lives.
    """

    desk: Desk
    workflow: Workflow
    settings: Settings
    sources: Sources = GITHUB
    page: str = ""
    home: str = ""

    def judged(self, run: WorkflowRun, pull_request: PullRequest) -> Judged:
        """What `run` had to measure."""
        return judge(self.desk.github, pull_request, selector(run), self.sources)


@dataclass(frozen=True)
class Told:
    """What became of a run: where it was said, in words, and everything that is to be said, if anything is."""

    words: tuple[str, ...]
    view: CommentView | None = None


def report(run: WorkflowRun, office: Office) -> Told:
    """Tell about `run` wherever it may be told; silence when it measured no loading code. Raises GitHubError."""
    found = subject(run, office.desk.github, office.workflow)
    if isinstance(found, Ignored):
        return Told((f"Nothing is told: {found.reason}.",))
    judged = office.judged(run, found)
    if not judged.plan.duels:
        return Told(("Nothing is told: the pull request touches no loading code.",))
    shown = seen(run, judged, office)
    if isinstance(moved := subject(run, office.desk.github, office.workflow), Ignored):
        return Told((f"Nothing is told: {moved.reason}.",), shown)
    return Told(_everywhere(run, shown, office), shown)


def seen(run: WorkflowRun, judged: Judged, office: Office) -> CommentView:
    """What `run` measured of what it had to, compared; raises GitHubError."""
    github, workflow = office.desk.github, office.workflow
    jobs = github.jobs(workflow.repository, run.id, run.attempt)
    comparison, refused = compared(github, run, judged.plan, jobs, workflow.repository)
    facts = Facts(
        plan=judged.plan,
        touched=judged.affected.touched,
        since=judged.plan.head_sha,
        report_url=office.page,
        run_url=run.url,
        notes=tuple((note,) for note in judged.notes),
        selector=selector(run),
        project_url=office.home,
        uncovered=judged.uncovered,
        own_workflows=judged.own_workflows and judged.plan.repository.lower() == workflow.repository.lower(),
        failed_jobs=tuple(job.name for job in jobs if job.conclusion not in GOOD),
        commands=judged.plan.repository.lower() == office.desk.project.lower(),
    )
    return view(facts, comparison, refused)


def compared(
    github: GitHub, run: WorkflowRun, plan: ComparisonPlan, jobs: Sequence[JobResult], repository: str
) -> tuple[Comparison, tuple[Refused, ...]]:
    """The comparison that the artifacts of `run` hold, and what of them is not believed; raises GitHubError."""
    listed = wanted(github.artifacts(repository, run.id), plan)
    archives = {name: _archive(github, repository, name, listed[name]) for name in listed}
    runs, refused = runs_of(archives, plan, jobs)
    return compare(runs, expected_keys(plan).get("pair", ())), refused


def _archive(github: GitHub, repository: str, duel: str, artifact: ArtifactInfo) -> bytes | Refused:
    try:
        return github.download(repository, artifact.id, LIMITS.archive)
    except TooLargeError:
        return Refused(duel, ("its results are larger than any that this project writes",))
    except NotFoundError:
        return Refused(duel, ("its results are no longer there",))


def _everywhere(run: WorkflowRun, shown: CommentView, office: Office) -> tuple[str, ...]:
    """Comment and check run where the bot may write, else the tracking issue of its own project.

    Somebody asked for a narrowed run: it is told to them, and what a whole run has told stays as it is.
    """
    thread = Thread(office.desk.github, shown.repository, shown.number)
    marker = f"<!-- zero3-run {run.id}.{run.attempt} -->"
    allowed = office.settings.may_comment(shown.repository, office.workflow.repository)
    if selector(run):
        return (
            reply(thread, markdown(shown), marker) if allowed else "Nobody to tell: the bot may not comment there.",
        )
    if not allowed:
        entry = Entry(shown.repository, shown.number, shown.head, shown.headline, run.id, run.attempt, run.url)
        return (track(office.desk, entry),)
    state = State(shown.head, shown.base, run.id, run.attempt, shown.headline, shown.head, digest=digest(shown))

    def body(state: State, *, limit: int) -> str:
        return markdown(replace(shown, since="" if state.since == shown.head else state.since), limit)

    if newer(thread, state):
        return ("Nothing is told: a newer run has been told about.",)
    return post(thread, state, body), _checked(run, shown, office)


def _checked(run: WorkflowRun, shown: CommentView, office: Office) -> str:
    try:
        name = f"{shown.repository}#{shown.number}/{run.id}.{run.attempt}"
        return f"Check run: {office.desk.github.put_check_run(shown.repository, check_run(shown, name))}"
    except (ForbiddenError, NotFoundError) as error:
        return f"The check run could not be written: {error}"
