"""Small sites for the tests, and a folder with the site of real records."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from bot.site.data.site_index import SiteIndex
from bot.site.page_kinds import PAGE_KINDS
from bot.site.publish import publish_site
from matrix.advice.known import load_known
from matrix.checks import DEFAULT
from matrix.history.take_snapshot import snapshot_of_run
from matrix.model import Case, Cell, Check, EnvironmentInfo, Failure, Loader, Run, Tensors
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell, finding, info

HISTORY = Path(__file__).parents[1] / "data/site/history"
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=a></script></style>--><!--]]>\"'`&amp; {{ 7*7 }} javascript:alert(1)"
    " \u202e\u2066\u2028\u2029\x00\x1b[31m ../../../etc/passwd " + "long" * 200
)


def site_index(*cells: Cell, **other: Any) -> SiteIndex:
    """Returns the site index of a run."""
    snapshot = snapshot_of_run(Run(cells))
    return SiteIndex(snapshot, known=load_known(), **other)


def pair(transformers: str, deepspeed: str = "0.19.8", **other: Any) -> EnvironmentInfo:
    """An environment of two versions."""
    name = f"transformers-{transformers}+deepspeed-{deepspeed}+torch-2.13.0+cpu"
    return info(transformers, deepspeed=deepspeed, id=name, **other)


def four(architecture: str = ROUTER, load: Verdict = Verdict.PASS) -> tuple[Case, ...]:
    """All cases of an architecture; `load` is what stock load gives, all else passes."""
    return tuple(
        case(
            architecture,
            load if (loader, check) == (Loader.STOCK, Check("load")) else Verdict.PASS,
            loader=loader,
            check=check,
        )
        for loader in Loader
        for check in DEFAULT.checks
    )


def small() -> SiteIndex:
    """Two architectures in three environments, one of which could not be installed."""
    old = cell(*four(ROUTER, Verdict.CORRUPT), *four(BERT), environment=pair("5.5.4"))
    new = cell(*four(ROUTER), *four(BERT), environment=pair("5.6.0"))
    failed = cell(planned=8, error=Failure("ResolutionError", "no such version"), environment=pair("9.9.9"))
    return site_index(old, new, failed, families={ROUTER: "router"})


def hostile() -> SiteIndex:
    """Hostile text wherever a record has text."""
    wrong = finding(HOSTILE, site=HOSTILE, expected=(HOSTILE,), actual=(HOSTILE,), detail=HOSTILE)
    error = Failure(HOSTILE, HOSTILE, HOSTILE)
    cases = (
        case(HOSTILE, Verdict.CORRUPT, findings=(wrong,)),
        case(HOSTILE, Verdict.CRASH, check=Check("save"), error=error, tensors=Tensors(), seconds=float("inf")),
        case("..", Verdict.PASS),
        case("\ud800", Verdict.PASS),
    )
    names: dict[str, Any] = dict.fromkeys(("id", "python", "torch", "deepspeed", "accelerate", "hardware"), HOSTILE)
    environment = info(HOSTILE, packages={HOSTILE: HOSTILE}, **names)
    failed = cell(planned=4, error=error, environment=pair(HOSTILE))
    return site_index(
        cell(*cases, environment=environment), failed, families={HOSTILE: HOSTILE}, sites={HOSTILE: [HOSTILE]}
    )


def publish_quietly(site: SiteIndex, root: Path) -> int:
    """Write a site without a word."""
    return publish_site(site, root, lambda _: None)


class Page(HTMLParser):
    """The tags of a page, with what must be looked at in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, attribute: str, tag: str = "") -> list[str]:
        """The values of an attribute, of every tag or one sort."""
        found = (attributes.get(attribute) for name, attributes in self.tags if tag in ("", name))
        return [value for value in found if value is not None]


def pages(root: Path) -> Iterator[tuple[str, Page]]:
    """Every page of a site by its path."""
    for path in sorted(root.rglob("*.html")):
        yield path.relative_to(root).as_posix(), Page(path.read_text(encoding="utf-8"))


def paths_of(root: Path, name: str) -> list[Path]:
    """The pages of a kind in the folder of a site."""
    address = PAGE_KINDS[name].address
    others = {kind.address for kind in PAGE_KINDS.values()} - {address}
    found = root.glob(re.sub("<[^>]+>", "*", address))
    return [path for path in found if path.relative_to(root).as_posix() not in others]
