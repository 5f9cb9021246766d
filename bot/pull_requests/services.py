"""From what the CI environment says to the places where the bot reads and writes."""

from dataclasses import replace
from typing import Final, TypeVar

from github import Auth

from bot.github.actions import Context
from bot.github.client import GitHub
from bot.github.events import DispatchEvent, Event, EventError, Home, PullRequestEvent
from bot.github.project import Desk
from bot.github.types import PullRequest
from bot.pull_requests.plan import PROJECT, Sources
from bot.pull_requests.report_run import Office
from bot.pull_requests.subject import Workflow
from bot.settings import Settings

_Kind = TypeVar("_Kind")
APP_PERMISSIONS: Final = {
    "actions": "write",
    "checks": "write",
    "contents": "read",
    "issues": "write",
    "pull_requests": "write",
}
"""What a token of the app may do: PyGithub asks for nothing at all unless it is told what to ask for."""


def door(context: Context, settings: Settings) -> GitHub:
    """GitHub as the app, where one is set up, else as whose token it is."""
    login = context.login or settings.login
    if context.app:
        app = Auth.AppAuth(context.app, context.app_key)
        return GitHub(app.get_installation_auth(context.installation, APP_PERMISSIONS), context.api_url, login=login)
    return GitHub(Auth.Token(context.token), context.api_url, login=login)


def sources(context: Context) -> Sources:
    """Where commits are cloned from; this project goes by the name of its repository."""
    known = Sources()
    name = context.project.rpartition("/")[2].lower()
    return Sources(f"{context.server_url}/", {**known.packages, name: known.packages.get(name, PROJECT)})


def office(context: Context, settings: Settings, home: Home) -> Office:
    """Where to read and write for the repository `home`, where this job runs."""
    desk = Desk(door(context, settings), context.project, home.default_branch)
    workflow = Workflow(home.full_name, context.workflow, home.default_branch)
    return Office(desk, workflow, settings, sources(context), context.url, f"{context.server_url}/{context.project}")


def expect(kind: type[_Kind], event: Event, context: Context) -> _Kind:
    """`event`, when it is of `kind`; raises EventError."""
    if not isinstance(event, kind):
        raise EventError(context.event_name, f"this command is for {kind.__name__}")
    return event


def asked(context: Context, event: Event, github: GitHub) -> PullRequest:
    """The pull request to measure, at the commits of the event or of the dispatch; raises GitHubError or EventError."""
    if isinstance(event, PullRequestEvent):
        number, base, head = event.pull_request.number, event.pull_request.base.sha, event.pull_request.head.sha
        repository = event.repository.full_name
    elif isinstance(event, DispatchEvent) and context.under_test:
        number, base, head = context.number, context.base, context.head
        repository = context.under_test
    else:
        raise EventError(context.event_name, "it names no pull request")
    pull = github.pull_request(repository, number)  # which may have been pushed to since
    return replace(pull, base=replace(pull.base, sha=base), head=replace(pull.head, sha=head))
