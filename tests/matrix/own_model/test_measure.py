"""A check from the host's side, with a stand-in for the probe; tests/matrix/own_model/test_check.py runs real ones."""

import json
import subprocess
import sys
import venv
from datetime import date, timedelta
from pathlib import Path
from shutil import rmtree

import pytest

from matrix.checks import CHECKS
from matrix.errors import EnvironmentFailedError, ProbeDiedError, RejectedTargetError
from matrix.measure.cell import measure
from matrix.measure.request import Request
from matrix.model import Cell, Loader, Source, Timing
from matrix.own_model.measure import compute_identity, find_safe_pairs, measure_own_model, open_folder
from matrix.process.messages import Resolved
from matrix.results.read import read_run
from matrix.results.write import append
from matrix.verdicts import Verdict
from tests.support.command_line import matrix
from tests.support.runs import ROUTER, case, cell, info
from tests.support.stand_in_probe import SilentProgress, StandIn, load_request

TODAY = date(2026, 11, 22)
SOURCE = Source("my_models:Mine")
CASES = (
    "[case(('mine:Mine', loader, check, precision, 'plain')) for precision in ('float32', 'bf16')"
    " for loader in ('stock', 'fixed') for check in ('load', 'save')]"
)
WHOLE = f"environment(); tell('target', {{'id': 'mine:Mine', 'parameters': 7}}); {CASES}; end()"


def check(where: Path, body: str, source: Source | None = SOURCE) -> tuple[Cell, Resolved]:
    request = Request(where / "out", (), interpreter=StandIn(where, body).path, device="cpu")
    return measure_own_model(source, request, SilentProgress())


def test_the_probe_says_what_the_target_is_and_decides_its_cases(tmp_path: Path) -> None:
    whole, resolved = check(tmp_path, WHOLE)
    assert resolved == Resolved("mine:Mine", 7)
    assert (len(whole.cases), whole.planned, whole.complete, whole.catalog) == (8, 8, True, compute_identity(SOURCE))
    assert read_run(tmp_path / "out").cells == (whole,)


IMPOSSIBLE = {"type": "UnsupportedPrecisionError", "message": "deepspeed does not train in fp16 on cpu"}


@pytest.mark.parametrize(("error", "rejected"), [(IMPOSSIBLE, False), ({"type": "E", "message": "no class"}, True)])
def test_a_precision_that_cannot_be_had_is_no_missing_class(
    tmp_path: Path, error: dict[str, str], *, rejected: bool
) -> None:
    fields = {"architecture": "mine:Mine", "loader": "stock", "check": "save", "precision": "bf16"}
    body = WHOLE.replace("end()", f"tell('case', {{**{fields}, 'verdict': 'unsupported', 'error': {error}}}); end()")
    if rejected:
        with pytest.raises(RejectedTargetError, match="no class"):
            check(tmp_path, body)
    else:
        cases = {case.key.variant.what: case for case in check(tmp_path, body)[0].cases if case.loader is Loader.STOCK}
        assert cases["save bf16"].verdict is Verdict.UNSUPPORTED


def test_the_dtype_of_the_configuration_or_the_precision_asked_for_is_what_is_measured(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mine", "torch_dtype": "bfloat16"}')
    stand_in = StandIn(
        tmp_path, WHOLE.replace("environment();", "assert job['precisions'] == ['bf16']; environment();")
    )
    arguments = ("check", tmp_path, "--python", stand_in.path, "--device", "cpu")
    done = matrix(*arguments)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "SAFE: mine:Mine, in bf16: load, save"), done.stderr
    assert "measured in bf16: its config.json has torch_dtype bfloat16" in done.stdout
    stand_in.acts(WHOLE.replace("environment();", "assert job['precisions'] == ['float32', 'bf16']; environment();"))
    done = matrix(*arguments, "--precision", "float32,bf16")
    assert "measured in bf16 and float32: as --precision says" in done.stdout
    assert matrix(*arguments, "--precision", "int8").returncode == 2


def test_another_target_is_not_taken_for_the_same_and_the_earlier_one_is_kept(tmp_path: Path) -> None:
    check(tmp_path, WHOLE)
    whole, _ = check(tmp_path, WHOLE, Source("my_models:Mine", full=True))
    assert whole.catalog != compute_identity(SOURCE)
    assert len(list((tmp_path / "out").glob("*.old"))) == 1


def test_a_case_of_anything_but_the_target_does_not_count(tmp_path: Path) -> None:
    whole, _ = check(tmp_path, WHOLE.replace("end()", "case(('other:Other', 'stock', 'load')); end()"))
    assert {one.architecture for one in whole.cases} == {"mine:Mine"}


def test_a_run_of_the_catalog_lets_no_message_add_to_what_it_asked_for(tmp_path: Path) -> None:
    whole = measure(
        load_request(tmp_path, StandIn(tmp_path, f"tell('refused', 'no'); {WHOLE}"), "bart"), SilentProgress()
    )
    assert whole.cases == ()


def test_a_refusal_is_bad_input_and_leaves_no_results(tmp_path: Path) -> None:
    with pytest.raises(RejectedTargetError, match="my_models:Mine cannot be checked: no such module") as caught:
        check(tmp_path, "environment(); tell('refused', 'no such module')")
    assert caught.value.exit_code == 2
    assert list((tmp_path / "out").glob("*.jsonl")) == []


