"""PURE. The list of environments."""

from dataclasses import dataclass
from typing import Final

from bot.site.data import urls
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import EnvironmentLink
from bot.site.parts.heat_map import Share, count_share
from bot.text import count
from matrix.model import Loader


@dataclass(frozen=True)
class EnvironmentLine:
    """An environment in the list of all: the share of its cases that pass, per loader."""

    environment: EnvironmentLink
    shares: tuple[Share, ...]


@dataclass(frozen=True, kw_only=True)
class EnvironmentsPage(Page):
    """All environments, the newest versions first; `loaders` are those of the shares."""

    loaders: tuple[Loader, ...]
    environments: tuple[EnvironmentLine, ...]


def build(site: SiteIndex) -> EnvironmentsPage:
    """Builds the list of all environments."""
    return EnvironmentsPage(
        path=urls.ENVIRONMENTS,
        title=f"{count(len(site.readings), 'environment')}",
        crumbs=(),
        night=site.night,
        loaders=tuple(Loader),
        environments=tuple(
            EnvironmentLine(site.of(reading), tuple(count_share(site, reading, loader) for loader in Loader))
            for reading in site.readings
        ),
    )


PAGE: Final = PageKind(
    address=urls.ENVIRONMENTS,
    says="all environments, the newest versions first",
    place=20,
    build=build,
    navigation="Environments",
)
