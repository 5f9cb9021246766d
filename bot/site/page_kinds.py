"""The kinds of pages, found in the folder `pages`: navigation, folders and the documents derive from it."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from bot.site import pages
from bot.site.data import urls
from bot.site.data.page import Page, PageKind
from bot.site.data.views import Link


def load_page_kinds() -> Mapping[str, PageKind[Page]]:
    """Returns the kind of pages of each module in `pages` by the module's name, in their order."""
    names = [module.name for module in iter_modules(pages.__path__)]
    kinds: dict[str, PageKind[Page]] = {name: import_module(f"{pages.__name__}.{name}").PAGE for name in names}
    return dict(sorted(kinds.items(), key=lambda item: item[1].place))


PAGE_KINDS: Final = load_page_kinds()
NAVIGATION: Final = tuple(Link(kind.navigation, kind.address) for kind in PAGE_KINDS.values() if kind.navigation)
FOLDERS: Final = frozenset(kind.address.partition("/")[0] for kind in PAGE_KINDS.values() if "/" in kind.address)
"""The folders of a site that hold pages."""
LAST: Final = next(name for name, kind in PAGE_KINDS.items() if kind.address == urls.START)
"""The kind of the start page, which is written after all others."""
