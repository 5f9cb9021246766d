"""What the answer box knows, and what it does not."""

from bot.site.parts.answer_box import build_answers
from bot.site.parts.heat_map import build_heat_map, count_share
from bot.text import clip
from matrix.model import Device, Loader, Precision
from matrix.verdicts import Verdict
from tests.support.runs import ROUTER, case, cell
from tests.support.sites import four, pair, site_index, small


def test_the_answers_have_every_verdict_and_why() -> None:
    told = build_answers(small())
    at = [one.id for one in told.architectures].index(clip(ROUTER))
    old = next(environment for environment in told.environments if environment.transformers == "5.5.4")
    codes = old.verdicts[4 * at : 4 * at + 4]
    assert [told.verdicts[int(code, 36)].verdict for code in codes] == [Verdict.CORRUPT, *[Verdict.PASS] * 3]
    assert [told.failures[number].page for number in old.why] == ["findings/buffers-skipped.html"]


def test_what_an_environment_was_not_measured_in_is_not_untested_there() -> None:
    old = cell(*four(), environment=pair("5.5.4"))
    new = cell(*four(), case(precision=Precision.BF16), environment=pair("5.6.0"))
    site = site_index(old, new)
    told = build_answers(site)
    assert told.cases[4:] == ("stock load bf16", "stock save bf16", "fixed load bf16", "fixed save bf16")
    passed = "0123456789abcdefghijklmnopqrstuvwxyz"[Verdict.PASS.rank]
    assert [one.verdicts for one in told.environments] == [f"{passed * 5}...", f"{passed * 4}----"]
    shares = [count_share(site, reading, Loader.STOCK) for reading in site.readings]
    assert [(share.percent, share.untested) for share in shares] == [(75, 1), (100, 0)]
    assert build_heat_map(site, (Device.CPU, Loader.STOCK, None)).precisions == (
        "float32 and bf16 (1 of 2 environments in fewer of them)"
    )


def test_the_answers_do_not_know_what_is_untested() -> None:
    told = build_answers(small())
    failed = next(environment for environment in told.environments if environment.transformers == "9.9.9")
    assert failed.verdicts == "." * 8
