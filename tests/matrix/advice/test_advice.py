"""`python -m matrix advise`: what is safe, what is not and why, and that what is not known is never called safe."""

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from matrix import clock
from matrix.__main__ import app
from matrix.advice.advice import Ask, format_constraints
from matrix.advice.fixed_loader import FIXED_LOADER
from matrix.advice.safety import RACE, Answer, Tried
from matrix.advice.sources import SnapshotSource, find_architecture
from matrix.advice.text import advice_lines
from matrix.download import DownloadError
from matrix.errors import NotMeasuredError, UnknownNameError, UnknownSourceError
from matrix.history.archive import archive
from matrix.history.take_snapshot import snapshot_of_run
from matrix.model import Check, Device, Loader, Run, Variant
from matrix.verdicts import Verdict
from tests.support.advice import PASS, TODAY, advise, broken, tried
from tests.support.history.folder import Folder
from tests.support.history.real_runs import HISTORY
from tests.support.runs import case, cell, info
from tests.support.site_server import ADVICE, environment, place, serving, site

ROUTER = "deepseek_v3:DeepseekV3ForCausalLM"


@pytest.fixture(autouse=True)
def _calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever these tests run, the records are as fresh as on their day."""
    asked_on(monkeypatch, 0)


def asked_on(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Ask so many days after the newest night of the records."""
    monkeypatch.setattr(clock, "today", lambda: TODAY + timedelta(days))


