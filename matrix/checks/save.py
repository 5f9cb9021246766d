"""Saves a model under ZeRO-3 the way users do after training, loads that in one process and looks at every tensor."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from matrix.check_protocol import CheckDescription, CheckResult, CheckSession, CheckWords, Flaw, Flaws

PLAIN = "model.save_pretrained(folder)"


def run(session: CheckSession) -> CheckResult:
    """Returns what is wrong with the model that was saved; nothing where ZeRO-3 did not shard it."""
    if not session.partitioned:
        return CheckResult()
    # Whatever the load lost must not count against saving.
    session.restore()
    with session.under_zero3():
        # Before there is an engine, which keeps small parameters whole: a tiny model has no others.
        notes = {PLAIN: _save_plainly(session)}
        with session.initialize() as engine:
            stages = {
                "deepspeed.initialize": session.judge_shards(),
                "gathering the state dict": _save(session, engine),
            }
    earlier = {name for flaws in stages.values() for name in flaws}
    stages[""], missing = session.judge_saved(session.folder) if _is_first() else ({}, ())
    # What was wrong before it was saved, nothing had named by then.
    return CheckResult(_join(stages), notes=notes, named=tuple(name for name in missing if name not in earlier))


def _is_first() -> bool:
    import torch

    return bool(torch.distributed.get_rank() == 0)


def _save(session: CheckSession, engine: Any) -> Flaws:
    """Gathers the 16-bit state on rank 0 and calls `save_pretrained` there. Returns what is wrong with the state."""
    with session.poisoned():
        # On all ranks: it gathers the parameters, though only rank 0 gets them.
        state = engine._zero3_consolidated_16bit_state_dict()
    if not _is_first():
        return {}
    with session.poisoned(), session.timed():
        session.save(session.folder, state_dict=state)
    return session.judge_state(state)


def _save_plainly(session: CheckSession) -> str:
    """Calls `save_pretrained` without a state dict, as one would without ZeRO-3, and returns what that writes."""
    import torch

    # Each rank has a folder: whether only one may call it is what nobody who does this knows.
    folder = session.folder.with_name(f"{session.folder.name}.plain.{torch.distributed.get_rank()}")
    try:
        session.save(folder)
    except Exception as error:
        return f"raises {type(error).__name__}"
    lost, of = session.count_lost(folder)
    words = {"empty": "empty", "missing": "not at all", "wrong": "with other values"}
    if lost.get("missing") == of and not _is_first():
        return ""  # other ranks leave the writing to rank 0
    told = [f"{lost[how]} of {of} tensors {word}" for how, word in words.items() if how in lost]
    return f"writes {', '.join(told)}, without an error" if told else ""


def _join(stages: Mapping[str, Flaws]) -> Flaws:
    """Returns the flaws of all stages. One that shows at several stages is that of the first."""
    found: dict[tuple[str, str], Flaw] = {}
    for stage, flaws in stages.items():
        for name, those in flaws.items():
            for flaw in those:
                words = ", ".join(filter(None, [flaw.detail, stage and f"seen after {stage}"]))
                found.setdefault((name, flaw.kind), replace(flaw, detail=words))
    joined: dict[str, list[Flaw]] = {}
    for (name, _), flaw in found.items():
        joined.setdefault(name, []).append(flaw)
    return joined


CHECK = CheckDescription(
    words=CheckWords(
        verb="save",
        doing="saving",
        call="save_pretrained",
        meaning="a model under ZeRO-3 is saved as users do after training, then loaded plainly, and compared",
        given="the consolidated state",
    ),
    run=run,
    after=("load",),
    needed_for_safe=True,
    needs_saved=True,
    in_one_process=True,
)
