"""Records of older schemas as this version knows them. Files are never rewritten: a record is migrated whenever it is read.

To change what records hold: raise `matrix.results.records.SCHEMA`, add the step here, and keep a small file of the schema that was the
newest until then, `tests/data/records/schema-N.jsonl`.
"""

from collections.abc import Callable
from typing import Any, Final

Record = dict[str, Any]
Step = Callable[[Record], Record]

STEPS: Final[tuple[Step, ...]] = ()
"""What makes a record of schema 1 one of schema 2, one of 2 one of 3, and so on. Each is given records of every kind."""


def newest() -> int:
    """The schema that the last step leads to."""
    return len(STEPS) + 1


def migrated(record: Record, schema: int) -> Record:
    """What a `record` of a file of an older `schema` is in the newest; raises whatever a step does on what is no such record."""
    for step in STEPS[schema - 1 :]:
        record = step(record)
    return {**record, "schema": newest()} if "schema" in record else record
