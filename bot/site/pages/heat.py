"""PURE. A heat map on a page of its own."""

from dataclasses import dataclass
from typing import Final

from bot.site.data import urls
from bot.site.data.page import Page, PageKind
from bot.site.data.site_index import SiteIndex
from bot.site.parts.heat_map import Heat, Position, build_heat_map, list_positions
from bot.text import join_words


@dataclass(frozen=True, kw_only=True)
class HeatPage(Page):
    """A heat map on a page of its own."""

    heat: Heat


def build(site: SiteIndex, position: Position) -> HeatPage:
    """Builds the heat map of a position of the switch."""
    device, loader, check = position
    shown = build_heat_map(site, position)
    title = f"Share of the catalog that passes: {check or join_words(list(shown.checks))}, {loader} loader, {device}"
    return HeatPage(path=urls.heat(*position), title=title, crumbs=(), night=site.night, heat=shown)


PAGE: Final = PageKind(
    address="heat/<device>-<loader>-<check>.html",
    says="the heat map of each position of the switch; check `all` is all checks together",
    place=10,
    build=build,
    each=list_positions,
)
