"""Reads and writes the CI environment, the only door to it: variables, the event, outputs, step summaries and the log.

Formats: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

import os
import secrets
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bot.github.events import DispatchEvent, Event, EventError, HomeRepository, parse_event
from bot.github.types import (
    EnvironmentSelector,
    Link,
    Login,
    Number,
    RepositoryName,
    Selector,
    SetName,
    Sha,
    WorkflowPath,
)
from matrix.errors import MatrixError, OutputError
from matrix.text import make_visible

OUTPUT_LIMIT: Final = 1024 * 1024
"""Bytes, counted as UTF-16, of all outputs of a job: https://docs.github.com/actions/reference/limits."""

SUMMARY_LIMIT: Final = 1024 * 1024
"""Bytes of a step's summary. GitHub drops a longer one as a whole."""

_CUT: Final = "\n\n(cut off here: the step summary is full)\n"


class EnvironmentVariableError(MatrixError):
    """Variables that GitHub Actions or the workflow should set are missing or unusable; names them, never their values."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(
            f"not set, or not usable: {', '.join(names)}. GitHub Actions sets GITHUB_* itself, except GITHUB_TOKEN: "
            "set that in the `env` of the step. docs/install.md lists the other variables"
        )


class OutputTooLargeError(MatrixError):
    """An output is larger than GitHub accepts from a job."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(
            f"output {name!r} has {size:,} bytes as UTF-16, but GitHub accepts at most {OUTPUT_LIMIT:,} from a job"
        )


@dataclass(frozen=True)
class JobContext:
    """The environment of the job that runs the bot. Either `token` is there, or all three of the app's.

    `branch` is what the workflow runs on; a scheduled one always runs on the default branch. `workflow` is the file of
    the workflow that measures. `under_test`, `number`, `base` and `head` name a pull request where no event does.
    `environments` chooses the set of environments of a nightly run, `ids` some of them; with `force` each is measured.
    """

    repository: RepositoryName
    event_name: str
    event_path: Path
    api_url: Link = "https://api.github.com"
    server_url: Link = "https://github.com"
    branch: str = "main"
    run: Number = 1
    attempt: Number = 1
    output: Path | None = None
    summary: Path | None = None
    token: str = field(default="", repr=False)
    app: int = 0
    app_key: str = field(default="", repr=False)
    installation: int = 0
    elsewhere: RepositoryName | None = None
    workflow: WorkflowPath = ".github/workflows/pull-request.yml"
    login: Login | None = None
    globs: Selector = ""
    under_test: RepositoryName | None = None
    number: Number = 0
    base: Sha = ""
    head: Sha = ""
    environments: SetName = "nightly"
    ids: EnvironmentSelector = ""
    force: bool = False

    @property
    def selector(self) -> tuple[str, ...]:
        """Returns globs of the architectures to measure; none for all."""
        return tuple(self.globs.split())

    @property
    def project(self) -> str:
        """Returns the repository of this project itself: not `repository` when that one calls its workflows."""
        return self.elsewhere or self.repository

    @property
    def url(self) -> str:
        """Returns the page of this workflow run."""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run}"


_VARIABLES: Final[Mapping[str, str]] = {
    "repository": "GITHUB_REPOSITORY",
    "event_name": "GITHUB_EVENT_NAME",
    "event_path": "GITHUB_EVENT_PATH",
    "elsewhere": "ZERO3_REPOSITORY",
    "workflow": "ZERO3_WORKFLOW",
    "login": "ZERO3_LOGIN",
    "globs": "ZERO3_SELECTOR",
    "under_test": "ZERO3_REPOSITORY_UNDER_TEST",
    "number": "ZERO3_NUMBER",
    "base": "ZERO3_BASE",
    "head": "ZERO3_HEAD",
    "environments": "ZERO3_SET",
    "ids": "ZERO3_ENVIRONMENTS",
    "force": "ZERO3_FORCE",
    "api_url": "GITHUB_API_URL",
    "server_url": "GITHUB_SERVER_URL",
    "branch": "GITHUB_REF_NAME",
    "run": "GITHUB_RUN_ID",
    "attempt": "GITHUB_RUN_ATTEMPT",
    "output": "GITHUB_OUTPUT",
    "summary": "GITHUB_STEP_SUMMARY",
    "token": "GITHUB_TOKEN",
    "app": "ZERO3_APP_ID",
    "app_key": "ZERO3_APP_PRIVATE_KEY",
    "installation": "ZERO3_APP_INSTALLATION_ID",
}


