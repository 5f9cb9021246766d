"""PURE. The list of architectures."""

from dataclasses import dataclass
from typing import Final

from bot.site.data import urls
from bot.site.data.page import Page, PageKind, get_initial
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import EnvironmentLink
from bot.site.parts.architecture_lines import ArchitectureLine, add_anchors, build_architecture_line, list_families
from bot.text import Code, count


@dataclass(frozen=True, kw_only=True)
class ArchitecturesPage(Page):
    """All architectures by name. `cells` of a line are those of the newest environment that was measured, `environment`."""

    environment: EnvironmentLink | None
    architectures: tuple[ArchitectureLine, ...]

    @property
    def families(self) -> tuple[Code, ...]:
        """The families of the architectures."""
        return list_families(self.architectures)

    @property
    def letters(self) -> tuple[str, ...]:
        """The anchors of the lines."""
        return tuple(line.anchor for line in self.architectures if line.anchor)


def build(site: SiteIndex) -> ArchitecturesPage:
    """Builds the list of all architectures, as the newest measured environment has them."""
    newest = next((reading for reading in site.readings if reading.cases), None)
    lines = [build_architecture_line(site, newest, name) for name in site.architectures] if newest else []
    return ArchitecturesPage(
        path=urls.ARCHITECTURES,
        title=count(len(site.architectures), "architecture"),
        crumbs=(),
        night=site.night,
        environment=site.of(newest) if newest else None,
        architectures=tuple(add_anchors(lines, lambda one: get_initial(one.architecture))),
    )


PAGE: Final = PageKind(
    address=urls.ARCHITECTURES,
    says="all architectures by name, as in the newest environment that was measured",
    place=30,
    build=build,
    navigation="Architectures",
)
