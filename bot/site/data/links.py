"""PURE. How cases, failures and environments are named wherever they are linked, and what a case has for a verdict."""

from collections.abc import Sequence

from bot.site.data import urls
from bot.site.data.axes import get_version
from bot.site.data.views import CaseLink, EnvironmentLink, FailureLink, Words, words
from bot.site.failures.group import UpstreamFailure
from bot.text import Code, clip
from matrix.history.snapshot import TRUSTED, Reading, Stale
from matrix.model import Case, CaseKey
from matrix.verdicts import Verdict


def get_verdict(reading: Reading, key: CaseKey) -> Verdict | None:
    """Returns the verdict of a case, None where it is untested."""
    dated = reading.cases.get(key)
    return dated.case.verdict if dated else None


def find_worst(verdicts: Sequence[Verdict | None]) -> Verdict | None:
    """Returns the worst of the verdicts; None where all are untested."""
    return min((verdict for verdict in verdicts if verdict), key=lambda verdict: verdict.rank, default=None)


def link_case(environment: str, case: Case) -> CaseLink:
    """Returns the link to a case of the environment with that id."""
    page = urls.case(environment, case.key)
    return CaseLink(clip(case.architecture), case.loader, case.key.variant.what, case.verdict, page)


def link_failure(failure: UpstreamFailure) -> FailureLink:
    """Returns the link to a failure."""
    return FailureLink(failure.verdict, words(*failure.title), urls.finding(failure.slug))


def link_environment(reading: Reading, label: Code) -> EnvironmentLink:
    """Returns the link to the environment of `reading`, which is called `label`."""
    info = reading.cell.environment
    return EnvironmentLink(
        id=clip(info.id),
        label=label,
        page=urls.environment(info.id),
        transformers=clip(get_version(info, "transformers")),
        deepspeed=clip(get_version(info, "deepspeed")),
        device=info.device,
        night=reading.night,
        stale=tuple(_why_stale(reason, reading) for reason in sorted(reading.stale)),
    )


def _why_stale(reason: Stale, reading: Reading) -> Words:
    return words(
        {
            Stale.UNFINISHED: f"the measurement of {reading.attempt} did not finish",
            Stale.FAILED: f"it could not be installed or imported on {reading.attempt}",
            Stale.OUTDATED: "measured with another catalog or probe than the newest measurement",
            Stale.OLD: f"measured on {reading.night}, more than {TRUSTED.days} days before the newest nightly run",
        }[reason]
    )
