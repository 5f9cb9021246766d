"""Builds the bot's services (GitHub client, repositories, settings) from the CI environment."""

from dataclasses import dataclass, replace
from typing import Final, TypeVar

from bot.github.actions import JobContext
from bot.github.client import GitHub, connect
from bot.github.events import DispatchEvent, Event, EventError, HomeRepository, PullRequestEvent, name_event
from bot.github.types import PullRequest
from bot.pull_requests.commit_sources import GITHUB, CommitSources
from bot.pull_requests.subject import MeasuringWorkflow
from bot.settings import Settings
from matrix.environments.packages import PROJECT

_Kind = TypeVar("_Kind")
WORKFLOW: Final = "pull-request.yml"


@dataclass(frozen=True)
class Services:
    """The GitHub client, the repositories and the settings that the bot works with.

    `project` is this project's own repository, whose workflows measure pull requests of every repository. `workflow` is
    the one whose runs are reported, `sources` says where commits are cloned from. `page` is where the step summary of
    this job can be read, `home` the address of `project`.
    """

    github: GitHub
    project: str
    workflow: MeasuringWorkflow
    settings: Settings
    sources: CommitSources = GITHUB
    page: str = ""
    home: str = ""

    def start_run(self, pull_request: PullRequest, selector: str = "") -> None:
        """Starts measuring a pull request at exactly the commits that it has here.

        `selector` narrows it to some architectures. Raises GitHubError.
        """
        inputs = {
            "repository": pull_request.repository,
            "number": str(pull_request.number),
            "base": pull_request.base.sha,
            "head": pull_request.head.sha,
            "selector": selector,
        }
        self.github.dispatch(self.project, WORKFLOW, self.workflow.trusted_branch, inputs)


def build_services(context: JobContext, settings: Settings, home: HomeRepository) -> Services:
    """Returns the services for the repository `home`, where this job runs."""
    return Services(
        github=connect(context, settings.login),
        project=context.project,
        workflow=MeasuringWorkflow(home.full_name, context.workflow, home.default_branch),
        settings=settings,
        sources=build_sources(context),
        page=context.url,
        home=f"{context.server_url}/{context.project}",
    )


def build_sources(context: JobContext) -> CommitSources:
    """Returns where commits are cloned from, this project under the name of its repository."""
    known = CommitSources()
    name = context.project.rpartition("/")[2].lower()
    return CommitSources(f"{context.server_url}/", {**known.packages, name: known.packages.get(name, PROJECT)})


def require_event(kind: type[_Kind], event: Event, context: JobContext) -> _Kind:
    """Returns `event`; raises EventError if it is not of `kind`."""
    if not isinstance(event, kind):
        raise EventError(context.event_name, f"this command is for the event {name_event(kind)}")
    return event


def fetch_pull_request(context: JobContext, event: Event, github: GitHub) -> PullRequest:
    """Fetches the pull request to measure, at the commits of the event or of the dispatch.

    Raises GitHubError or EventError.
    """
    if isinstance(event, PullRequestEvent):
        number, base, head = event.pull_request.number, event.pull_request.base.sha, event.pull_request.head.sha
        repository = event.repository.full_name
    elif isinstance(event, DispatchEvent) and context.under_test:
        number, base, head = context.number, context.base, context.head
        repository = context.under_test
    else:
        raise EventError(context.event_name, "it does not name a pull request")
    pull = github.fetch_pull_request(repository, number)  # which may have been pushed to since
    return replace(pull, base=replace(pull.base, sha=base), head=replace(pull.head, sha=head))
