"""The JSON Schema of results files: `docs/records.schema.json`.

PURE: no input or output.
"""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from pydantic import TypeAdapter

from matrix import model
from matrix.model import Case, Cell, Timing
from matrix.results.records import SCHEMA

_KINDS: Final[dict[str, type]] = {"cell": Cell, "case": Case, "end": Timing}


def build_json_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of a line of a results file: a cell, case or end record, as this version writes it."""
    _, document = TypeAdapter.json_schemas([(kind, "serialization", TypeAdapter(of)) for kind, of in _KINDS.items()])
    types: dict[str, dict[str, Any]] = document["$defs"]
    for later in ("cases", "complete", "timing"):
        del types["Cell"]["properties"][later]
    types["Cell"]["properties"]["schema"] = {"const": SCHEMA}
    types["Timing"]["properties"]["cases"] = {"type": "integer"}
    for name in ("trained_dtype", "requested_dtype"):
        types["Case"]["properties"][name] = {"type": "string", "description": inspect.getdoc(getattr(Case, name))}
    for kind, field, text in _find_field_texts(inspect.getsource(model)):
        if field in types.get(kind, {}).get("properties", ()):
            types[kind]["properties"][field]["description"] = text
    for kind, of in _KINDS.items():
        types[of.__name__]["properties"]["record"] = {"const": kind}
    for described in types.values():
        if "properties" in described:
            described.update(required=sorted(described["properties"]), additionalProperties=False)
    records = [{"$ref": f"#/$defs/{of.__name__}"} for of in _KINDS.values()]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "oneOf": records, "$defs": types}


def _find_field_texts(source: str) -> Iterator[tuple[str, str, str]]:
    """Yields class, field and the string below the field. pydantic can do that too, but 50 ms later in every command."""
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for kind, (field, below) in ((one, pair) for one in classes for pair in pairwise(one.body)):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield kind.name, ast.unparse(field.target), str(below.value.value)
