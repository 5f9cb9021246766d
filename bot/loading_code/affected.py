"""Finds the loading code that a change touches, and which architectures and checks it affects.

The path and the symbol that encloses each changed line decide, with the table in loading_code.toml. What cannot be
determined counts as loading code.

PURE: no input or output.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bot.github.types import Change, ChangedFile, FileStatus
from bot.loading_code.enclosing_symbols import UNKNOWN
from bot.loading_code.hunks import LONGEST, ChangedLine, find_changed_lines, find_new_entries, parse_hunks
from bot.loading_code.model_graph import ModelGraph
from bot.loading_code.rules import LoadingRule, RepositoryRules, find_rules
from matrix.checks import CHECKS, DEFAULT
from matrix.model import Check

_SIGNATURE_OR_MESSAGE: Final = re.compile(r"\s*(def |raise |logger\.|warnings\.|\**\w+: [^=]*(= [^=]+)?,$)")


@dataclass(frozen=True)
class Touched:
    """Loading code that a change touches.

    `symbol` is empty where it is not known. `lines` are the first and the last one in the file as the change leaves it;
    None where GitHub shows no lines. `model` is the folder of the one model that is affected, empty where others may be
    as well. `why` is in words for people.
    """

    path: str
    symbol: str
    lines: tuple[int, int] | None
    why: str
    model: str = ""
    checks: tuple[Check, ...] = DEFAULT.checks


@dataclass(frozen=True)
class Affected:
    """What a change touches; falsy when that is not loading code.

    `everything` asks for the whole catalog. `models` are the folders of the touched models and of their dependents,
    also where everything is asked for.
    """

    touched: tuple[Touched, ...] = ()
    everything: bool = False
    models: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.touched)


def find_affected(change: Change, models: ModelGraph | None = None) -> Affected:
    """Finds the loading code that `change` touches; raises UnknownNameError for a repository that is not in the table.

    `models` says which models inherit from which; without it a change to any model's file asks for everything.
    """
    table = find_rules(change.repository)
    touched = [place for file in change.files for place in _touched(file, table)]
    if not change.complete:
        unseen = f"GitHub lists {len(change.files)} of {change.total} changed files: the others are unknown"
        touched.append(Touched("", "", None, unseen))
    folders = {place.model for place in touched if place.model}
    return Affected(
        touched=tuple(touched),
        everything=any(not place.model for place in touched) or (models is None and bool(folders)),
        models=tuple(sorted(folders | (models.dependents(folders) if models else set()))),
        checks=tuple(check for check in CHECKS if any(check in place.checks for place in touched)),
    )


def _touched(file: ChangedFile, table: RepositoryRules) -> Iterator[Touched]:
    if file.status is FileStatus.UNCHANGED:
        return
    ruled = [(path, rule) for path in file.paths if (rule := table.rule(path))]
    if file.status in {FileStatus.RENAMED, FileStatus.REMOVED}:
        for path, rule in ruled:
            yield _place(path, rule, "", None, f"the file was {file.status}: {rule.why}")
    elif ruled:
        path, rule = ruled[0]
        yield from _lines_touched(file, path, rule)


def _lines_touched(file: ChangedFile, path: str, rule: LoadingRule) -> Iterator[Touched]:
    parts = parse_hunks(file.patch or "")
    if not parts:
        yield _place(path, rule, "", None, f"GitHub shows no lines of this change: {rule.why}")
    for hunk in parts:
        counted = [
            edit for edit in find_changed_lines(hunk, python=path.endswith(".py")) if is_loading_code(edit, rule)
        ]
        if counted and rule.entries and (models := find_new_entries(hunk)):
            lines = counted[0].line, counted[-1].line
            yield from (Touched(path, model, lines, rule.why, model, rule.checks) for model in models)
            continue
        for symbols, group in groupby(counted, key=lambda edit: edit.symbols):
            numbers = [edit.line for edit in group]
            known = UNKNOWN not in symbols
            why = rule.why if known else f"the patch does not show the enclosing function: {rule.why}"
            name = ".".join(name for name in symbols if name != UNKNOWN)
            yield _place(path, rule, name, (min(numbers), max(numbers)), why)


def _place(path: str, rule: LoadingRule, symbol: str, lines: tuple[int, int] | None, why: str) -> Touched:
    return Touched(path, symbol, lines, why, rule.model(path), rule.checks)


def is_loading_code(edit: ChangedLine, rule: LoadingRule) -> bool:
    """Tests whether a changed line is loading code under `rule`: the innermost name that the rule knows decides."""
    if len(edit.text) >= LONGEST:
        return True
    if _ignored(edit, rule):
        return False
    for name in reversed(edit.symbols):
        if name in rule.neutral:
            return False
        if rule.symbols and (name == UNKNOWN or rule.names(name, edit.symbols)):
            return not (rule.only_tensors and _makes_no_tensor(name, edit.text))
    return not rule.narrow or any(word.search(edit.text) for word in rule.words)


def _ignored(edit: ChangedLine, rule: LoadingRule) -> bool:
    """Tests whether a line, all that it guards, or a line that it is indented under, concerns what is not measured."""
    lines = edit.body if edit.body and not rule.ignores(edit.text) else (edit.text,)
    return all(map(rule.ignores, lines)) or any(map(rule.excludes, (*edit.inside, edit.text)))


def _makes_no_tensor(name: str, line: str) -> bool:
    """Tests whether a line of a module's `__init__` only names an argument, raises, warns, or sets plain values on `self`."""
    if name == "__init__" and _SIGNATURE_OR_MESSAGE.match(line):
        return True
    try:
        body = ast.parse(line.strip()).body
        return name in {"__init__", UNKNOWN} and bool(body) and all(map(_sets_plain_values, body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # part of a statement, or made to break the parser
        return False


def _sets_plain_values(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not _is_plain(node.value):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(ast.unparse(target).startswith("self.") for target in targets)


def _is_plain(value: ast.expr | None) -> bool:
    """Tests whether an expression is the configuration, or arithmetic on it and on constants, and so never a module."""
    if value is None or isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Name):
        return value.id == "config"
    if isinstance(value, ast.Attribute):
        return ast.unparse(value).startswith(("config.", "self.config."))
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) == "getattr" and ast.unparse(value.args[0]) in {"config", "self.config"}
    operators = (ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.IfExp)
    return isinstance(value, operators) and all(map(_is_number, _operands(value)))


def _is_number(value: ast.expr) -> bool:
    return _is_plain(value) or isinstance(value, ast.Attribute | ast.Name)


def _operands(value: ast.expr) -> Iterable[ast.expr]:
    return (node for node in ast.iter_child_nodes(value) if isinstance(node, ast.expr))
