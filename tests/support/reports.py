"""Two small reports: one with every part of a report, one with hostile text wherever a record has text."""

from typing import Any

from bot.report.build import build_report
from bot.report.context import Report
from matrix.catalog.lock import Lock, ScannedVersion
from matrix.model import Check, Failure, Run
from matrix.verdicts import Verdict
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, finding, info

HOSTILE = (
    "<script>alert(1)</script>|<img src=x onerror=a>`` ` ```\r\n\n# h\n| a |\n</details>@octocat #1 [x](http://a.b)"
    "![i](http://a.b) www.a.b \\| {{ 7*7 }} \u202e\u2066\x00\x1b[31m\ud800 \"'&"
)


def a_report() -> Report:
    """Returns a report with a wrong value, a pass, unfinished cases, a failed environment and gaps in coverage."""
    stock = (case(verdict=Verdict.CORRUPT), case(BERT), case(BERT, check=Check("save")))
    failed = cell(planned=4, error=RESOLVER, environment=info("9.9.9"))
    lock = Lock(
        "", {"5.5.4": ScannedVersion({"t:Timm": "needs timm"}, unreached=("Codebook.embed", "Loss.weight"))}, ()
    )
    return build_report(Run((cell(*stock, planned=9, complete=False), failed)), {ROUTER: "router"}, lock)


def hostile_report() -> Report:
    """Returns a report with hostile text in every field of its records."""
    wrong = finding(HOSTILE, site=HOSTILE, expected=(HOSTILE,), actual=(HOSTILE,), detail=HOSTILE)
    cases = [
        case(HOSTILE, Verdict.CORRUPT, findings=(wrong,)),
        case(HOSTILE, Verdict.CRASH, check=Check("save"), error=Failure(HOSTILE, HOSTILE, HOSTILE)),
    ]
    names: dict[str, Any] = dict.fromkeys(("id", "python", "torch", "deepspeed", "accelerate", "hardware"), HOSTILE)
    environment = info(HOSTILE, packages={HOSTILE: HOSTILE}, **names)
    failed = cell(planned=4, error=Failure(HOSTILE, HOSTILE, HOSTILE), environment=info("9.9.9"))
    lock = Lock("", {"9.9.9": ScannedVersion({HOSTILE: HOSTILE}, unreached=(HOSTILE,))}, ())
    return build_report(Run((cell(*cases, environment=environment), failed)), {HOSTILE: HOSTILE}, lock)
