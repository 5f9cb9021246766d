"""One cell from the host's side: what is kept, what is measured again, and what a fault leaves behind.

The probe is a stand-in that says what the test wrote; tests/matrix/commands/test_cli.py runs real ones.
"""

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from matrix.errors import BusyError, EnvironmentFailedError, OtherSchemaError, OutputError, ProbeDiedError
from matrix.measure.cell import measure
from matrix.measure.request import Request
from matrix.model import Case, Cell
from matrix.process.run import ROOT
from matrix.results.read import read_cell
from matrix.results.write import append
from matrix.verdicts import Verdict
from tests.support.stand_in_probe import EVERY_CASE, SilentProgress, StandIn, all_end, load_request, processes

NAMES = ("bart", "bert", "llama")
ID = "transformers-5.5.4+deepspeed-0.19.8+torch-2.13.0+cpu"
HUB = str(ROOT / "matrix" / "probe" / "hub")
ONE_THEN_DIE = "environment(); case(keys[0]); sys.exit('RuntimeError: the machine is on fire')"


class Interrupted(SilentProgress):
    """Somebody presses Ctrl-C when the first case is told."""

    def case(self, case: Case) -> None:
        raise KeyboardInterrupt(str(case.key))


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


@pytest.fixture
def request_all(tmp_path: Path, stand_in: StandIn) -> Request:
    return load_request(tmp_path, stand_in, *NAMES)


def results(request: Request) -> Path:
    return request.out / f"{ID}.jsonl"


def measured(cell: Cell) -> dict[str, Verdict]:
    return {case.architecture.partition(":")[0]: case.verdict for case in cell.cases}


def kept(request: Request) -> list[str]:
    return sorted(file.name for file in request.out.glob("*.old"))


def test_a_cell_is_complete_and_on_disk(request_all: Request) -> None:
    cell = measure(request_all, SilentProgress())
    assert cell == read_cell(results(request_all))
    assert (cell.environment.id, cell.complete, cell.planned, cell.catalog) == (ID, True, 3, "sha256:1")
    assert measured(cell) == dict.fromkeys(NAMES, Verdict.PASS)


def test_the_cell_that_is_returned_is_the_one_on_disk_also_when_it_was_measured_in_two_parts(
    request_all: Request, stand_in: StandIn
) -> None:
    stand_in.acts("environment(); [case(key) for key in keys[:2]]; tell('end', {'seconds': 1.23456})")
    first = measure(request_all, SilentProgress())
    assert (first, first.complete) == (read_cell(results(request_all)), False)
    stand_in.acts("environment(); [case(key, 'corrupt') for key in keys]; tell('end', {'seconds': 0.00049})")
    whole = measure(replace(request_all, resume=True), SilentProgress())
    assert (whole, whole.complete, whole.timing.seconds) == (read_cell(results(request_all)), True, 1.235)


def test_without_resume_a_complete_cell_is_measured_anew_and_the_old_one_kept(
    request_all: Request, stand_in: StandIn
) -> None:
    for _ in range(3):
        measure(request_all, SilentProgress())
    assert stand_in.asked == [list(NAMES)] * 3
    assert kept(request_all) == [f"{ID}.1.jsonl.old", f"{ID}.2.jsonl.old"]