def versions(found: tuple[Tried, ...]) -> list[str]:
    return [one.transformers for one in found]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the real records as the folder of a run."""
    folder = tmp_path_factory.mktemp("results")
    for pair in (
        "5.5.4+deepspeed-0.19.8",
        "5.6.0+deepspeed-0.19.8",
        "5.23.0+deepspeed-0.16.9",
        "5.23.0+deepspeed-0.19.8",
    ):
        (file,) = HISTORY.glob(f"*/transformers-{pair}+*.gz")
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["advise", *map(str, arguments)])


def test_without_pins_the_newest_safe_pair_comes_first() -> None:
    advice = advise("m", [tried("5.6.0"), broken("5.5.4"), tried("5.23.0", "0.16.9"), tried("5.23.0")], Ask())
    assert advice.answer is Answer.SAFE
    assert [(one.transformers, one.deepspeed) for one in advice.safe] == [
        ("5.23.0", "0.19.8"), ("5.23.0", "0.16.9"), ("5.6.0", "0.19.8")]  # fmt: skip


def test_with_pins_the_nearest_safe_pair_comes_first() -> None:
    known = [tried("5.23.0"), tried("5.6.0"), broken("5.5.4"), broken("5.0.0"), tried("4.40.2")]
    advice = advise("m", known, Ask(transformers="5.5.4"))
    assert advice.answer is Answer.UNSAFE
    assert versions(advice.asked) == ["5.5.4"]
    assert versions(advice.safe) == ["5.6.0", "5.23.0", "4.40.2"]


def test_a_safe_pair_that_was_asked_for_is_what_to_use() -> None:
    advice = advise("m", [tried("5.23.0"), tried("5.6.0")], Ask(transformers="5.6"))
    assert advice.answer is Answer.SAFE
    assert versions(advice.safe) == ["5.6.0"]


@pytest.mark.parametrize(
    "other",
    [
        tried("5.6.0", stale=True),
        tried("5.6.0", flaky=RACE),
        tried("5.6.0", verdicts={Variant(Loader.STOCK, Check("load")): Verdict.PASS}),
        tried("5.6.0", verdicts={**PASS, Variant(Loader.FIXED, Check("load")): Verdict.FLAKY}),
        broken("5.6.0", Verdict.ENVIRONMENT),
    ],
    ids=["stale", "racy", "in part", "lucky", "not installed"],
)
def test_what_is_not_known_for_certain_is_not_safe(other: Tried) -> None:
    advice = advise("m", [other], Ask(transformers="5.6.0"))
    assert (advice.answer, advice.safe) == (Answer.UNKNOWN, ())
    assert advise("m", [other], Ask()).answer is Answer.UNKNOWN


def test_a_few_flaky_cases_of_other_models_make_no_pass_doubtful() -> None:
    assert advise("m", [tried("5.6.0", flaky=RACE - 1)], Ask()).answer is Answer.SAFE


@pytest.mark.parametrize("verdict", [v for v in Verdict if v not in (Verdict.PASS, Verdict.ENVIRONMENT)])
def test_any_other_verdict_than_pass_is_unsafe_even_when_stale(verdict: Verdict) -> None:
    assert advise("m", [broken("5.6.0", verdict, stale=True)], Ask()).answer is Answer.UNSAFE


def test_versions_that_were_not_measured_are_unknown_and_have_near_ones() -> None:
    advice = advise("m", [tried("5.23.0"), tried("5.6.0")], Ask(transformers="5.7.0"))
    assert (advice.answer, advice.asked) == (Answer.UNKNOWN, ())
    assert versions(advice.safe) == ["5.23.0", "5.6.0"]  # as near as each other, so the newer one first


def test_another_device_does_not_count() -> None:
    known = [tried("5.6.0"), broken("5.6.0", device=Device.CUDA)]
    assert advise("m", known, Ask(device=Device.CUDA)).answer is Answer.UNSAFE
    assert advise("m", known, Ask(device=Device.CPU)).answer is Answer.SAFE


def test_a_pair_that_one_device_breaks_is_not_safe_where_no_device_is_named() -> None:
    told = advise("m", [tried("5.6.0"), broken("5.6.0", device=Device.CUDA)], Ask(transformers="5.6.0"))
    assert (told.answer, told.safe) == (Answer.UNSAFE, ())


@pytest.mark.parametrize(
    "other", [{"verdicts": {}, "stale": True}, {"flaky": 20}, {"stale": True}], ids=["in vain", "racy", "stale"]
)
def test_a_pair_that_is_not_known_on_one_device_is_safe_only_where_the_other_is_named(other: dict[str, Any]) -> None:
    known = [tried("5.6.0"), tried("5.6.0", device=Device.CUDA, **other)]
    assert (advise("m", known, Ask()).answer, advise("m", known, Ask()).safe) == (Answer.UNKNOWN, ())
    assert advise("m", known, Ask(device=Device.CPU)).answer is Answer.SAFE


def test_a_measurement_in_vain_is_told_of_but_not_counted() -> None:
    known = [tried("5.6.0"), tried("5.6.0", device=Device.CUDA, verdicts={}, stale=True), tried("5.5.4")]
    assert next(advice_lines(advise("m", known, Ask()))) == "m: 1 of 2 measured pairs are safe with the stock loader"
    asked = "\n".join(advice_lines(advise("m", known, Ask(transformers="5.6.0"))))
    assert "cpu: safe in float32: load, save (" in asked
    assert "cuda: unknown: it could not be measured (last tried 2026-11-25)" in asked


@pytest.mark.parametrize(("days", "answer"), [(45, Answer.SAFE), (46, Answer.UNKNOWN)])
def test_nothing_is_called_safe_that_was_measured_too_long_ago(days: int, answer: Answer) -> None:
    told = advise("m", [tried("5.6.0")], Ask(transformers="5.6.0"), days)
    assert (told.answer, bool(told.safe)) == (answer, answer is Answer.SAFE)
    assert advise("m", [broken("5.6.0")], Ask(), days).answer is Answer.UNSAFE


def test_the_nights_go_on_yet_one_environment_is_too_old() -> None:
    old = tried("5.6.0", night=TODAY - timedelta(46))
    assert versions(advise("m", [old, tried("5.5.4")], Ask()).safe) == ["5.5.4"]


@pytest.mark.parametrize(
    ("days", "line"),
    [
        (2, "safe pairs, the newest first:"),
        (3, "the data is 3 days old, from 2026-11-25: releases since then were not measured"),
        (
            46,
            "the data is 46 days old, from 2026-11-25: releases since then were not measured, and results older than 45 days",
        ),
    ],
)
def test_how_old_the_data_is_comes_right_after_the_answer(days: int, line: str) -> None:
    assert list(advice_lines(advise("m", [tried("5.6.0")], Ask(), days)))[1].startswith(line)


def test_the_fixed_loader_is_told_of_where_it_helps() -> None:
    asked = Ask(transformers="5.5.4")
    helps = f"    with the fixed loader it is safe in float32: load, save ({FIXED_LOADER})"
    assert helps in advice_lines(advise("m", [broken("5.5.4")], asked))
    both = broken("5.5.4", verdicts=dict.fromkeys(PASS, Verdict.CRASH))
    assert helps not in advice_lines(advise("m", [both], asked))
    assert helps not in advice_lines(advise("m", [tried("5.5.4")], asked))


def test_what_no_index_has_is_judged_but_not_recommended() -> None:
    known = [tried("5.24.0.dev0"), tried("5.24.0+mine"), tried("main"), tried("5.6.0")]
    assert versions(advise("m", known, Ask()).safe) == ["5.6.0"]
    for pin in ("5.24.0.dev0", "5.24.0+mine", "main"):
        assert advise("m", known, Ask(transformers=pin)).answer is Answer.SAFE


def test_constraints_hold_releases_only() -> None:
    lines = list(
        format_constraints(tried("5.6.0"), {"torch": "2.13.0+cpu", "accelerate": "1\nevil==1", "scipy": "1.0.dev1"})
    )
    assert lines == ["transformers==5.6.0", "deepspeed==0.19.8", "torch==2.13.0"]


@pytest.mark.parametrize("name", [ROUTER, "deepseek_v3", "DeepseekV3ForCausalLM", "DEEPSEEK_V3"])
def test_an_architecture_goes_by_its_id_its_type_or_its_class(name: str) -> None:
    assert find_architecture(name, [ROUTER, "bert:BertModel"]) == ROUTER


def test_an_id_is_meant_before_anything_else_of_that_name() -> None:
    assert find_architecture("bert", ["bert", "bert:BertModel"]) == "bert"


def test_only_environments_with_a_verdict_of_an_architecture_count_for_it() -> None:
    cells = (cell(case(ROUTER)), cell(case("bert:BertModel"), environment=info("5.6.0")))
    known = SnapshotSource(snapshot_of_run(Run(cells)))
    assert [(name, len(known.tried(name))) for name in known.names] == [("bert:BertModel", 1), (ROUTER, 1)]


@pytest.mark.parametrize("name", ["deepseek", "bert"])
def test_an_unknown_or_ambiguous_name_has_close_matches(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"choose from {name}"):
        find_architecture(name, [ROUTER, "deepseek_v4:X", "bert:BertModel", "bert:BertForMaskedLM"])


@pytest.mark.parametrize(
    ("name", "target"), [("gemma9", "gemma9"), ("Gemma9Model", "transformers:Gemma9Model"), ("g:Gemma9", "g:Gemma9")]
)
def test_what_was_not_measured_is_for_check(name: str, target: str) -> None:
    with pytest.raises(NotMeasuredError, match=f"no architecture '{name}'.*; `zero3 check {target}` measures it"):
        find_architecture(name, [ROUTER])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["deepseek_v3"], 0, "transformers 5.23.0, deepspeed 0.19.8, cpu"),
        (["deepseek_v3", "--transformers", "5.6.0"], 0, "transformers 5.6.0 is safe in float32 with the stock loader"),
        (
            ["deepseek_v3", "--transformers", "5.5.4", "--deepspeed", "0.19.8"],
            1,
            "not safe in float32: load reported, save pass",
        ),
        (["deepseek_v3", "--transformers", "5.5.4", "--deepspeed", "0.19.8", "--loader", "fixed"], 0, "is safe"),
        (["bert", "--deepspeed", "0.16.9"], 3, "reruns disagree"),
        (["bert", "--transformers", "5.7.0"], 3, "transformers 5.7.0 was not measured"),
        (["bert", "--device", "cuda"], 3, "nothing is known"),
        (["resnet", "--transformers", "5.23.0"], 1, "load crash"),
    ],
)
def test_real_records_answer(results: Path, arguments: list[str], code: int, said: str) -> None:
    told = run("--from", results, "--architecture", *arguments)
    assert (told.exit_code, said in told.output) == (code, True), told.output


def test_a_program_gets_all_of_it(results: Path) -> None:
    told = run("--from", results, "--architecture", "deepseek_v3", "--transformers", "5.5.4", "--json")
    values = json.loads(told.stdout)
    assert (values["answer"], values["architecture"]) == ("unsafe", ROUTER)
    assert {one["transformers"] for one in values["asked"]} == {"5.5.4"}
    assert values["safe"][0] == values["safe"][0] | {"transformers": "5.6.0", "deepspeed": "0.19.8", "stale": False}


@pytest.mark.parametrize(("days", "code", "written"), [(12, 0, True), (50, 3, False)])
def test_the_command_knows_which_day_it_is(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, days: int, code: int, written: bool
) -> None:
    asked_on(monkeypatch, days)
    file, asked = tmp_path / "c.txt", ["--architecture", "deepseek_v3", "--transformers", "5.6.0"]
    told = run("--from", results, *asked, "--constraints", file)
    assert (told.exit_code, file.exists()) == (code, written)
    assert f"the data is {days} days old, from 2026-11-25" in told.stdout
    assert json.loads(run("--from", results, *asked, "--json").stdout)["days"] == days


def test_the_constraints_are_what_was_measured(results: Path, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    run("--from", results, "--architecture", "deepseek_v3", "--transformers", "5.5.4", "--constraints", file)
    assert file.read_text() == "transformers==5.6.0\ndeepspeed==0.19.8\ntorch==2.13.0\naccelerate==1.15.0\n"


def test_without_a_safe_pair_no_constraints_are_written(results: Path, tmp_path: Path) -> None:
    told = run("--from", results, "--architecture", "resnet", "--constraints", tmp_path / "c.txt")
    assert (told.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "not written" in told.output


def test_a_history_and_its_database_answer_the_same_and_which_it_is_is_said(results: Path, tmp_path: Path) -> None:
    history = tmp_path / "history"
    archive(results, history, date(2026, 11, 25))
    sources = (history, history.with_suffix(".sqlite"), results)
    told = [run("--from", one, "--architecture", "deepseek_v3", "--transformers", "5.5.4") for one in sources]
    assert "transformers 5.5.4 is not safe in float32" in told[0].stdout
    assert told[0].stdout == told[1].stdout == told[2].stdout
    assert [one.stderr for one in told] == [
        f"from the history {sources[0]}\n",
        f"from the history's database {sources[1]}\n",
        f"from the results in {sources[2]}\n",
    ]


def test_a_night_that_a_history_got_since_counts(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number, (verdict, safe) in enumerate([(Verdict.PASS, 1), (Verdict.CRASH, 0)]):
        folder.keep(number, cell(case(verdict=verdict), case(check=Check("save"))))
        told = run("--from", folder.records, "--architecture", ROUTER)
        assert f"{safe} of 1 measured pairs are safe" in told.stdout


@pytest.mark.parametrize(
    ("file", "named", "said"),
    [
        ("given/notes.txt", "given", "has neither results (*.jsonl) nor nightly runs"),
        ("given/notes.txt", "given/notes.txt", "is a file, but not the database of a history"),
        ("given/notes.txt", "results", "does not exist"),
        ("2026-11-22/a.jsonl.gz", "2026-11-22", "is a single nightly run: pass the history"),
        ("2026-1-2/a.jsonl.gz", "", "has neither results (*.jsonl) nor nightly runs"),
        ("api/v1/advice.json", "", "is a site on disk"),
    ],
)
def test_what_nothing_can_be_told_from_is_refused(tmp_path: Path, file: str, named: str, said: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("SQLite is not what this begins with")
    told = run("--from", tmp_path / named, "--architecture", "bert")
    assert isinstance(told.exception, UnknownSourceError)
    assert str(told.exception).startswith(f"'{tmp_path / named}' {said}")


def published(files: Mapping[str, Any], *arguments: str | Path) -> Result:
    with serving(files) as address:
        return run("--from", address, *arguments)


def test_a_published_site_answers(tmp_path: Path) -> None:
    files = site(place(environment("5.6.0")), place(environment("5.5.4"), load="corrupt"), place(environment("5.0.0")))
    file = tmp_path / "c.txt"
    told = published(files, "--architecture", "bert", "--transformers", "5.5.4", "--constraints", file)
    assert told.exit_code == 1
    assert "not safe in float32: load corrupt, save pass" in told.output
    assert file.read_text().splitlines()[:3] == ["transformers==5.6.0", "deepspeed==0.19.8", "torch==2.13.0"]


@pytest.mark.parametrize(
    "files",
    [
        site(place(environment("5.6.0", stale=True))),
        site(place(environment("5.6.0", flaky=20))),
        site(place(environment("5.6.0"), save=None)),
    ],
    ids=["stale", "racy", "untested"],
)
def test_what_a_site_does_not_vouch_for_is_not_safe(files: dict[str, Any]) -> None:
    assert published(files, "--architecture", "bert").exit_code == 3


def test_a_site_whose_nights_stopped_is_not_trusted_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    files = site(place(environment("5.6.0")))
    for days, code in ((0, 0), (46, 3)):
        asked_on(monkeypatch, days)
        assert published(files, "--architecture", "bert").exit_code == code


def test_a_site_tells_of_a_device_that_failed() -> None:
    failed = place(environment("5.6.0", id="cuda", device="cuda", stale=True), load=None, save=None)
    assert published(site(place(environment("5.6.0"))), "--architecture", "bert").exit_code == 0
    assert published(site(place(environment("5.6.0")), failed), "--architecture", "bert").exit_code == 3


def test_where_a_site_has_no_verdict_nothing_was_measured() -> None:
    told = published(site(place(environment("5.6.0"), load=None, save=None)), "--architecture", "bert")
    assert "bert:BertModel: nothing is known\n" in told.stdout


def test_a_site_before_its_first_night_knows_no_architecture() -> None:
    empty: dict[str, Any] = {"schema": 1, "newest": None, "environments": [], "verdicts": {}}
    told = published({ADVICE: empty}, "--architecture", "bert")
    assert isinstance(told.exception, UnknownNameError), told.output


def hostile() -> Iterator[tuple[str, Any]]:
    good = site(place(environment("5.6.0")))[ADVICE]
    yield "no JSON", b"<html>"
    yield "another schema", good | {"schema": 2}
    yield "no night", {name: part for name, part in good.items() if name != "newest"}
    yield "another file", {"schema": 1, "newest": None, "verdicts": [], "environments": [], "architectures": []}
    yield "deep", b"[" * 100_000
    yield "no verdict", site(place(environment("5.6.0"), load="great"))[ADVICE]
    yield "a number for a text", site(place(environment("5.6.0", transformers=5)))[ADVICE]
    yield "a text for a number", site(place(environment("5.6.0", flaky="20")))[ADVICE]
    yield "a text for a truth", site(place(environment("5.6.0", stale="no")))[ADVICE]
    yield "a long name", site(place(environment("5" * 301)))[ADVICE]


@pytest.mark.parametrize("file", [file for _, file in hostile()], ids=[name for name, _ in hostile()])
def test_a_site_that_is_none_of_ours_is_refused(file: Any) -> None:
    told = published({ADVICE: file}, "--architecture", "bert")
    assert isinstance(told.exception, DownloadError), told.output
    assert "not the advice file of a site that this project made" in str(told.exception)


def test_a_missing_file_says_so() -> None:
    assert "the answer is 404" in str(published({}, "--architecture", "bert").exception)


def test_hostile_text_of_a_site_is_inert_in_a_terminal_and_in_constraints(tmp_path: Path) -> None:
    evil = "5.6.0\x1b[2J\nevil==1"
    files = site(
        *(
            place(environment(name, transformers=version, torch="2\nevil==1"))
            for name, version in (("e", evil), ("f", "5.6.0"))
        )
    )
    told = published(files, "--architecture", "bert", "--deepspeed", "0.19.8", "--constraints", tmp_path / "c.txt")
    assert "transformers 5.6.0\\x1b[2J\\nevil==1, deepspeed 0.19.8, cpu: safe in float32: load, save" in told.stdout
    assert "\x1b" not in told.output
    assert (tmp_path / "c.txt").read_text() == "transformers==5.6.0\ndeepspeed==0.19.8\naccelerate==1.15.0\n"
