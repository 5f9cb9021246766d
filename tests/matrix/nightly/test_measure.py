"""What one machine measures of a night; the probes are stand-ins, started confined as real ones are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.nightly.candidates import News, list_candidates
from bot.nightly.input_changes import Digests, find_input_changes
from bot.nightly.plan import PastRuns, plan_nightly_run
from matrix.__main__ import app
from matrix.catalog.catalog import catalog_hash
from matrix.environments.choose import load_axes
from matrix.environments.spec import Environment
from matrix.errors import BadPlanError, UnknownNameError
from matrix.measure.fingerprint import compute_probe_hash
from matrix.model import Architecture, Device
from matrix.nightly.measure import ShardOptions, measure_shard
from matrix.nightly.plan import NightlyPlan, nightly_plan_to_json, read_nightly_plan
from matrix.process.sandbox import Isolation, Sandbox
from matrix.results.read import read_cell
from tests.support.nightly.plans import ASKED, EARLIER, KNOWN, TIP
from tests.support.stand_in_probe import SilentProgress, StandIn

NAMES = ("bart:BartModel", "llama:LlamaModel")
RELEASE = Environment("5.5.4", "0.19.8", "2.13.0")
MAIN = next(e for e in list_candidates(KNOWN, "nightly", News(tips={"transformers": TIP})) if e.name)


class Night:
    """A machine with a finished stand-in for every environment of a plan, so that nothing has to be installed."""

    def __init__(self, folder: Path, *environments: Environment) -> None:
        asked = replace(
            ASKED,
            device=Device.CPU,
            shards=1,
            digests=Digests(catalog_hash(), compute_probe_hash()),
            cases=len(NAMES) * len(load_axes("nightly").variants),
        )
        self.plan: NightlyPlan = plan_nightly_run(environments, PastRuns(), asked).plan
        self.progress, self.out, self.venvs = SilentProgress(), folder / "records", folder / "venvs"
        architectures = tuple(Architecture(name, "other") for name in NAMES)
        self.machine = ShardOptions(architectures, self.venvs, self.out, Sandbox(Isolation.NONE))
        self.stand_ins = [self._installed(environment) for environment in environments]

    def _installed(self, environment: Environment) -> StandIn:
        venv = self.venvs / environment.id
        (venv / "bin").mkdir(parents=True)
        asked = "\n".join((environment.python, *environment.requirements))
        venv.with_name(f"{venv.name}.installed").write_text(asked)
        return StandIn(venv / "bin")

    def run(self) -> dict[str, Any]:
        """The cells that are there when the machine is done, by their name."""
        measure_shard(self.plan, "shard-001", self.machine, self.progress)
        assert not list(self.venvs.iterdir()), "an environment was not removed"
        return {file.stem: read_cell(file) for file in self.out.iterdir()}


def test_every_cell_of_the_machine_is_measured_whole(tmp_path: Path) -> None:
    night = Night(tmp_path, RELEASE, MAIN)
    cells = night.run()
    assert sorted(cells) == sorted(night.plan.name(cell) for cell in night.plan.cells)
    assert all(
        cell.complete and len(cell.cases) == len(NAMES) * len(load_axes("nightly").variants) for cell in cells.values()
    )


def test_a_branch_keeps_its_name_and_the_record_its_commit(tmp_path: Path) -> None:
    night = Night(tmp_path, MAIN)
    ((name, cell),) = night.run().items()
    assert name == f"transformers-main+deepspeed-{MAIN.deepspeed}+torch-2.13.0+cpu"
    assert cell.environment.packages["transformers"].endswith(f"+git.{TIP}")
    digests = Digests(cell.catalog, cell.probe)
    moved = replace(MAIN, transformers=MAIN.transformers.replace(TIP, EARLIER))
    assert "transformers was aaaaaaaaaaaa, is now bbbbbbbbbbbb" in find_input_changes(moved, cell, digests)


@pytest.mark.parametrize(
    "body", ["sys.exit('on fire')", "tell('case', {'a': 1})", "environment(); case(keys[0]); sys.exit(1)"]
)
def test_a_cell_that_cannot_be_measured_stops_no_other(tmp_path: Path, body: str) -> None:
    night = Night(tmp_path, RELEASE, replace(RELEASE, transformers="5.6.0"))
    night.stand_ins[0].acts(body)
    cells = night.run()
    broken, whole = (cells[night.plan.name(cell)] for cell in night.plan.cells)
    assert whole.complete
    assert not whole.error
    assert broken.error or not broken.complete


def test_what_cannot_be_installed_says_so(tmp_path: Path) -> None:
    night = Night(tmp_path, RELEASE)
    (night.venvs / RELEASE.id / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    ((_, cell),) = night.run().items()
    assert cell.error
    assert not cell.cases


def test_another_machine_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="shard-001"):
        measure_shard(
            Night(tmp_path, RELEASE).plan, "shard-009", Night(tmp_path / "x", RELEASE).machine, SilentProgress()
        )


def test_the_command_reads_the_plan_from_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(tmp_path, RELEASE)
    monkeypatch.setenv("ZERO3_VENVS", str(night.venvs))
    words = ["night", "--plan", "-", "--name", "shard-001", "--out", str(night.out), "--architecture", "bart:*"]
    done = CliRunner().invoke(app, words, input=nightly_plan_to_json(night.plan))
    assert done.exit_code in {0, 1}, done.output
    (file,) = night.out.iterdir()
    assert file.name == f"{night.plan.name(night.plan.cells[0])}.jsonl"


def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadPlanError, match="cannot read"):
        read_nightly_plan(str(tmp_path / "none.json"))
