"""A published site as a source of advice: the few parts of its pages' JSON that this reads, judged strictly.

`architectures/index.json` lists the architectures and their pages, a page has the cases in its `grids`, and an
environment's page what else was installed. All of it may be anybody's: docs/programs.md documents it.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field, TypeAdapter, ValidationError

from matrix.advice.download import DownloadError, fetched
from matrix.advice.safety import Answer, Tried
from matrix.model import Check, Device, Loader, Verdict

_Page = TypeVar("_Page")
_PAGE: Final = re.compile(r"\A[a-z]+/[\w,~-][\w.,~-]*\.html\Z", re.ASCII)

_Text = Annotated[str, Field(max_length=300)]
_Link = Annotated[str, Field(pattern=_PAGE, max_length=300)]


@dataclass(frozen=True)
class _Line:
    architecture: _Text
    page: _Link


@dataclass(frozen=True)
class _Index:
    schema: Literal[1]
    kind: Literal["architectures"]
    night: date | None
    architectures: tuple[_Line, ...]


@dataclass(frozen=True)
class _Environment:
    id: _Text
    page: _Link
    transformers: _Text
    deepspeed: _Text
    device: Device
    night: date
    stale: tuple[str, ...]


@dataclass(frozen=True)
class _Cell:
    loader: Loader
    check: Check
    verdict: Verdict | None


@dataclass(frozen=True)
class _Place:
    environment: _Environment
    cells: tuple[_Cell, ...]


@dataclass(frozen=True)
class _Row:
    places: tuple[tuple[_Place, ...], ...]


@dataclass(frozen=True)
class _Grid:
    rows: tuple[_Row, ...]


@dataclass(frozen=True)
class _Architecture:
    schema: Literal[1]
    kind: Literal["architecture"]
    grids: tuple[_Grid, ...]


@dataclass(frozen=True)
class _Installed:
    torch: _Text
    accelerate: _Text


@dataclass(frozen=True)
class _View:
    info: _Installed


@dataclass(frozen=True)
class _EnvironmentPage:
    schema: Literal[1]
    kind: Literal["environment"]
    flaky: int
    view: _View


class Published:
    """The site below `address`. Raises DownloadError for what cannot be got, or is not what a site of this project has."""

    def __init__(self, address: str) -> None:
        self._root = address.rstrip("/") + "/"
        index = self._page("architectures/index.html", _Index)
        self.night = index.night or date.min  # a site before its first night
        self._pages = {line.architecture: line.page for line in index.architectures}
        self._environments: dict[str, _EnvironmentPage] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of all architectures."""
        return tuple(self._pages)

    def tried(self, name: str) -> tuple[Tried, ...]:
        """What was measured of one of `names`."""
        page = self._page(self._pages[name], _Architecture)
        verdicts: dict[_Environment, dict[tuple[Loader, Check], Verdict]] = defaultdict(dict)
        for place in (place for grid in page.grids for row in grid.rows for column in row.places for place in column):
            told = {(cell.loader, cell.check): cell.verdict for cell in place.cells if cell.verdict}
            verdicts[place.environment] |= told
        found = (self._tried(environment, told) for environment, told in verdicts.items())
        return tuple(one for one in found if one.counts)

    def others(self, tried: Tried) -> Mapping[str, str]:
        """What else decides what was measured there, by package."""
        installed = self._environments[tried.environment].view.info
        return {"torch": installed.torch, "accelerate": installed.accelerate}

    def _tried(self, environment: _Environment, verdicts: Mapping[tuple[Loader, Check], Verdict]) -> Tried:
        """With the page of the environment only where it decides: where it may be safe."""
        info = environment
        found = Tried(
            info.id, info.transformers, info.deepspeed, info.device, info.night, verdicts, stale=bool(info.stale)
        )
        if all(found.answer(loader) is not Answer.SAFE for loader in Loader):
            return found
        if info.id not in self._environments:
            self._environments[info.id] = self._page(info.page, _EnvironmentPage)
        return replace(found, flaky=self._environments[info.id].flaky)

    def _page(self, page: str, kind: type[_Page]) -> _Page:
        address = self._root + quote(page.removesuffix(".html"), safe="/,~") + ".json"
        try:
            return TypeAdapter(kind).validate_json(fetched(address), strict=True)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise DownloadError(
                address, f"it is no page of a site of this project ({where[:100]}: {problem['type']})"
            ) from error
