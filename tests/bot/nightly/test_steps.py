"""A night from its plan to its issue: the commands that the workflow calls, on a git repository, an index and a GitHub of the tests."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.__main__ import app
from bot.nightly.steps import list_cases
from matrix.model import Case, Device, Loader, Tensors
from matrix.nightly.plan import NightlyPlan, nightly_plan_from_json, nightly_plan_to_json
from matrix.verdicts import Verdict
from tests.support.github.server import GitHubServer, serving
from tests.support.github.state import Artifact, Repository, Run, State
from tests.support.history.folder import lines
from tests.support.nightly.git_repository import files, git
from tests.support.nightly.package_index import index
from tests.support.runs import cell, info
from tests.support.zip_archives import zipped

OWN, TIP = "own/zero3", "e" * 40
ID = "transformers-5.5.4+deepspeed-0.19.8+torch-2.13.0"


class Night:
    """The commands, each with the variables and files of a job of its own."""

    def __init__(self, folder: Path, server: GitHubServer, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.server, self.patch, self.job = folder, server, patch, 0
        (folder / "event.json").write_text("{}")

    def __call__(self, *command: str, stdin: str = "", **variables: str) -> dict[str, str]:
        """Run one of the night's commands; its outputs, the step summary and what it logs."""
        return self.run("nightly", *command, stdin=stdin, **variables)

    def run(self, *command: str, stdin: str = "", **variables: str) -> dict[str, str]:
        """Run one command of the bot."""
        self.job += 1
        (work := self.folder / f"job-{self.job}").mkdir()
        self.patch.chdir(work)
        for name, value in {**self._variables(work), **variables}.items():
            self.patch.setenv(name, value)
        done = CliRunner().invoke(app, [*command], input=stdin, catch_exceptions=False)
        assert not done.exit_code, done.output
        read = {name: (work / name).read_text() if (work / name).exists() else "" for name in ("outputs", "summary")}
        return {**_outputs(read["outputs"]), "summary": read["summary"], "log": done.output}

    def _variables(self, work: Path) -> dict[str, str]:
        return {
            "GITHUB_REPOSITORY": OWN, "GITHUB_EVENT_NAME": "schedule", "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_TOKEN": "ghp_secret", "GITHUB_API_URL": self.server.url, "GITHUB_RUN_ID": "7",
            "GITHUB_OUTPUT": str(work / "outputs"), "GITHUB_STEP_SUMMARY": str(work / "summary"),
            "ZERO3_LOGIN": "zero3-matrix[bot]", "ZERO3_ENVIRONMENTS": f"{ID}* transformers-main+deepspeed-main*",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.file://{self.folder}/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/",
        }  # fmt: skip

    def plan(self, **variables: str) -> NightlyPlan:
        return nightly_plan_from_json(self("plan", **variables)["plan"])

    def uploads(self, plan: NightlyPlan, verdict: Verdict = Verdict.PASS) -> None:
        """The machine that measures `ID` uploads its results: what stock does with BERT has `verdict`, the rest passes."""
        (asked,) = [one for one in plan.cells if one.environment.id == ID]
        own = {("bert:BertForMaskedLM", Loader.STOCK): verdict}
        cases = [
            Case(
                *key[:3],
                own.get((key.architecture, key.loader), Verdict.PASS),
                *key[3:],
                Tensors(1, 1, 0),
                confirmed=(3, 3),
            )
            for key in sorted(list_cases())
        ]
        whole = cell(*cases, environment=info("5.5.4", Device.CUDA), planned=len(cases))
        whole = replace(whole, catalog=plan.catalog, probe=plan.probe, started=plan.moment)
        archive = zipped({f"{plan.name(asked)}.jsonl": lines(whole)})
        repository = self.server.state.repositories[0]
        repository.artifacts.append(Artifact(self.server.state.new_id(), 7, f"zero3-{asked.shard}", archive))


def _outputs(text: str) -> dict[str, str]:
    parts = iter(text.splitlines())
    return {line.partition("<<")[0]: next(parts) for line in parts if "<<" in line}


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    (remote := tmp_path / OWN).parent.mkdir()
    git("init", "--quiet", "--bare", f"{remote}.git", at=tmp_path)
    upstream = [Repository("huggingface/transformers", tip=TIP), Repository("deepspeedai/DeepSpeed", tip=TIP)]
    watched = [Repository("huggingface/accelerate"), Repository("huggingface/safetensors")]
    state = State([Repository(OWN, runs=[Run(7)]), *upstream, *watched])
    releases = json.dumps({"files": [{"filename": "transformers-99.0.0.tar.gz"}]}).encode()
    with index(200, releases) as url, serving(state) as server:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield Night(tmp_path, server, monkeypatch)
    assert not server.violations


