"""Finds which models of transformers are built from which others, from the imports in their sources.

PURE: no input or output.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_SOURCE: Final = re.compile(r"(?:.*/)?models/(?:deprecated/)?(\w+)/(?:modular|modeling)_\w+\.py")
_IMPORTED: Final = re.compile(r"(?:.*\.|^)(\w+)\.(?:modular|modeling|configuration)_\w+")


@dataclass(frozen=True)
class ModelGraph:
    """`users` of a model are the models whose modular or modeling files import from its files."""

    users: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def dependents(self, models: Collection[str]) -> set[str]:
        """Returns every model that a change to one of `models` reaches, without these."""
        reached, waiting = set(models), list(models)
        while waiting:
            new = self.users.get(waiting.pop(), frozenset()) - reached
            reached |= new
            waiting += new
        return reached - set(models)


def build_model_graph(sources: Mapping[str, str]) -> ModelGraph:
    """Returns the graph of `sources`, file texts by path; files of no model, or that do not parse, are left out."""
    users: dict[str, set[str]] = {}
    for path, text in sources.items():
        if found := _SOURCE.fullmatch(path):
            for used in _used(text):
                if used not in {found[1], "auto"}:
                    users.setdefault(used, set()).add(found[1])
    return ModelGraph({model: frozenset(names) for model, names in users.items()})


def _used(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (found := _IMPORTED.fullmatch(node.module or "")):
            yield found[1]
