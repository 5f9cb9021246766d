"""`python -m bot documents` rewrites what the documents of this project say about its code: lists and tables.

A new block is one function with `@block` in this file, and two lines in a document, between which its text is written:

    <!-- made by python -m bot documents: NAME -->
    <!-- end -->
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bot.site.outputs.api import build_schema
from bot.site.page_kinds import PAGE_KINDS
from matrix.checks import CHECKS
from matrix.command_line.options import require_checkout
from matrix.command_line.output import say
from matrix.environments.packages import INSTALLABLE, PACKAGES
from matrix.results.json_schema import build_json_schema
from matrix.verdicts import Verdict

ROOT: Final = Path(__file__).parents[2]
BLOCKS: Final[dict[str, Callable[[], str]]] = {}
"""Each block's function, by the name that documents know it by."""
_MARKED: Final = re.compile(r"(<!-- made by python -m bot documents: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def block(make: Callable[[], str]) -> Callable[[], str]:
    """Registers a function as the block of its name, with `-` for `_`."""
    BLOCKS[make.__name__.replace("_", "-")] = make
    return make


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table of cells that are Markdown already."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows)).replace("| --- ", "|---")


@block
def verdicts() -> str:
    """Lists the verdicts, the worst first."""
    return table(("verdict", "means"), ((f"`{verdict}`", verdict.row.meaning) for verdict in Verdict))


@block
def folders() -> str:
    """Lists the packages of the project, each with the first line of its docstring."""
    found = sorted(file for top in ("matrix", "bot") for file in (ROOT / top).rglob("__init__.py"))
    words = (ast.get_docstring(ast.parse(file.read_bytes())) or "" for file in found)
    return table(
        ("folder", "what is in it"),
        (
            (f"`{file.parent.relative_to(ROOT).as_posix()}`", text.partition("\n")[0])
            for file, text in zip(found, words, strict=True)
        ),
    )


@block
def packages() -> str:
    """Lists the packages that an environment may pin."""
    shown = (package for package in PACKAGES.values() if package.name in INSTALLABLE)
    return table(
        ("package", "pull requests of", "variable", "tip measured nightly"),
        ((f"`{one.name}`", one.repository or "-", f"`{one.variable}`", "yes" if one.tip else "-") for one in shown),
    )


@block
def pages() -> str:
    """Lists the kinds of pages of the site."""
    return table(("address", "says"), ((f"`{kind.address}`", kind.says) for kind in PAGE_KINDS.values()))


@block
def checks() -> str:
    """Lists the checks, in the order in which they run."""
    rows = ((f"`{check}`", one.words.meaning, "yes" if one.needed_for_safe else "no") for check, one in CHECKS.items())
    return table(("check", "what is done", "needed for safe"), rows)


def documents(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Yields each document below `root` and the text that it should have; raises KeyError for a block that is unknown."""
    for path in (*sorted(root.glob("*.md")), *sorted((root / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        yield path, _MARKED.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}{found[4]}", text)
    yield root / "docs/records.schema.json", f"{json.dumps(build_json_schema(), indent=2)}\n"
    yield root / "docs/api.schema.json", f"{json.dumps(build_schema(), indent=2)}\n"


def write_documents() -> None:
    """Rewrite the generated parts of README.md, CONTRIBUTING.md and docs, and print which of them changed."""
    require_checkout(ROOT / "docs", "clone the repository to change its documents")
    for path, text in documents():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            say(path.relative_to(ROOT))