def test_an_interpreter_named_from_here_is_found_from_the_probes_own_folder(
    request_all: Request, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stand_in.path.parent
    monkeypatch.chdir(folder.parent)
    relative = stand_in.path.relative_to(folder.parent)
    assert measure(replace(request_all, interpreter=relative), SilentProgress()).complete
    monkeypatch.setenv("PATH", folder.name, prepend=os.pathsep)
    assert measure(replace(request_all, interpreter=Path(relative.name), out=folder), SilentProgress()).complete


def test_resuming_a_complete_cell_starts_no_probe(request_all: Request, stand_in: StandIn) -> None:
    first = measure(request_all, SilentProgress())
    assert measure(replace(request_all, resume=True), SilentProgress()) == first
    assert stand_in.asked == [list(NAMES)]


def test_a_probe_that_dies_is_told_with_its_last_words_and_the_rerun_measures_the_rest(
    request_all: Request, stand_in: StandIn
) -> None:
    stand_in.acts(ONE_THEN_DIE)
    with pytest.raises(ProbeDiedError, match="RuntimeError: the machine is on fire"):
        measure(request_all, SilentProgress())
    assert measured(read_cell(results(request_all))) == {"bart": Verdict.PASS}
    stand_in.acts(EVERY_CASE)
    cell = measure(replace(request_all, resume=True), SilentProgress())
    assert stand_in.asked == [list(NAMES), ["bert", "llama"]]
    assert (cell.complete, measured(cell)) == (True, dict.fromkeys(NAMES, Verdict.PASS))


def test_a_half_written_case_is_measured_again(request_all: Request, stand_in: StandIn) -> None:
    measure(request_all, SilentProgress())
    content = results(request_all).read_bytes()
    results(request_all).write_bytes(content[: content.rindex(b'"llama:Model"')])
    assert measured(measure(replace(request_all, resume=True), SilentProgress())) == dict.fromkeys(NAMES, Verdict.PASS)
    assert stand_in.asked == [list(NAMES), ["llama"]]


def test_again_measures_what_is_selected_and_keeps_the_rest(
    tmp_path: Path, request_all: Request, stand_in: StandIn
) -> None:
    measure(request_all, SilentProgress())
    stand_in.acts("environment(); case(keys[0], 'corrupt', (3, 3)); end()")
    cell = measure(replace(load_request(tmp_path, stand_in, "bert"), again=True), SilentProgress())
    assert stand_in.asked == [list(NAMES), ["bert"]]
    assert measured(cell) == {"bart": Verdict.PASS, "bert": Verdict.CORRUPT, "llama": Verdict.PASS}
    assert (cell.complete, kept(request_all)) == (True, [])


def test_what_was_red_but_not_confirmed_is_measured_again(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts(
        "environment(); case(keys[0], 'corrupt', (3, 3)); case(keys[1], 'corrupt'); case(keys[2]); sys.exit(1)"
    )
    with pytest.raises(ProbeDiedError):
        measure(request_all, SilentProgress())
    stand_in.acts(EVERY_CASE)
    measure(replace(request_all, resume=True), SilentProgress())
    assert stand_in.asked == [list(NAMES), ["bert"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"catalog": "sha256:1"', '"catalog": "sha256:2"'),
        ('"probe": "sha256:', '"probe": "sha256:0'),
        ('"world_size": 2', '"world_size": 4'),
    ],
)
def test_results_of_another_measurement_are_set_aside(
    request_all: Request, stand_in: StandIn, old: str, new: str
) -> None:
    measure(request_all, SilentProgress())
    other = results(request_all).read_text().replace(old, new)
    results(request_all).write_text(other)
    measure(replace(request_all, resume=True), SilentProgress())
    assert stand_in.asked == [list(NAMES)] * 2
    assert (request_all.out / f"{ID}.1.jsonl.old").read_text() == other


def test_what_is_no_results_file_is_set_aside(request_all: Request) -> None:
    request_all.out.mkdir()
    results(request_all).write_text("garbage\n")
    progress = SilentProgress()
    assert measure(replace(request_all, resume=True), progress).complete
    assert f"{ID}.jsonl is not a readable results file, kept as {ID}.1.jsonl.old" in progress.steps
    assert (request_all.out / f"{ID}.1.jsonl.old").read_text() == "garbage\n"


@pytest.mark.parametrize("resume", [False, True])
def test_records_of_another_schema_are_not_touched(request_all: Request, stand_in: StandIn, resume: bool) -> None:  # noqa: FBT001
    measure(request_all, SilentProgress())
    other = results(request_all).read_text().replace('"schema": 2', '"schema": 3')
    results(request_all).write_text(other)
    with pytest.raises(OtherSchemaError, match="choose another --out"):
        measure(replace(request_all, resume=resume), SilentProgress())
    assert (results(request_all).read_text(), len(stand_in.asked)) == (other, 1)


def test_packages_that_cannot_be_imported_are_a_cell_with_an_error(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts("tell('failure', {'type': 'ImportError', 'message': 'libcudart.so.12'}); sys.exit(3)")
    failed = measure(request_all, SilentProgress())
    assert (failed.complete, failed.planned, failed.cases) == (True, 3, ())
    assert failed.error
    assert (failed.error.type, failed.error.message) == ("ImportError", "libcudart.so.12")
    stand_in.acts(EVERY_CASE)
    assert measure(replace(request_all, resume=True), SilentProgress()).error is None


def test_packages_that_cannot_be_imported_any_more_lose_nothing(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts(ONE_THEN_DIE)
    with pytest.raises(ProbeDiedError):
        measure(request_all, SilentProgress())
    before = results(request_all).read_text()
    stand_in.acts("tell('failure', {'type': 'ImportError', 'message': 'libcudart.so.12'}); sys.exit(3)")
    with pytest.raises(EnvironmentFailedError, match=r"ImportError: libcudart\.so\.12"):
        measure(replace(request_all, resume=True), SilentProgress())
    assert results(request_all).read_text() == before


def test_ctrl_c_ends_the_probe_with_its_ranks_and_leaves_no_files(
    request_all: Request, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = f"ZERO3_TEST_MARKER={tmp_path}"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv(*marker.split("=", 1))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    stand_in.acts(
        "import tempfile; tempfile.mkdtemp()\n"
        "if os.fork() == 0: signal.pause()\n"
        "environment(); case(keys[0]); signal.pause()"
    )
    with pytest.raises(KeyboardInterrupt):
        measure(request_all, Interrupted())
    assert all_end(processes(marker))
    assert list(temporary.iterdir()) == []
    assert measured(read_cell(results(request_all))) == {"bart": Verdict.PASS}


def test_a_launchers_variables_do_not_reach_the_probe(
    request_all: Request, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    stand_in.acts("assert 'RANK' not in os.environ\n" + EVERY_CASE)
    assert measure(request_all, SilentProgress()).complete


def test_nobodys_cache_of_a_hub_decides_what_the_catalog_finds(
    request_all: Request, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    stand_in.acts(
        f"assert {{os.environ['HF_HUB_CACHE'], os.environ['TRANSFORMERS_CACHE']}} == {{{HUB!r}}}\n{EVERY_CASE}"
    )
    assert measure(request_all, SilentProgress()).complete


@pytest.mark.parametrize("content", ["", "garbage\n"])
def test_what_another_run_is_writing_is_left_alone(request_all: Request, stand_in: StandIn, content: str) -> None:
    with append(results(request_all)):
        results(request_all).write_text(content)
        with pytest.raises(BusyError):
            measure(request_all, SilentProgress())
    assert (results(request_all).read_text(), kept(request_all), stand_in.asked) == (content, [], [])


def test_a_run_that_ended_before_its_header_leaves_no_old_results(request_all: Request) -> None:
    request_all.out.mkdir()
    results(request_all).touch()
    assert measure(request_all, SilentProgress()).complete
    assert kept(request_all) == []


def test_an_output_folder_that_cannot_be_made_is_told_before_anything_is_measured(
    request_all: Request, stand_in: StandIn
) -> None:
    request_all.out.write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        measure(request_all, SilentProgress())
    assert stand_in.asked == []


def test_a_full_disk_ends_the_probe_and_keeps_what_was_measured(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts("environment(); [case(key) for key in keys * 9]; signal.pause()")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
    try:
        with pytest.raises(OutputError, match="earlier results are kept"):
            measure(request_all, SilentProgress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert measured(read_cell(results(request_all))) == dict.fromkeys(NAMES, Verdict.PASS)


@pytest.mark.parametrize("words", ["#!/bin/sh\nexit 7\n", "no program"])
def test_what_is_no_interpreter_is_told(request_all: Request, stand_in: StandIn, words: str) -> None:
    stand_in.path.write_text(words)
    with pytest.raises(EnvironmentFailedError, match=f"{stand_in.path} could not be measured"):
        measure(request_all, SilentProgress())


def test_a_run_cut_short_behind_its_last_case_is_completed_without_measuring(
    request_all: Request, stand_in: StandIn
) -> None:
    measure(request_all, SilentProgress())
    whole = results(request_all).read_text().splitlines(keepends=True)
    results(request_all).write_text("".join(whole[:-1]))
    cell = measure(replace(request_all, resume=True), SilentProgress())
    assert (cell.complete, measured(cell)) == (True, dict.fromkeys(NAMES, Verdict.PASS))
    assert stand_in.asked == [list(NAMES)]
    assert cell == read_cell(results(request_all))


def test_a_part_resumed_does_not_complete_the_whole(request_all: Request, stand_in: StandIn, tmp_path: Path) -> None:
    measure(request_all, SilentProgress())
    whole = results(request_all).read_text().splitlines(keepends=True)
    results(request_all).write_text("".join(whole[:2]))
    part = replace(load_request(tmp_path, stand_in, NAMES[0]), resume=True)
    assert not measure(part, SilentProgress()).complete


CANNOT_START = "environment(); tell('failure', {'type': 'StartError', 'message': 'no NCCL', 'frame': '', 'ranks': [0]})"


def test_ranks_that_cannot_start_are_the_environments_fault(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts(CANNOT_START)
    cell = measure(request_all, SilentProgress())
    assert (cell.error and cell.error.message, cell.cases) == ("no NCCL", ())
    assert cell == read_cell(results(request_all))


def test_ranks_that_cannot_start_any_more_cost_nothing_measured(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts(f"environment(); case(keys[0]); {CANNOT_START.partition('; ')[2]}")
    with pytest.raises(EnvironmentFailedError, match="no NCCL"):
        measure(request_all, SilentProgress())
    assert measured(read_cell(results(request_all))) == {NAMES[0]: Verdict.PASS}


def test_a_red_case_that_turns_green_on_resuming_is_flaky(request_all: Request, stand_in: StandIn) -> None:
    stand_in.acts("environment(); case(keys[0], 'corrupt'); sys.exit()")
    with pytest.raises(ProbeDiedError):
        measure(request_all, SilentProgress())
    stand_in.acts(EVERY_CASE)
    assert measured(measure(replace(request_all, resume=True), SilentProgress()))[NAMES[0]] is Verdict.FLAKY