def test_a_night_is_planned_kept_and_not_measured_a_second_time(night: Night) -> None:
    plan = night.plan()
    assert {cell.environment.id for cell in plan.cells} == {"transformers-main+deepspeed-main+torch-2.13.0", ID}
    night.uploads(plan)
    said = night("keep", stdin=nightly_plan_to_json(plan))
    assert "1 uploaded" in said["summary"]
    remote = night.folder / f"{OWN}.git"
    assert files(remote) == sorted(f"{plan.night}/{plan.name(cell)}.jsonl.gz" for cell in plan.cells)
    again = night("plan")
    assert f"`{ID}`: `nothing changed since {plan.night}`" in again["summary"]
    assert "no machine started it" in again["summary"]
    assert night("keep", stdin=nightly_plan_to_json(plan))["summary"].count("already has all of them") == 1
    assert git("rev-list", "--count", "history", at=remote) == "1"


def test_what_does_not_answer_is_told_and_stops_nothing(night: Night) -> None:
    night.server.state.repositories[1].name = "gone/away"
    said = night("plan", ZERO3_ENVIRONMENTS="")
    names = {cell.environment.id for cell in nightly_plan_from_json(said["plan"]).cells}
    assert "transformers-99.0.0+deepspeed-0.19.8+torch-2.13.0" in names
    assert not [name for name in names if name.startswith("transformers-main")]
    assert "cannot read the releases of deepspeed from the package index" in said["summary"]
    assert "looking for huggingface/transformers" in said["summary"]


def test_what_turned_wrong_is_told_in_the_issue(night: Night) -> None:
    later = night.plan()
    yesterday = later.night - timedelta(days=1)
    first = replace(later, night=yesterday, moment=f"{yesterday}T{later.moment.partition('T')[2]}")
    night.uploads(first)
    night("keep", stdin=nightly_plan_to_json(first))
    assert "needs no change" in night("track")["log"]
    night.uploads(later, Verdict.NOT_PARTITIONED)
    night("keep", stdin=nightly_plan_to_json(later))
    assert re.search("Opened issue [0-9]+ of own/zero3", night("track")["log"])
    (issue,) = night.server.state.repositories[0].issues
    trained_in = "float32, bf16, fp16 and bf16 mixed_dtypes"
    alike = f"| `bert:BertForMaskedLM` stock loader, load and save in {trained_in} | pass | not partitioned |"
    assert alike in issue.body


def test_a_repository_without_records_has_none_to_fetch(night: Night) -> None:
    done = night.plan()
    with pytest.raises(Exception, match="has no branch history"):
        night("fetch")
    night("keep", stdin=nightly_plan_to_json(done))
    night("fetch", "--history", "records")
    assert list((night.folder / f"job-{night.job}" / "records").glob("*/*.jsonl.gz"))


def test_watching_says_that_no_night_was_ever_kept_until_one_is(night: Night) -> None:
    assert "There are no records of a nightly run." in night.run("watch")["log"]
    night.server.state.repositories[0].workflows["nightly.yml"] = ("active", "2026-01-01T00:00:00Z")
    assert re.search("Opened issue [0-9]+ of own/zero3", night.run("watch")["log"])
    night("keep", stdin=nightly_plan_to_json(night.plan()))
    assert "which is closed" in night("track")["log"]


def test_watching_says_that_no_night_begins_and_takes_it_back(night: Night) -> None:
    plan = night.plan()
    night("keep", stdin=nightly_plan_to_json(replace(plan, night=plan.night - timedelta(days=3))))
    assert re.search("Opened issue [0-9]+ of own/zero3", night.run("watch")["log"])
    assert "which is open" in night("track")["log"]  # it knows more, and is as late
    assert not night.server.state.repositories[0].comments
    night("keep", stdin=nightly_plan_to_json(plan))
    assert "which is closed" in night.run("watch")["log"]
    titles = [issue.title for issue in night.server.state.repositories[0].issues]
    assert sorted(titles) == ["Nightly: what changed", "Upstream pull requests under ZeRO-3"]
