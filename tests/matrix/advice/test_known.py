"""The file of known upstream failures: what its rules ask for, and that all of its mistakes are told at once."""

from pathlib import Path

import pytest

from matrix.advice.known import Known, load_known
from matrix.advice.match import Ranks
from matrix.errors import DataFileError
from matrix.model import Failure, Kind, Loader, What
from tests.support.history.real_runs import evidence, real_run
from tests.support.runs import case, finding, info

LINK = "https://github.com/huggingface/transformers/pull/45402"


def entry(match: str, **other: str) -> str:
    lines = {
        "title": '"A title"',
        "issues": f'["{LINK}"]',
        "state": '"open"',
        "match": f"[{{ {match} }}]",
        "read_not_run": '"a test"',
        **other,
    }
    return "[some-failure]\n" + "\n".join(f"{name} = {value}" for name, value in lines.items())


def known(tmp_path: Path, text: str) -> Known:
    path = tmp_path / "known.toml"
    path.write_text(text)
    return load_known(path)[0]


def test_every_rule_explains_something_that_was_measured_and_nothing_that_another_does() -> None:
    rules, explaining = load_known(), set()
    for cell in (*real_run().cells, *evidence().cells):
        for red in cell.cases:
            for cause in (*red.findings, *([red.error] if red.error else ())):
                found = [rule.id for rule in rules if rule.explains(red, cell.environment, cause)]
                assert len(found) <= 1
                explaining |= set(found)
    assert explaining == {rule.id for rule in rules}


@pytest.mark.parametrize(
    ("match", "explained"),
    [
        ('what = "buffer"', True),
        ('what = "parameter"', False),
        ('what = "buffer", kinds = ["init_value", "zeros"]', True),
        ('what = "buffer", kinds = ["shape"]', False),
        ('sites = ["Router.*"]', True),
        ('sites = ["Other.*"]', False),
        ('tensors = ["model.layers.*"]', True),
        ('tensors = ["a new head, *"]', False),
        ('ranks = "all"', True),
        ('ranks = "above_zero"', False),
        ("reported = false", False),
        ('what = "buffer", verdicts = ["flaky"]', False),
        ('what = "buffer", architectures = ["deepseek*"]', True),
        ('what = "buffer", architectures = ["bert*"]', False),
        ('what = "buffer", loader = "fixed"', False),
        ('what = "buffer", check = "save"', False),
        ('what = "buffer", precisions = ["float32", "fp16"]', True),
        ('what = "buffer", precisions = ["bf16"]', False),
        ('what = "buffer", device = "cuda"', False),
        ('what = "buffer", transformers = ">=5,<5.6"', True),
        ('what = "buffer", transformers = ">=5.6"', False),
        ('what = "buffer", deepspeed = "<0.19"', False),
        ('exception = "ValueError"', False),
    ],
)
def test_a_wrong_tensor_is_explained_by_what_is_asked_for(tmp_path: Path, match: str, explained: bool) -> None:  # noqa: FBT001
    wrong = finding(what=What.BUFFER, kind=Kind.ZEROS, ranks=(0, 1))
    assert known(tmp_path, entry(match)).explains(case(loader=Loader.STOCK), info("5.5.4"), wrong) is explained


@pytest.mark.parametrize(
    ("match", "explained"),
    [
        ('exception = "ValueError"', True),
        ('exception = "TypeError"', False),
        ('message = "fewer than \\\\d dimensions"', True),
        ('message = "^than"', False),
        ('frame = " in _init_weights$"', True),
        ('frame = " in other$"', False),
        ('what = "buffer"', False),
    ],
)
def test_an_exception_is_explained_by_what_is_asked_for(tmp_path: Path, match: str, explained: bool) -> None:  # noqa: FBT001
    error = Failure("ValueError", "a tensor with fewer than 2 dimensions", "modeling.py:3 in _init_weights")
    assert known(tmp_path, entry(match)).explains(case(), info(), error) is explained


def test_a_development_version_counts_and_what_is_no_version_is_in_no_range(tmp_path: Path) -> None:
    newer = known(tmp_path, entry('what = "buffer", transformers = ">=5.5"'))
    assert newer.explains(case(), info("5.24.0.dev0"), finding())
    assert not newer.explains(case(), info("<script>"), finding())


@pytest.mark.parametrize(
    ("ranks", "pattern"), [((0, 1, 2), Ranks.ALL), ((1, 2), Ranks.ABOVE_ZERO), ((0,), Ranks.ZERO), ((2,), Ranks.SOME)]
)
def test_ranks_have_a_pattern(ranks: tuple[int, ...], pattern: Ranks) -> None:
    assert Ranks.of(ranks, 3) is pattern
    assert Ranks.of(ranks, 10**12) in {Ranks.ZERO, Ranks.SOME}  # a stranger may have any number of ranks


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    mistakes = {
        "Bad_Name": entry('what = "buffer"'),
        "a": entry('what = "buffer"', issues='["https://example.com/1"]', state='"done"'),
        "b": entry('what = "buffer", colour = "red"'),
        "c": entry('message = "("'),
        "d": entry('what = "buffer", transformers = "five"'),
        "e": entry('loader = "stock"'),
        "f": entry('what = "buffer"', state='"fixed"'),
        "g": entry('what = "buffer"', issues="[]"),
        "h": entry('what = "buffer"', read_not_run='""'),
        "i": entry('what = "buffer"', evidence="{ bad = ['5.5.4+0.19.8'] }"),
    }
    path.write_text("\n".join(text.replace("some-failure", name) for name, text in mistakes.items()))
    with pytest.raises(DataFileError) as raised:
        load_known(path)
    lines = str(raised.value).splitlines()
    told = {line.partition("[")[2].partition("]")[0] for line in lines}
    assert told == set(mistakes)
    assert len(lines) == len(mistakes) + 1, "two of a"


def test_a_fix_that_was_only_read_says_so(tmp_path: Path) -> None:
    one = entry('what = "buffer"', state='"fixed"', fixed_in='"deepspeed 0.19.8"')
    assert known(tmp_path, one).outlook == "fixed in deepspeed 0.19.8 (read in the sources, not run)"


def test_a_file_that_is_no_toml_says_so(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    path.write_text("[a")
    with pytest.raises(DataFileError, match=r"known\.toml"):
        load_known(path)
