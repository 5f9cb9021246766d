"""Loads a checkpoint under ZeRO-3 and looks at every tensor on every rank."""

from matrix.check_protocol import CheckDescription, CheckResult, CheckSession, CheckWords


def run(session: CheckSession) -> CheckResult:
    """Returns what is wrong with the model as it was loaded."""
    return CheckResult(session.judge_shards(), session.report)


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading",
        call="from_pretrained",
        meaning="a checkpoint is loaded under ZeRO-3, and every tensor is compared on every rank",
    ),
    run=run,
    needed_for_safe=True,
)
