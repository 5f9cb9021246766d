"""What the answer box knows, and what it does not."""

from bot.site.parts.answer_box import build_answers
from bot.text import clip
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER
from tests.support.sites import small


def test_the_answers_have_every_verdict_and_why() -> None:
    told = build_answers(small())
    at = [one.id for one in told.architectures].index(clip(ROUTER))
    old = next(environment for environment in told.environments if environment.transformers == "5.5.4")
    codes = old.verdicts[4 * at : 4 * at + 4]
    assert [told.verdicts[int(code, 36)].verdict for code in codes] == [Verdict.CORRUPT, *[Verdict.PASS] * 3]
    assert [told.failures[number].page for number in old.why] == ["findings/buffers-skipped.html"]


def test_the_answers_do_not_know_what_is_untested() -> None:
    told = build_answers(small())
    failed = next(environment for environment in told.environments if environment.transformers == "9.9.9")
    assert failed.verdicts == "." * 8
