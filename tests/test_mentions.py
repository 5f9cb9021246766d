"""Texts name only what exists: files, folders, modules, commands and sessions. Nothing is imported or run."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bot.commands import COMMANDS, ZERO3
from matrix.commands import COMMANDS as MATRIX

ROOT = Path(__file__).parents[1]
TOPS = ("matrix", "bot", "tests", "docs", ".ci", ".github")
ELSEWHERE = {".github/workflows/zero3.yml", ".github/workflows/zero3-report.yml"}
"""Files of the repositories that use the bot."""
NOT_OURS = {"node_modules", "__pycache__"}
PYTHON = [ROOT / "noxfile.py", *(file for top in TOPS for file in (ROOT / top).rglob("*.py"))]
TEXTS = [file for folder, files in ((ROOT, "*.*"), *((ROOT / top, "**/*") for top in TOPS)) for file in folder.glob(files)
    if file.suffix in {".md", ".yml", ".yaml", ".toml", ".j2"} or file.parent.name == ".ci"]  # fmt: skip

PATH = re.compile(rf"(?<![\w./>}}-])(?:{'|'.join(map(re.escape, TOPS))})/(?:[\w.*/-]|<\w+>)*[\w*>](?![\w*/{{])")
NAME = re.compile(r"(?:`|\b(?:python -m|from|import) )((?:matrix|bot|tests)(?:\.\w+)+)")
COMMAND = re.compile(r"(python -m matrix|python -m bot|(?<![\w/.-])zero3) ([a-z-]+)(?: ([a-z-]+)\b)?")
COMMANDS_OF = {
    "python -m matrix": {entry.name for entry in MATRIX},
    "python -m bot": {entry.name for entry in COMMANDS},
    "zero3": {*ZERO3},
}
SESSION = re.compile(r"nox -s \"?([a-z_0-9]+)")


@cache
def prose(file: Path) -> str:
    """The docstrings and comments of a module of tests, as these make up names, and the whole of any other file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py" or ROOT / "tests" not in file.parents:
        return text
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    documented = [one.value for one in constants if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return "\n".join([*documented, *re.findall(r"(?:^|\s)# .*", text)])


def mentions(pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    """Where `pattern` is found in the texts of the project."""
    for file in sorted({*PYTHON, *TEXTS}):
        if not NOT_OURS & set(file.relative_to(ROOT).parts[:-1]):
            for found in pattern.finditer(prose(file)):
                yield file.relative_to(ROOT).as_posix(), found


def members(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """The names that a module or class binds, with the body of a class."""
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node.body if isinstance(node, ast.ClassDef) else []
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: [] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id: [] for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


def exists(name: str) -> bool:
    """Whether a dotted name is a package, a module, or a member of one."""
    place, rest = ROOT, name.split(".")
    while rest and (place / rest[0]).is_dir():
        place /= rest.pop(0)
    module = place / f"{rest[0]}.py" if rest and (place / f"{rest[0]}.py").is_file() else place / "__init__.py"
    body = ast.parse(module.read_bytes()).body if module.is_file() else []
    for member in rest[module.name != "__init__.py" :]:
        if member not in (known := members(body)):
            return False
        body = known[member]
    return True


def known(path: str) -> bool:
    """Whether a path exists; `<name>`, `NAME`, `N` and `*` stand for any part of a name."""
    return path in ELSEWHERE or any(ROOT.glob(re.sub(r"<\w+>|\bN(AME)?\b|\.\*", "*", path)))


def test_paths_exist() -> None:
    assert not [(file, found[0]) for file, found in mentions(PATH) if not known(found[0])]


def test_modules_and_their_members_exist() -> None:
    assert not [(file, found[1]) for file, found in mentions(NAME) if not exists(found[1])]


def test_links_between_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#|data:)([^)#\s]+)")
    documents = [file for file in TEXTS if file.suffix == ".md" and not NOT_OURS & set(file.parts)]
    broken = [(file.name, path) for file in documents for path in link.findall(file.read_text(encoding="utf-8"))
        if not (file.parent / path).exists()]  # fmt: skip
    assert not broken


def is_command(start: str, first: str, second: str | None) -> bool:
    """Whether `first` is a command; of a group, only with one of its commands, or alone."""
    names = COMMANDS_OF[start]
    group = any(name.startswith(f"{first} ") for name in names)
    return first in names or (group and (second is None or f"{first} {second}" in names))


def test_commands_exist() -> None:
    used = [(file, found) for file, found in mentions(COMMAND) if file != "CHANGELOG.md"]
    assert len(used) > 50
    assert not [(file, found[0]) for file, found in used if not is_command(found[1], found[2], found[3])]


def test_sessions_exist() -> None:
    sessions = set(members(ast.parse((ROOT / "noxfile.py").read_bytes()).body))
    assert not [(file, found[0]) for file, found in mentions(SESSION) if found[1] not in sessions]


def test_pictures_exist_and_each_is_shown() -> None:
    picture = re.compile(r"!\[[^]]*\]\((?!https?:|data:)([^)\s]+)\)|(?:src|srcset)=\"(?!https?:|data:)([^\"\s]+)\"")
    shown = {(file.parent / (markdown or html)).resolve() for file in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
        for markdown, html in picture.findall(re.sub(r"`[^`\n]*`", "", file.read_text(encoding="utf-8")))}  # fmt: skip
    assert shown == set(ROOT.glob("docs/*.png"))


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 80
    assert not [line for line in lines if len(line) > 120]


def test_documents_are_wrapped_at_120() -> None:
    """Tables and generated blocks, code and pictures are not."""
    unwrapped = re.compile(
        r"^ *```.*?^ *```|^<!-- made by.*?^<!-- end -->|^ *\|.*?$|^<picture>.*?$", re.DOTALL | re.MULTILINE
    )
    documents = [file for folder in (ROOT, ROOT / "docs") for file in folder.glob("*.md")]
    long = [(file.name, line) for file in documents for line in
        unwrapped.sub("", file.read_text(encoding="utf-8")).splitlines() if len(line) > 120]  # fmt: skip
    assert not long