def test_what_upstream_raised_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(RejectedTargetError, match=r"KeyError: \\x1b\[31m$"):
        check(tmp_path, r"environment(); tell('refused', 'KeyError: \x1b[31m')")


def test_a_path_that_is_not_utf8_is_still_bad_input(tmp_path: Path) -> None:
    with pytest.raises(RejectedTargetError, match=r"there is no /models/caf\\udce9$") as caught:
        check(tmp_path, r"environment(); tell('refused', 'there is no /models/caf\udce9')")
    assert caught.value.exit_code == 2


def test_packages_that_cannot_be_imported_are_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"ImportError: libcudart\.so\.12"):
        check(tmp_path, "tell('failure', {'type': 'ImportError', 'message': 'libcudart.so.12'})")


def test_records_that_nobody_wants_are_gone_but_for_a_log_that_a_message_names() -> None:
    with open_folder(None) as gone:
        assert gone.is_dir()
    assert not gone.exists()
    with pytest.raises(ProbeDiedError), open_folder(None) as named:
        raise ProbeDiedError("here", named / "log", "bye")
    assert named.is_dir()
    rmtree(named)


def measured(architecture: str, verdict: Verdict, transformers: str) -> Cell:
    cases = [case(architecture, verdict, check=check, loader=loader) for check in CHECKS for loader in Loader]
    return cell(*cases, environment=info(transformers))


def kept(where: Path, *cells: Cell) -> str:
    for one in cells:
        with append(where / f"{one.environment.id}.jsonl") as writer:
            writer.header(one)
            for decided in one.cases:
                writer.case(decided)
            writer.end(one.cases, Timing())
    return str(where)


def test_better_versions_are_those_of_the_same_class_the_nearest_first(tmp_path: Path) -> None:
    known = [measured(ROUTER, Verdict.PASS, version) for version in ("4.57.6", "5.6.0", "5.23.0")]
    where = kept(tmp_path, *known, measured(ROUTER, Verdict.CORRUPT, "5.7.0"), measured("a:B", Verdict.PASS, "5.5.5"))
    mine = measured(f"{ROUTER}@mine", Verdict.CORRUPT, "5.5.4")
    assert [pair.partition("+")[0] for pair in find_safe_pairs(mine, where, TODAY)] == [
        f"transformers-{version}" for version in ("5.6.0", "4.57.6", "5.23.0")
    ]


def test_versions_that_were_measured_too_long_ago_are_not_better(tmp_path: Path) -> None:
    where = kept(tmp_path, measured(ROUTER, Verdict.PASS, "5.6.0"))
    assert not find_safe_pairs(measured(ROUTER, Verdict.CORRUPT, "5.5.4"), where, TODAY + timedelta(days=60))


def test_where_nothing_is_known_no_versions_are_better(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text("{}\n")
    mine = measured(ROUTER, Verdict.CORRUPT, "5.5.4")
    assert find_safe_pairs(mine, str(tmp_path), TODAY) == find_safe_pairs(mine, str(tmp_path / "none"), TODAY) == []


def test_the_command_tells_and_exits_like_a_test(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mine"}')
    stand_in = StandIn(tmp_path, WHOLE)
    arguments = ("check", tmp_path, "--python", stand_in.path, "--device", "cpu", "--json")
    done = matrix(*arguments, "--out", tmp_path / "out")
    assert (done.returncode, json.loads(done.stdout)["answer"]) == (0, "safe")
    stand_in.acts(WHOLE.replace("'plain'))", "'plain'), 'corrupt')"))
    assert matrix(*arguments).returncode == 1


def test_a_model_of_ones_own_may_need_what_is_in_ones_own_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "mine")
    (tmp_path / "config.json").write_text('{"model_type": "mine"}')
    stand_in = StandIn(tmp_path, "assert os.environ['HF_HUB_CACHE'] == 'mine'\n" + WHOLE)
    assert matrix("check", tmp_path, "--python", stand_in.path, "--device", "cpu").returncode == 0


def test_the_command_knows_why_the_catalog_does_not_check_an_architecture(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, "environment(); [case(key, 'baseline_broken') for key in keys]; end()")
    done = matrix("check", "sam2_video", "--python", stand_in.path, "--device", "cpu")
    reason = "it is not checked: AttributeError: 'Sam2VideoPromptEncoderConfig' object has no attribute 'num_multimask_outputs'"
    told = f"- known of sam2_video:Sam2VideoModel with transformers 5.5.4: {reason}"
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, told)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["org/model"], 2, "HF_HUB_OFFLINE is set, so no hub is asked"),
        (["llama", "--device", "gpu"], 2, "unknown device 'gpu'"),
        (["llama", "--python", sys.executable], 3, "not installed there: torch, transformers, deepspeed"),
    ],
)
def test_what_cannot_be_checked_has_its_exit_code(arguments: list[str], code: int, words: str) -> None:
    done = matrix("check", *arguments, HF_HUB_OFFLINE="1")
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_an_interpreter_without_the_host_packages_says_how_to_check_it(tmp_path: Path) -> None:
    venv.create(tmp_path, symlinks=True)
    python = str(tmp_path / "bin" / "python")
    command = [python, "-m", "matrix", "check", "llama"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"`zero3 check TARGET --python {python}`" in done.stderr
