"""The newest verdict of every case of a history, from one query of its tables: what faster queries are compared with."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from matrix.history.changes import MEASURED
from matrix.history.database import KEY_COLUMNS, History, case_key
from matrix.model import CaseKey
from matrix.verdicts import Verdict


@dataclass(frozen=True)
class Standing:
    """What is known of a case: its verdict, the `night` that last measured it, and the one `since` which it is so."""

    environment: str
    key: CaseKey
    verdict: Verdict
    night: date
    since: date


_NAMES: Final = f"name, {KEY_COLUMNS}"

_STANDINGS: Final = f"""{MEASURED}
SELECT {_NAMES}, change.verdict, measured.night, change.night FROM measured
JOIN environment ON environment.id = measured.environment JOIN "key" ON "key".id = measured."key"
JOIN change ON change.environment = measured.environment AND change."key" = measured."key" AND change.night =
    (SELECT max(night) FROM change WHERE environment = measured.environment AND "key" = measured."key"
     AND night <= :night)
WHERE (:name IS NULL OR name = :name) AND (:architecture IS NULL OR architecture = :architecture)
ORDER BY {_NAMES}
"""  # noqa: S608


def standings(
    history: History, night: date = date.max, *, environment: str | None = None, architecture: str | None = None
) -> tuple[Standing, ...]:
    """The cases as of a `night`: each with its newest verdict until then, of all environments and architectures or one."""
    rows = history.rows(_STANDINGS, night=night.toordinal(), name=environment, architecture=architecture)
    return tuple(
        Standing(name, case_key(*names), Verdict(verdict), date.fromordinal(measured), date.fromordinal(since))
        for name, *names, verdict, measured, since in rows
    )
