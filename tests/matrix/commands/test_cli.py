"""The command line as people run it: exit codes, messages, and Ctrl-C. Real probes where the mark says so."""

import json
import os
import signal
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from matrix.catalog.catalog import read_config_exceptions, read_popular
from matrix.catalog.lockfile import CENSUS, DISCOVERY, SAVED, read_lock
from matrix.discovery.build_lock import DiscoverySetup, build_questions, cache_path, pick_environments
from matrix.discovery.merge_versions import LockBuilder, choose_popular
from matrix.environments.choose import load_environments, read_named_environment
from matrix.model import Cell, Timing
from matrix.progress import TerminalProgress
from matrix.results.json_schema import build_json_schema
from matrix.results.read import read_cell, read_run
from matrix.results.records import end_record, header_record
from matrix.verdicts import Verdict
from tests.support.command_line import ROOT, command, matrix, variables
from tests.support.runs import cell, info
from tests.support.stand_in_probe import StandIn, all_end, processes

FEW = ("--architecture", "llama:*", "--architecture", "bart*", "--device", "cpu", "--precision", "float32")
ONE_CASE_EACH = (*FEW, "--loader", "stock", "--check", "load")


@contextmanager
def started(arguments: Sequence[str | Path], **more: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command(*arguments), cwd=ROOT, env=variables(**more), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def after_the_first_case(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send a signal as soon as a case is told on stderr; what follows there."""
    assert process.stderr
    assert any("1/" in line for line in process.stderr)
    process.send_signal(number)
    return process.stderr.read()


def test_a_history_is_built_and_shown_with_what_does_not_count(tmp_path: Path) -> None:
    records, database = tmp_path / "history", tmp_path / "history.sqlite"
    for night, lines in {
        "2026-11-22": [header_record(cell()), end_record((), Timing())],
        "2026-11-23": ["\x1b[31m"],
    }.items():
        (records / night).mkdir(parents=True)
        (records / night / "cell.jsonl").write_text("".join(f"{line}\n" for line in lines))
    first, second = (matrix("history", records, "--database", database) for _ in range(2))
    assert first.stdout.splitlines()[0] == "2026-11-22: 1 complete"
    assert first.stdout.splitlines()[1].startswith("rejected: 2026-11-23/cell.jsonl: line 1 is not JSON")
    assert first.stderr == "record files read: 2\n"
    assert (second.stdout, second.stderr) == (first.stdout, first.stderr)
    missing = matrix("history", tmp_path / "missing", "--database", database)
    assert (missing.returncode, (tmp_path / "missing").exists()) == (2, False)
    assert "a folder with one subfolder for each nightly run" in missing.stderr


def only_cell(folder: Path) -> Cell:
    (cell,) = read_run(folder).cells
    return cell


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architecture", "lama", "--architecture", "brt"], "unknown architecture 'lama': did you mean llama:Llama"),
        (["--loader", "stok"], "unknown loader 'stok': choose from stock, fixed"),
        (["--check", "load,safe"], "unknown check 'safe': did you mean save?"),
        (["--device", "gpu"], "unknown device 'gpu': choose from cpu, auto, cuda"),
        (["--device", "tpux"], "unknown device 'tpux': choose from auto, cpu, cuda"),
        (["--architecture", "zzz"], ", ...; `zero3 list` shows all"),
        (["--python", "x", "--environment", "y"], "--python and --environment cannot be used together: one measures"),
        (["--device", "cpu,cuda"], "unknown device 'cpu,cuda'"),
        (["--environment", "transformers-5.23"], "unknown environment 'transformers-5.23': did you mean transformers-5.23.0+"),
        (["--device", "cpu", "--world-size", "1"], "--world-size 1: ZeRO-3 needs at least 2 ranks to shard anything"),
        (["--device", "cuda", "--world-size", "64"], "--device cuda with 64 ranks needs 64 GPUs, but this machine has "),
        (["--world-size", "two"], "Invalid value for '--world-size'"),
    ],
)  # fmt: skip
def test_what_is_unknown_or_impossible_is_told_before_anything_is_made(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = matrix("run", "--out", tmp_path / "results", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_every_unknown_architecture_is_told() -> None:
    told = matrix("list", "--architecture", "lama", "--architecture", "brt").stderr.splitlines()
    assert [line.partition(":")[0] for line in told] == ["error", "unknown architecture 'brt'"]


def test_a_site_that_no_architecture_has_is_told_with_close_ones() -> None:
    done = matrix("list", "--site", "BatchNorm2d.runing_mean")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown buffer site 'BatchNorm2d.runing_mean': did you mean BatchNorm2d.running_mean" in done.stderr


def test_the_catalog_is_listed_for_programs() -> None:
    arguments = ("list", "--json", "--architecture", "llama:*", "--transformers", "5.5.4")
    listed = json.loads(matrix(*arguments).stdout)
    assert [entry["id"] for entry in listed["architectures"]] == ["llama:LlamaForCausalLM"]
    (version, looked), *others = listed["versions"].items()
    assert (version, others, looked["unchecked"]["timm_backbone:TimmBackbone"]) == ("5.5.4", [], "needs timm")


def test_the_catalog_is_made_where_no_index_answers(tmp_path: Path) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}
    nowhere |= {"UV_FIND_LINKS": "", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    (environment,) = pick_environments([one for one in load_environments() if "last-broken" in one.sets])
    means = DiscoverySetup(tmp_path, read_config_exceptions(), TerminalProgress(), read_popular())
    asked = build_questions(choose_popular(means.popular, (), means.configs), LockBuilder())
    cache_path("discovery", DISCOVERY, environment, means, "").write_text('{"version": "5.5.4", "found": []}')
    cache_path("census", CENSUS, environment, means, json.dumps(asked, sort_keys=True)).write_text("[]")
    cache_path("saved", SAVED, environment, means, "[]").write_text("[]")
    done = matrix("catalog", "--set", "last-broken", "--out", tmp_path / "lock", "--venvs", tmp_path, **nowhere)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: cannot determine the newest release of transformers: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(read_lock(tmp_path / "lock").versions) == ["5.5.4"]
    assert json.loads((tmp_path / "saved_names.json").read_text()) == {"releases": ["5.5.4"], "architectures": {}}


def test_a_set_that_is_none_makes_no_lock(tmp_path: Path) -> None:
    done = matrix("catalog", "--set", "nightlly", "--out", tmp_path / "lock", "--venvs", tmp_path)
    assert (done.returncode, (tmp_path / "lock").exists()) == (2, False)
    assert done.stderr == "error: unknown set of environments 'nightlly': choose from nightly, default, last-broken\n"


def test_the_schema_is_printed() -> None:
    assert json.loads(matrix("schema").stdout) == build_json_schema()


def test_an_interpreter_without_the_packages_is_an_environment_failure(tmp_path: Path) -> None:
    done = matrix("run", "--python", sys.executable, "--out", tmp_path, *ONE_CASE_EACH)
    assert done.returncode == 3
    assert f"error: {sys.executable} could not be measured:\nnot installed there: torch, transformers" in done.stderr


@pytest.mark.parametrize("arguments", [("check", "llama", "--device", "cpu"), ("run", *ONE_CASE_EACH)])
def test_no_interpreter_is_an_environment_failure(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = matrix(*arguments, "--python", tmp_path / "none", "--out", tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"error: {tmp_path / 'none'} could not be measured:",
        "it cannot be run (No such file or directory): --python must be an interpreter, such as FOLDER/bin/python",
    ]


def test_an_interpreter_that_fails_without_a_word_is_told_as_such() -> None:
    done = matrix("check", "llama", "--device", "cpu", "--python", "false")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (3, "it ended with exit status 1 and without a message")


def test_records_of_another_schema_are_told_and_not_touched(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path)
    file = tmp_path / "out" / f"{info().id}.jsonl"
    file.parent.mkdir()
    file.write_text('{"record": "cell", "schema": 3}\n')
    done = matrix("run", "--python", stand_in.path, "--out", file.parent, "--resume", *ONE_CASE_EACH)
    assert done.returncode == 2
    assert "has records of schema 3, but this version reads schemas up to 2: update this project" in done.stderr
    assert file.read_text() == '{"record": "cell", "schema": 3}\n'


def test_after_a_probe_that_died_only_run_can_resume(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path, "environment(); sys.exit('gone')")
    done = matrix("run", "--python", stand_in.path, "--out", tmp_path / "out", *ONE_CASE_EACH)
    assert (done.returncode, "the same command with --resume continues\n" in done.stderr) == (3, True), done.stderr
    own = matrix("check", "llama", "--python", stand_in.path, "--device", "cpu")
    assert (own.returncode, "the probe ended early" in own.stderr, "--resume" in own.stderr) == (3, True, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_probe_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    stand_in = StandIn(tmp_path, "os.fork() or signal.pause(); environment(); case(keys[0]); signal.pause()")
    marker = {"ZERO3_TEST_MARKER": str(tmp_path)}
    with started(["run", "--python", stand_in.path, "--out", tmp_path / "out", *ONE_CASE_EACH], **marker) as process:
        assert "interrupted: the results so far are kept" in after_the_first_case(process, number)
        assert process.wait() == 130
    assert all_end(processes(f"ZERO3_TEST_MARKER={tmp_path}"))
    assert len(only_cell(tmp_path / "out").cases) == 1


def broken_installation(folder: Path) -> Path:
    """An interpreter that seems to have the packages, and a torch that cannot be imported."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in ("torch", "transformers", "deepspeed"):
        metadata = packages / f"{name}-1.0.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (packages / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')\n")
    return folder / "bin/python"


def test_a_package_that_cannot_be_imported_is_the_verdict_environment(tmp_path: Path) -> None:
    done = matrix("run", "--python", broken_installation(tmp_path / "v"), "--out", tmp_path / "out", *ONE_CASE_EACH)
    assert done.returncode == 3, done.stderr
    assert done.stdout.endswith(": environment\nlibcudart.so.12: cannot open shared object file\n")
    error = only_cell(tmp_path / "out").error
    assert error
    assert (error.type, error.message) == ("ImportError", "libcudart.so.12: cannot open shared object file")


@pytest.mark.measured
def test_a_version_that_does_not_exist_is_told_in_the_resolvers_words(tmp_path: Path) -> None:
    name = "transformers-5.99.0+deepspeed-0.19.8+torch-2.13.0"
    done = matrix("run", "--environment", name, "--venv", tmp_path / "v", "--out", tmp_path / "out", *ONE_CASE_EACH)
    assert done.returncode == 3, done.stderr
    cell = only_cell(tmp_path / "out")
    assert (cell.environment.id, cell.complete, cell.planned, cell.cases) == (f"{name}+cpu", True, 2, ())
    assert cell.error
    assert "no version of transformers==5.99.0" in cell.error.message
    assert cell.error.message in done.stdout


@pytest.mark.measured
def test_a_folder_named_by_a_variable_is_what_is_installed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    named = {"ZERO3_TRANSFORMERS": str(source)}
    environment = read_named_environment(named, load_environments())
    assert environment
    where = ("--venv", tmp_path / "v", "--out", tmp_path / "out")
    done = matrix("run", "--environment", environment.id, *where, *ONE_CASE_EACH, **named)
    assert done.returncode == 3, done.stderr
    assert f"`{source}` does not appear to be a Python project" in " ".join(done.stdout.split())  # uv wraps its lines


@pytest.mark.measured
def test_ctrl_c_loses_nothing_and_a_rerun_measures_what_is_missing(newest: Path, tmp_path: Path) -> None:
    where = ("run", "--python", newest, "--out", tmp_path / "out", *FEW)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    more = {"ZERO3_TEST_MARKER": str(tmp_path), "TMPDIR": str(temporary)}
    with started(where, **more) as process:
        assert "the same command with --resume continues" in after_the_first_case(process, signal.SIGINT)
        assert process.wait() == 130
    assert all_end(processes(f"ZERO3_TEST_MARKER={tmp_path}"))
    assert list(temporary.iterdir()) == []
    (file,) = (tmp_path / "out").glob("*.jsonl")
    before, written = read_cell(file), file.read_bytes()
    assert (before.complete, 1 <= len(before.cases) < 8) == (False, True)

    with file.open("ab") as half:
        half.write(b'{"record": "case", "architec')
    done = matrix(*where, "--resume")
    assert done.returncode == 0, done.stderr
    assert f"{8 - len(before.cases)} cases to measure" in done.stderr
    assert file.read_bytes().startswith(written)
    after = read_cell(file)
    assert (after.complete, Counter(case.verdict for case in after.cases)) == (True, {Verdict.PASS: 8})


@pytest.mark.measured
def test_wrong_values_are_exit_code_1_also_when_nothing_is_left_to_measure(last_broken: Path, tmp_path: Path) -> None:
    where = ("run", "--python", last_broken, "--out", tmp_path, *ONE_CASE_EACH)
    first, second = matrix(*where), matrix(*where, "--resume")
    assert (first.returncode, second.returncode) == (1, 1), first.stderr
    assert "already measured" in second.stderr
    assert second.stdout == first.stdout
    verdicts = {case.architecture.partition(":")[0]: case.verdict for case in only_cell(tmp_path).cases}
    assert verdicts["llama"] is Verdict.PASS
    assert verdicts["bart"].wrong_values
