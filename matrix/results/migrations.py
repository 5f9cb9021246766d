"""Migrates records of older schemas. Files are never rewritten: a record is migrated whenever it is read.

To change what records hold: raise `matrix.results.records.SCHEMA`, add the step here, and keep a small file of the schema that was the
newest until then, `tests/data/records/schema-N.jsonl`.
"""

from collections.abc import Callable
from typing import Any, Final

Record = dict[str, Any]
Step = Callable[[Record], Record]


def _add_precision(record: Record) -> Record:
    """Schema 2 has precision, configuration, notes and differences of the loading report. What is older was measured in float32."""
    if record["record"] != "case":
        return record
    findings = [{**finding, "at_stage_0": None} for finding in record["findings"]]
    place = {"precision": "float32", "configuration": "plain"}
    return {**record, **place, "findings": findings, "notes": [], "report": []}


STEPS: Final[tuple[Step, ...]] = (_add_precision,)
"""What makes a record of schema 1 one of schema 2, one of 2 one of 3, and so on. Each is given records of every kind."""


def newest_schema() -> int:
    """Returns the schema that the last step leads to."""
    return len(STEPS) + 1


def migrate(record: Record, schema: int) -> Record:
    """Returns a `record` of an older `schema` in the newest one; raises whatever a step raises on anything that is not such a record."""
    for step in STEPS[schema - 1 :]:
        record = step(record)
    return {**record, "schema": newest_schema()} if "schema" in record else record
