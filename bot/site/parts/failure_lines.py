"""PURE. A failure in a line, and how far it reaches."""

from dataclasses import dataclass

from bot.site.data.links import link_failure
from bot.site.data.views import FailureLink, Words, words
from bot.site.failures.group import UpstreamFailure
from matrix.advice.known import Known


@dataclass(frozen=True)
class FailureLine:
    """A failure in the list of all, and how far it reaches."""

    failure: FailureLink
    rule: Words
    cases: int
    architectures: int
    environments: int
    known: tuple[Known, ...]


def build_failure_line(failure: UpstreamFailure) -> FailureLine:
    """Returns a failure and how far it reaches."""
    return FailureLine(
        failure=link_failure(failure),
        rule=words(*failure.rule),
        cases=len(failure.places),
        architectures=len({place.case.architecture for place in failure.places}),
        environments=len({place.environment.id for place in failure.places}),
        known=tuple(failure.known),
    )
