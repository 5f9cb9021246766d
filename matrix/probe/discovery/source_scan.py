"""Reads from the sources of models which persistent buffers they register: a check on what building found."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

_BATCH_NORM = re.compile(r"(Sync|Lazy)?BatchNorm\w*")


@functools.cache
def read_written_sites(file: Path) -> tuple[str, ...]:
    """Returns the persistent buffers that classes in `file` register, as "ModuleClass.name", sorted.

    A norm is "ModuleClass.BatchNorm2d"; the name is "*" where it is not written down.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return tuple(sorted({f"{cls.name}.{name}" for cls in classes for name in _buffers(cls)}))


def _buffers(cls: ast.ClassDef) -> Iterator[str]:
    named = {
        id(node.value): target.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }
    for node in ast.walk(cls):
        if not isinstance(node, ast.Call) or _not_persistent(node):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "Buffer":
            yield named.get(id(node), "*")
        elif called == "register_buffer":
            yield str(node.args[0].value) if node.args and isinstance(node.args[0], ast.Constant) else "*"
        elif _BATCH_NORM.fullmatch(called):
            yield called


def _not_persistent(call: ast.Call) -> bool:
    stated = [keyword.value for keyword in call.keywords if keyword.arg == "persistent"] + call.args[2:3]
    return any(isinstance(value, ast.Constant) and value.value is False for value in stated)


def makes_modules(file: Path, package: str) -> bool:
    """Returns whether classes in `file` may be made of modules of `package`: it is used elsewhere than in a forward."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name.partition(".")[0] for node in ast.walk(tree) for alias in _from(node, package)
    }
    forward = {
        id(inner) for node in ast.walk(tree) if getattr(node, "name", "") == "forward" for inner in ast.walk(node)
    }
    return any(
        isinstance(node, ast.Name) and node.id in imported and id(node) not in forward for node in ast.walk(tree)
    )


def _from(node: ast.AST, package: str) -> list[ast.alias]:
    """Returns the names that an import statement takes from `package`."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
        return node.names
    if isinstance(node, ast.Import):
        return [alias for alias in node.names if alias.name.partition(".")[0] == package]
    return []
