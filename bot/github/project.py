"""Where the bot works: its own repository, whose workflows measure pull requests of every repository."""

from dataclasses import dataclass
from typing import Final

from bot.github.client import GitHub
from bot.github.types import PullRequest

WORKFLOW: Final = "pull-request.yml"


@dataclass(frozen=True)
class Desk:
    """The project's repository, its default branch, whose workflows are used, and the door to GitHub."""

    github: GitHub
    project: str
    branch: str

    def start(self, pull_request: PullRequest, selector: str = "") -> None:
        """Measure a pull request at exactly the commits it has here; `selector` narrows to some architectures."""
        inputs = {
            "repository": pull_request.repository,
            "number": str(pull_request.number),
            "base": pull_request.base.sha,
            "head": pull_request.head.sha,
            "selector": selector,
        }
        self.github.dispatch(self.project, WORKFLOW, self.branch, inputs)
