"""Help, errors, pages and documents are plain English, without a few phrases that strangers stumble over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import bot.__main__
import matrix.__main__

ROOT = Path(__file__).parents[1]
STRANGE = re.compile(
    r"(?i)\b(?:beside|anew|lacks|in vain|for good|(?:is|are) told|comes to|as (?:it is|they are)|of that gives|nights)\b"
    r"|(?<!there )\b(?:is|are) no (?!longer|more)|\bstands (?!for)"
)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ERRORS = [ROOT / "matrix/errors.py", *sorted(ROOT.glob("bot/**/errors.py"))]
TEMPLATES = sorted(file for kind in ("j2", "js") for file in ROOT.glob(f"bot/templates/**/*.{kind}"))


def list_help(command: Any) -> Iterator[str]:
    """Yields the help of a command, of its parameters, and of the commands in it; `command` is one of typer's own click."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    if hasattr(command, "list_commands"):
        context = command.make_context("", [], resilient_parsing=True)
        for name in command.list_commands(context):
            yield from list_help(command.get_command(context, name))


@pytest.mark.parametrize("app", [matrix.__main__.app, bot.__main__.app], ids=["matrix", "bot"])
def test_help(app: typer.Typer) -> None:
    texts = list(filter(None, list_help(typer.main.get_command(app))))
    assert len(texts) > 20
    assert not [found[0] for text in texts for found in STRANGE.finditer(text)]


@pytest.mark.parametrize("file", ERRORS, ids=lambda file: file.parent.name)
def test_messages_of_errors(file: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and STRANGE.search(text)]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".js":
        shown = " ".join(re.findall(r'"[^"\n]*"|`[^`]*`', text))
    else:
        shown = re.sub(r"\{[{%#].*?[}%#]\}|<[^>]*>", "", text, flags=re.DOTALL)
    assert not [found[0] for found in STRANGE.finditer(shown)]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_documents(file: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not [found[0] for found in STRANGE.finditer(text)]
