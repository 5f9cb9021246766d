"""What BASE and HEAD of `compare` may name: folders, or versions of what is at hand, across environments."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from matrix.__main__ import app
from matrix.comparison.find_runs import AmbiguousPairError, NoSuchRunError, find_runs, match_cells
from matrix.errors import MatrixError
from matrix.model import Cell, Device
from matrix.results.read import read_run
from matrix.verdicts import Verdict
from tests.support.history.real_runs import HISTORY
from tests.support.runs import BERT, ROUTER, case, cell, info, written

OLD, NEW = "5.5.4+0.19.8", "5.6.0+0.19.8"


def measured(transformers: str, verdict: Verdict = Verdict.PASS, device: Device = Device.CPU, **other: str) -> Cell:
    cases = (case(ROUTER, verdict), case(BERT, Verdict.CRASH))
    return cell(*cases, environment=info(transformers, device, **other))


@pytest.fixture
def results(tmp_path: Path) -> str:
    """Results of two versions on the CPU, the older with wrong values."""
    return written(tmp_path / "results", measured("5.5.4", Verdict.CORRUPT), measured("5.6.0"))


def compared(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments])


def test_two_pairs_are_compared_in_words(results: str) -> None:
    done = compared(OLD, NEW, "--from", results)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"base: transformers 5.5.4, deepspeed 0.19.8, torch 2.13.0, cpu: {info('5.5.4').id}",
        f"head: transformers 5.6.0, deepspeed 0.19.8, torch 2.13.0, cpu: {info('5.6.0').id}",
        "1 still broken, 1 fixed",
        "got worse: nothing",
        "got better: 1 case of 1 architecture",
        f"  fixed: {ROUTER} stock load: corrupt on base, pass on head",
        "fails in both: 1 case of 1 architecture",
        f"  still broken: {BERT} stock load: crash on base, crash on head",
        "different each time: nothing",
        "could not be compared: nothing",
    ]


def test_the_other_way_round_it_got_worse(results: str) -> None:
    done = compared(NEW, OLD, "--from", results)
    assert (done.exit_code, "got worse: 1 case of 1 architecture" in done.stdout) == (1, True)


def test_a_program_learns_which_environments_were_compared(results: str) -> None:
    first, _ = json.loads(compared(OLD, NEW, "--from", results, "--json").stdout)
    assert (first["architecture"], first["outcome"]) == (ROUTER, "fixed")
    assert (first["environments"]["base"], first["environments"]["head"]) == ([info("5.5.4").id], [info("5.6.0").id])


def test_an_environments_id_and_a_folder_are_compared_with_a_pair(tmp_path: Path, results: str) -> None:
    before, after = read_run(Path(results)).cells
    folder = written(tmp_path / NEW, after)
    for base, head in ((info("5.5.4").id, NEW), (OLD, folder), (OLD, info("5.6.0").id)):
        ((found_base, found_head),) = find_runs(base, head, results)
        assert (found_base.cells, found_head.cells) == ((before,), (after,))


def test_a_folder_of_that_name_goes_first(tmp_path: Path, results: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / OLD, measured("4.57.6"))
    ((base, _),) = find_runs(OLD, NEW, results)
    assert base.cells[0].environment.transformers == "4.57.6"


def test_a_history_with_real_records_is_compared(tmp_path: Path) -> None:
    history = tmp_path / "history"
    shutil.copytree(HISTORY, history)
    done = compared(OLD, NEW, "--from", str(history))
    assert done.exit_code == 0
    assert "\n  fixed: deepseek_v3:DeepseekV3ForCausalLM stock load: reported on base, pass on head\n" in done.stdout
    assert "\n  still broken: align:AlignModel fixed load, fixed save, stock load, stock save: crash" in done.stdout
    assert compared(OLD, NEW, "--from", f"{history}.sqlite").stdout == done.stdout


def test_what_is_unknown_is_said_of_both_with_what_is_at_hand(results: str) -> None:
    with pytest.raises(MatrixError) as caught:
        find_runs("5.5+0.19.8", "\x1b[31m+1", results)
    assert str(caught.value).splitlines() == [
        "no results for '5.5+0.19.8'; did you mean 5.5.4+0.19.8, 5.6.0+0.19.8?",
        r"no results for '\x1b[31m+1'",
        f"'{results}' has 5.5.4+0.19.8, 5.6.0+0.19.8",
    ]
    assert caught.value.exit_code == 2


def test_versions_from_records_cannot_write_to_the_terminal() -> None:
    hostile = [measured("\x1b[2J"), measured("\x1b[2J", device=Device.CUDA)]
    for error in (NoSuchRunError(["5.5.4+1"], hostile, "results"), AmbiguousPairError(hostile, hostile)):
        assert r"\x1b[2J" in str(error)
        assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    ("base", "source", "words"),
    [
        (
            "befor",
            "nowhere",
            "no results for 'befor'\npass a folder of results, or versions: TRANSFORMERS+",
        ),
        (OLD, "nowhere", f"no results for '{OLD}'\n'nowhere' does not exist"),
        (OLD, "https://site.example", "has verdicts but not the cases in full: pass a folder of results, a history"),
    ],
)
def test_where_nothing_can_be_found_it_says_why(base: str, source: str, words: str) -> None:
    with pytest.raises(MatrixError, match=re.escape(words)):
        find_runs(base, base, source)


def test_without_results_both_names_are_spoken_of() -> None:
    with pytest.raises(NoSuchRunError, match=r"no results for '5.22\+0.19'\nno results for 'x'\n'nowhere' does not"):
        find_runs("5.22+0.19", "x", "nowhere")


def test_cells_of_the_same_device_and_torch_belong_together() -> None:
    old = measured("5.5.4"), measured("5.5.4", device=Device.CUDA)
    new = measured("5.6.0", device=Device.CUDA), measured("5.6.0"), measured("5.6.0", torch="2.9.0")
    assert [(base.cells[0], head.cells[0]) for base, head in match_cells(old, new)] == [
        (old[0], new[1]), (old[1], new[0])
    ]  # fmt: skip
    assert len(match_cells(old[:1], new[:1])) == 1, "there is nothing else to choose"


@pytest.mark.parametrize("others", [("2.9.0", "2.8.0"), ("2.13.0", "2.13.0")], ids=["none alike", "two alike"])
def test_what_is_ambiguous_is_listed(others: tuple[str, str]) -> None:
    old = (measured("5.5.4"),)
    new = [measured("5.6.0", torch=torch) for torch in others]
    with pytest.raises(AmbiguousPairError, match="is ambiguous") as caught:
        match_cells(old, new)
    assert all(one.environment.id in str(caught.value) for one in (*old, *new))
