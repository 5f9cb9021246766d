"""Short knowledge to advise on: environments in which an architecture passed or failed, as of one day."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from matrix.advice.advice import Advice, Age, Ask
from matrix.advice.advice import advise as advise_on
from matrix.advice.safety import Tried
from matrix.checks import DEFAULT
from matrix.model import Check, Device, Loader, Variant
from matrix.verdicts import Verdict
from tests.support.runs import info

TODAY = date(2026, 11, 25)
"""The newest night of the records, and the day on which these tests ask."""
PASS = {Variant(loader, check): Verdict.PASS for loader in Loader for check in DEFAULT.checks}


def tried(transformers: str, deepspeed: str = "0.19.8", **other: Any) -> Tried:
    """Returns an environment in which every check passes, but those of the stock loader that `stock` names."""
    verdicts = {**PASS, **{Variant(Loader.STOCK, check): verdict for check, verdict in other.pop("stock", {}).items()}}
    values = {"device": Device.CPU, "night": TODAY, "verdicts": verdicts, **other}
    return Tried(info(transformers).id, transformers, deepspeed, **values)


def broken(transformers: str, verdict: Verdict = Verdict.CORRUPT, **other: Any) -> Tried:
    """Returns an environment in which loading with the stock loader gives `verdict`."""
    return tried(transformers, stock={Check("load"): verdict}, **other)


def advise(architecture: str, known: Iterable[Tried], ask: Ask, days: int = 0) -> Advice:
    """The advice so many days after the newest night."""
    return advise_on(architecture, known, ask, Age(TODAY, TODAY + timedelta(days)))
