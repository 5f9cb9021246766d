"""Says what to do about an environment that is not safe for a model.

PURE: no input or output.
"""

from collections.abc import Iterator

from matrix.advice.fixed_loader import FIXED_LOADER
from matrix.advice.known import describe_known
from matrix.advice.safety import Answer, is_left_out
from matrix.checks import CHECKS
from matrix.model import Case
from matrix.own_model.causes import KnownCause
from matrix.own_model.diagnosis import Diagnosis
from matrix.text import make_printable
from matrix.verdicts import Verdict


def suggest_fixes(found: Diagnosis) -> Iterator[str]:
    """Yields what to do about an environment that is not safe: other versions, the fixed loader, or a report upstream."""
    for name, why in found.reasons.items():
        with_version = f"{name} with transformers {found.environment.transformers}"
        yield make_printable(f"- known of {with_version}: {' '.join(why.split())}")
    broken = {
        case.check for case in found.stock if _unexplained(case, found) and not is_left_out(case.check, case.verdict)
    }
    if any(not CHECKS[check].needs_saved for check in broken):
        yield "- look at the model first: save_pretrained and from_pretrained do not restore it without ZeRO-3 either"
    elif broken:
        yield "- look at the output of save_pretrained first: without ZeRO-3 it does not restore the model either"
    if found.answer is not Answer.UNSAFE:
        return
    yield from (make_printable(_explain(cause)) for cause in found.causes.known)
    if found.pairs:
        yield f"- use versions that are known to be safe: {make_printable(found.pairs[0])}"
    if found.since:
        yield f'- upgrade: pip install "transformers>={found.since}", which loads buffers under ZeRO-3, and check again'
    if found.fixed:
        yield "- or keep these versions and use the fixed loader, which helps here: copy this file next to your script,"
    elif kept := sum(cause.kept for cause in found.causes.known):
        tensors = f"{kept} tensor{'s' if kept > 1 else ''}"
        yield f"- the fixed loader keeps {tensors} of these right, not the others: copy this file next to your script,"
    elif not found.pairs and found.causes.unexplained:
        yield "- the fixed loader does not help: report it upstream, with the records that --out keeps"
        return
    else:
        return
    yield f"    {make_printable(FIXED_LOADER)}"
    yield "  and before from_pretrained, on every rank:"
    yield "    import zero3_buffers"
    yield "    zero3_buffers.install()"


def _explain(cause: KnownCause) -> str:
    """Returns a known cause with its links, whether it is ZeRO-3's alone, and what the fixed loader does about it."""
    known = cause.known
    sites = f"{', '.join(cause.sites[:3])}{' and others' if len(cause.sites) > 3 else ''}"
    parts = [known.outlook]
    if cause.controlled:
        parts.append(_say_at_stage_0(cause))
    if cause.tensors:
        parts.append(f"with the fixed loader {_some(cause.kept, cause.tensors)} right")
    where = f" ({sites})" if sites else ""
    return f"- {describe_known(known, where)}; {'; '.join(parts)}"


def _say_at_stage_0(cause: KnownCause) -> str:
    control = "a plain load and deepspeed.initialize at stage 0"
    if not cause.at_stage_0:
        return f"DeepSpeed does this under ZeRO-3 only: {control} do not"
    some = "" if cause.at_stage_0 == cause.controlled else f" to {cause.at_stage_0} of {cause.controlled}"
    return f"DeepSpeed does this{some} without ZeRO-3 too: {control} do the same"


def _some(some: int, every: int) -> str:
    if some == every:
        return "all are" if every > 1 else "it is"
    return f"{some} of {every} are" if some else "none is" if every > 1 else "it is not"


def _unexplained(case: Case, found: Diagnosis) -> bool:
    return case.verdict is Verdict.BASELINE_BROKEN and case.architecture not in found.reasons
