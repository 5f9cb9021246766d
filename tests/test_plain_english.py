"""Help, errors, pages and documents are plain English, without a few phrases that strangers stumble over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import bot.__main__
import bot.zero3
import matrix.__main__

ROOT = Path(__file__).parents[1]
STRANGE = re.compile(
    r"(?i)\b(?:beside|anew|lacks?|lacking|in vain|for good|(?:is|are) told|comes to|as (?:it is|they are)"
    r"|not say so|makes? no sense|not add up|wherever measured"
    r"|what is left|whose doing|goes? by|bears?|nights|of a night|duels?|(?:is|are) of (?:an?|another|unknown|version))\b"
    r"|(?<!there )\b(?:is|are) no (?!longer|more)|\bstands? (?!for)|\bof that\b(?! \w)"
)
SUBJECT = re.compile(r"(?<=[.!]\s)What (?:is|are)\b")
"""A sentence in running text whose subject is "what is X"; headings and questions begin with these words rightly."""
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SOURCES = [ROOT / "noxfile.py", *sorted(ROOT.glob("matrix/**/*.py")), *sorted(ROOT.glob("bot/**/*.py"))]
COMMANDS = ("commands", "noxfile.py", "__main__.py", "screenshots.py")
"""Where docstrings are help, in the imperative as git's and nox's."""
DATA = [*sorted(ROOT.glob("matrix/**/*.toml")), *sorted(ROOT.glob("bot/**/*.toml"))]
FORMS = sorted(ROOT.glob(".github/**/*.yml"))
SHOWN = ("name", "description", "label", "value", "placeholder", "title")
"""What GitHub shows of a workflow and of an issue form."""
TEMPLATES = sorted(file for kind in ("j2", "js") for file in ROOT.glob(f"bot/templates/**/*.{kind}"))


def list_help(command: Any) -> Iterator[str]:
    """Yields the help of a command, of its parameters, and of the commands in it; `command` is one of typer's own click."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    if hasattr(command, "list_commands"):
        context = command.make_context("", [], resilient_parsing=True)
        for name in command.list_commands(context):
            yield from list_help(command.get_command(context, name))


def list_texts(source: str) -> Iterator[str]:
    """Yields the strings of Python source code that have several words: each f-string as a whole, and no docstring."""
    tree = ast.parse(source)
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            left_out.update(map(id, node.values))
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield from [node.value] * (" " in node.value)


def test_texts_of_source_code_are_found() -> None:
    source = '''"""A docstring."""\nkey = "one_word"\nprint(f"{key} stands " "beside it", "two words")'''
    assert list(list_texts(source)) == ["{} stands beside it", "two words"]


@pytest.mark.parametrize("app", [matrix.__main__.app, bot.__main__.app, bot.zero3.app], ids=["matrix", "bot", "zero3"])
def test_help(app: typer.Typer) -> None:
    texts = list(filter(None, list_help(typer.main.get_command(app))))
    assert len(texts) > 20
    assert not [found[0] for text in texts for found in STRANGE.finditer(text)]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_texts_of_sources(file: Path) -> None:
    assert not [text for text in list_texts(file.read_text(encoding="utf-8")) if STRANGE.search(text)]


def list_functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yields the public functions and methods in a module, but for properties, which are described like fields."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from list_functions(child)
        if isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            yield from [child] * (not any("property" in ast.unparse(kind) for kind in child.decorator_list))


@pytest.mark.parametrize(
    "file",
    [
        file
        for package in ("matrix", "bot")
        for file in sorted(ROOT.glob(f"{package}/**/*.py"))
        if not {*COMMANDS} & {*file.parts}
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_docstrings_begin_with_a_verb(file: Path) -> None:
    texts = (ast.get_docstring(found) for found in list_functions(ast.parse(file.read_bytes())))
    assert not [text for text in texts if text and not re.match(r"[A-Z][a-z]+s\b", text)]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_docstrings(file: Path) -> None:
    nodes = (node.value for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Expr))
    texts = (re.sub("`[^`]*`", "", str(node.value)) for node in nodes if isinstance(node, ast.Constant))
    assert not [text for text in texts if STRANGE.search(text)]


@pytest.mark.parametrize("file", DATA, ids=lambda file: file.name)
def test_data(file: Path) -> None:
    assert not [line for line in file.read_text(encoding="utf-8").splitlines() if STRANGE.search(line)]


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
    assert not [found[0] for pattern in (STRANGE, SUBJECT) for found in pattern.finditer(text)]


def list_shown(part: Any) -> Iterator[str]:
    """Yields the texts that GitHub shows of a workflow or an issue form, or of a `part` of one."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield from [value] if key in SHOWN and isinstance(value, str) else list_shown(value)


def test_texts_of_forms_are_found() -> None:
    form = "{name: a, body: [{attributes: {label: b}, id: c}], on: {inputs: {description: {description: d}}}}"
    assert list(list_shown(yaml.safe_load(form))) == ["a", "b", "d"]


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.name)
def test_forms(file: Path) -> None:
    texts = (
        re.sub(r"`[^`]*`|\$\{\{.*?\}\}", "", text)
        for text in list_shown(yaml.safe_load(file.read_text(encoding="utf-8")))
    )
    assert not [text for text in texts if STRANGE.search(text) or SUBJECT.search(text)]