_APP: Final = ("app", "app_key", "installation")
_DISPATCHED: Final = ("number", "base", "head")


def read_context(variables: Mapping[str, str] = os.environ) -> JobContext:
    """Reads the job's context from `variables`; raises EnvironmentVariableError with all that are missing or unusable."""
    values = {name: variables[variable] for name, variable in _VARIABLES.items() if variables.get(variable)}
    missing = set(_missing(values))
    try:
        found = TypeAdapter(JobContext).validate_python(values)
    except ValidationError as error:
        raise _unusable(missing | {str(problem["loc"][0]) for problem in error.errors()}) from None  # it quotes values
    if missing:
        raise _unusable(missing)
    return found


def _unusable(names: Collection[str]) -> EnvironmentVariableError:
    return EnvironmentVariableError(variable for name, variable in _VARIABLES.items() if name in names)


def _missing(found: Collection[str]) -> Iterator[str]:
    """Yields what has to be there and is not: all of an app, all of a dispatch, and a token where there is no app."""
    if any(name in found for name in _APP):
        yield from (name for name in _APP if name not in found)
    elif "token" not in found:
        yield "token"
    if "under_test" in found:
        yield from (name for name in _DISPATCHED if name not in found)


def read_event(context: JobContext) -> Event:
    """Reads the event that started this job; raises EventError."""
    if context.event_name == "schedule":  # its payload has no repository: docker/metadata-action#184
        return DispatchEvent(HomeRepository(1, context.repository, context.branch))
    try:
        payload = context.event_path.read_bytes()
    except OSError as error:
        raise EventError(context.event_name, f"{context.event_path}: {error.strerror or error}") from error
    return parse_event(context.event_name, payload)


def set_output(context: JobContext, name: str, value: str) -> None:
    """Sets an output of this step; raises OutputTooLargeError. Without a file for outputs it goes to the terminal."""
    if (size := len(value.encode("utf-16-le", "surrogatepass"))) > OUTPUT_LIMIT:
        raise OutputTooLargeError(name, size)
    end = f"end-{secrets.token_hex(16)}"  # what nobody can guess, no value can end early
    text = f"{name}<<{end}\n{value}\n{end}\n"
    if context.output is None:
        sys.stdout.write(make_visible(text))
    else:
        _append(context.output, text)


def write_summary(context: JobContext, text: str) -> None:
    """Adds Markdown to this step's summary, as far as there is room; without a summary it goes to the terminal."""
    if context.summary is None:
        sys.stdout.write(make_visible(f"{text}\n"))
        return
    size = context.summary.stat().st_size if context.summary.exists() else 0
    _append(context.summary, _fitted(f"{text}\n", SUMMARY_LIMIT - size))


def _fitted(text: str, limit: int) -> str:
    if len(encoded := text.encode(errors="backslashreplace")) <= limit:
        return text
    kept = encoded[: max(0, limit - len(_CUT))].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}{_CUT}" if limit >= len(_CUT) else ""


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(path, error) from error


def log_verbatim(text: str) -> None:
    """Logs text from outside: the runner obeys no command in it, and a terminal no escape sequence."""
    end = secrets.token_hex(16)
    sys.stdout.write(f"::stop-commands::{end}\n{make_visible(text)}\n::{end}::\n")
