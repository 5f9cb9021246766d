"""PURE. The list of distinct upstream failures."""

from dataclasses import dataclass
from typing import Final

from bot.site.data import urls
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.parts.failure_lines import FailureLine, build_failure_line
from bot.text import count


@dataclass(frozen=True, kw_only=True)
class FindingsPage(Page):
    """All distinct upstream failures, the worst first."""

    failures: tuple[FailureLine, ...]


def build(site: SiteIndex) -> FindingsPage:
    """Builds the list of all failures."""
    return FindingsPage(
        path=urls.FINDINGS,
        title=f"{count(len(site.failures), 'distinct upstream failure')}",
        crumbs=(),
        night=site.night,
        failures=tuple(build_failure_line(failure) for failure in site.failures),
    )


PAGE: Final = PageKind(
    address=urls.FINDINGS,
    says="all upstream failures, the worst first",
    place=50,
    build=build,
    navigation="Findings",
)
