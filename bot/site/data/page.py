"""PURE. The base class of all pages, and the description of one kind of pages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from bot.site.data.site_index import SiteIndex
from bot.site.data.views import Link


@dataclass(frozen=True, kw_only=True)
class Page:
    """The context of a page's template. `night` is the newest nightly run that the page is about; None when there is none."""

    path: str
    title: str
    crumbs: tuple[Link, ...]
    night: date | None

    @property
    def root(self) -> str:
        """Returns what a link on this page begins with, to start from the root of the site."""
        return "../" * self.path.count("/")

    @property
    def template(self) -> str:
        """Returns the name of its template in `templates/site`: that of the module which defines the page."""
        return type(self).__module__.rpartition(".")[2]


PageT_co = TypeVar("PageT_co", bound=Page, covariant=True)


@dataclass(frozen=True)
class PageKind(Generic[PageT_co]):
    """One kind of pages. Each module of `bot/site/pages` has one as `PAGE`; no other place names it.

    `address` is the path of its pages, with variable parts in angle brackets. `says` describes it in the documents.
    `build` builds the page; with `each`, the page or the pages of one of these, as one task of several processes.
    `navigation` is its name in the navigation; empty when it is not in there. `place` is its place there and in the documents.
    """

    address: str
    says: str
    place: int
    build: Callable[..., PageT_co | Iterable[PageT_co]]
    each: Callable[[SiteIndex], Sequence[Any]] | None = None
    navigation: str = ""

    def tasks(self, site: SiteIndex) -> list[tuple[Any, ...]]:
        """Returns the arguments of `build` beyond the site, one tuple for each task."""
        return [(one,) for one in self.each(site)] if self.each else [()]

    def pages(self, site: SiteIndex) -> Iterator[PageT_co]:
        """Builds all pages of this kind."""
        for task in self.tasks(site):
            yield from self.build_task(site, task)

    def build_task(self, site: SiteIndex, task: tuple[Any, ...]) -> Iterable[PageT_co]:
        """Builds the pages of one task."""
        built = self.build(site, *task)
        return [built] if isinstance(built, Page) else built


def get_initial(name: str) -> str:
    """Returns the letter or digit that a name is listed under; `other` for any other sign."""
    first = name[:1].lower()
    return first if first.isascii() and first.isalnum() else "other"
