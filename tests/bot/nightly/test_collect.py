"""From what machines uploaded to the night's folder: what is believed, what is not, and what nobody measured."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bot.github.types import ArtifactInfo
from bot.nightly.collect import CollectedFiles, collect_files, find_newest_artifacts
from bot.nightly.input_changes import Digests
from bot.nightly.plan import NightlyRequest, PastRuns, plan_nightly_run
from bot.nightly.steps import store_records
from bot.untrusted.strict_records import parse_cell
from matrix.__main__ import app
from matrix.checks import CHECKS, DEFAULT
from matrix.environments.spec import Environment
from matrix.history.archive import archive, merge
from matrix.history.build import build_database
from matrix.history.database import open_database
from matrix.history.files import CellState
from matrix.history.queries import NightlyRun, query_environments, query_nightly_runs, query_rejected_files
from matrix.model import Case, Cell, Device, EnvironmentInfo, Loader, Tensors, Timing
from matrix.nightly.plan import NightlyPlan
from tests.support.history.folder import lines
from tests.support.runs import RESOLVER, info
from tests.support.runs import cell as a_cell
from tests.support.zip_archives import zipped

OLD, NEW = (Environment(version, "0.19.8", "2.13.0") for version in ("5.5.4", "5.6.0"))
DIGESTS = Digests("sha256:" + "c" * 64, "sha256:" + "d" * 64)
MOMENT = datetime(2026, 11, 22, 1, 37, tzinfo=UTC)
NOW = MOMENT + timedelta(days=20)
"""A machine is run again weeks later."""
ASKED = NightlyRequest(MOMENT, Device.CUDA, DIGESTS, cases=2, shards=2, oldest=30)
PLAN = plan_nightly_run([OLD, NEW], PastRuns(), ASKED).plan
CASES = tuple(Case("bert:BertModel", Loader.STOCK, check, "pass", tensors=Tensors(1, 1, 0)) for check in DEFAULT.checks)  # type: ignore[arg-type]
KEYS = frozenset(case.key for case in CASES)


def name(environment: Environment) -> str:
    return f"{environment.id}+cuda"


def shard(environment: Environment) -> str:
    return next(cell.shard for cell in PLAN.cells if cell.environment == environment)


def measured(of: Environment = OLD, *cases: Case, **other: Any) -> Cell:
    """What a machine uploads that measured what it was asked for."""
    values = {"catalog": DIGESTS.catalog, "probe": DIGESTS.probe, "started": "2026-11-22T02:00:00Z", "planned": 2}
    whole = a_cell(*(cases or CASES), environment=info(of.transformers, Device.CUDA, torch="2.13.0"))
    return replace(whole, **{**values, **other})


def uploaded(**files: bytes) -> dict[str, bytes | str]:
    """The archive of the machine that measures `OLD`; `old` stands for the name of its file."""
    named = {f"{name(OLD) if stem == 'old' else stem}.jsonl": content for stem, content in files.items()}
    return {shard(OLD): zipped(named)}


def told(archives: Mapping[str, bytes | str]) -> CollectedFiles:
    return collect_files(PLAN, KEYS, archives, NOW)


def test_what_was_asked_for_is_believed_and_what_is_missing_is_told() -> None:
    content = lines(measured())
    found = told(uploaded(old=content))
    assert (found.believed, found.rejected) == ({name(OLD): content}, {})
    assert found.words == (f"{shard(NEW)}: it uploaded no results",)


def without(content: bytes, number: int) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:number])


def test_a_machine_that_was_cut_off_is_believed_as_far_as_it_came() -> None:
    content = without(lines(measured()), 2)
    assert told(uploaded(old=content)).believed == {name(OLD): content}


@pytest.mark.parametrize("started", ["2026-11-21T02:00:00Z", "2026-12-12T01:37:00Z"])
def test_a_machine_whose_clock_is_off_or_that_is_run_again_is_believed(started: str) -> None:
    content = lines(measured(started=started))
    assert told(uploaded(old=content)).believed == {name(OLD): content}


def test_an_attempt_that_failed_has_its_pins_for_versions() -> None:
    pins = {"python": OLD.python, "accelerate": "", "hardware": "", "packages": {}}
    content = lines(measured(environment=other_info(**pins), error=RESOLVER, cases=()))
    assert told(uploaded(old=content)).believed == {name(OLD): content}


def other_info(**values: Any) -> EnvironmentInfo:
    return replace(measured().environment, **values)


NOT_ASKED_FOR: dict[str, bytes] = {
    "no record": b"{}\n",
    "nothing": b"",
    "half a line": lines(measured())[:99],
    "another cell": lines(measured(environment=other_info(id=name(NEW)))),
    "another device": lines(measured(environment=other_info(device=Device.CPU, backend="gloo"))),
    "another version": lines(measured(environment=other_info(transformers="5.6.0"))),
    "another catalog": lines(measured(catalog="sha256:" + "e" * 64)),
    "another probe": lines(measured(probe="sha256:" + "e" * 64)),
    "no time": lines(measured(started="yesterday")),
    "a day that does not exist": lines(measured(started="2026-11-31T02:00:00Z")),
    "a time long before the plan": lines(measured(started="2026-11-20T02:00:00Z")),
    "a time in the future": lines(measured(started="9999-12-31T23:59:59Z")),
    "hardware with control characters": lines(measured(environment=other_info(hardware="H200\x1b[2J\u202e"))),
    "markup in a version": lines(measured(environment=other_info(torch="2.13.0+<script>"))),
    "markup in a version that the plan leaves open": lines(measured(environment=other_info(accelerate="1<b>"))),
    "markup in the version of a package": lines(measured(environment=other_info(packages={"numpy": "2<b>"}))),
    "markup in the name of a package": lines(measured(environment=other_info(packages={"<b>": "2"}))),
    "more packages than an environment has": lines(
        measured(environment=other_info(packages={f"p{number}": "1" for number in range(9_000)}))
    ),
    "a negative time": lines(measured(timing=Timing(-1.0))),
    "too many cases": lines(measured(OLD, *CASES, replace(CASES[0], architecture="x:X"))),
    "a made-up architecture": lines(measured(OLD, CASES[0], replace(CASES[1], architecture="x:X"))),
    "fewer cases than were planned": lines(measured(OLD, CASES[0], planned=1)),
    "more cases than were planned": lines(measured(planned=3)),
    "more ranks": lines(measured(environment=other_info(world_size=4))),
    "another backend": lines(measured(environment=other_info(backend="gloo"))),
    "a commit instead of a release": lines(
        measured(environment=other_info(packages={"deepspeed": f"0.19.8+git.{'a' * 40}"}))
    ),
    "a package that contradicts its version": lines(measured(environment=other_info(packages={"deepspeed": "0.16.9"}))),
    "nothing and something": lines(measured(error=RESOLVER)),
    "a pass of nothing": lines(measured(OLD, replace(CASES[0], tensors=Tensors()))),
    "something else": lines(measured()).replace(b'"planned": 2', b'"planned": 2, "note": "hi"'),
}


@pytest.mark.parametrize("content", NOT_ASKED_FOR.values(), ids=NOT_ASKED_FOR)
def test_what_was_not_asked_for_is_kept_but_not_believed(content: bytes) -> None:
    found = told(uploaded(old=content))
    assert (found.believed, found.rejected) == ({}, {name(OLD): content})
    assert found.words[0].startswith(f"{shard(OLD)}: {name(OLD)}.jsonl ")


def test_a_machine_speaks_of_its_own_cells_only() -> None:
    found = collect_files(PLAN, KEYS, {shard(OLD): zipped({f"{name(NEW)}.jsonl": lines(measured(NEW))})}, NOW)
    assert not found.believed
    assert "was not planned for" in found.words[0]


@pytest.mark.parametrize("path", ["../../etc/passwd", "a/b.jsonl", "x.sh", "a" * 300 + ".jsonl"])
def test_an_archive_of_other_files_is_no_nights(path: str) -> None:
    found = collect_files(PLAN, KEYS, {shard(OLD): zipped({path: b"x"})}, NOW)
    assert (found.believed, found.rejected) == ({}, {})
    assert len(found.words) == 2


def test_the_newest_artifact_of_each_machine_counts() -> None:
    artifacts = [ArtifactInfo(3, "zero3-shard-001", 1), ArtifactInfo(5, "zero3-shard-001", 1)]
    artifacts += [ArtifactInfo(6, "zero3-shard-001", 1, expired=True), ArtifactInfo(7, "github-pages", 1)]
    assert {shard: one.id for shard, one in find_newest_artifacts(artifacts, PLAN).items()} == {"shard-001": 5}


values = (
    st.none() | st.booleans() | st.integers(-1, 9) | st.text(max_size=5) | st.sampled_from([*Loader, *CHECKS, "x:X", "5.6.0"])
)  # fmt: skip


def spoil(record: dict[str, Any], data: st.DataObject) -> None:
    """Puts something else in one place of `record`, or inside one."""
    place = data.draw(st.sampled_from(sorted(record)))
    if isinstance(record[place], dict) and record[place] and data.draw(st.booleans()):
        spoil(record[place], data)
    else:
        record[place] = data.draw(values)


@settings(max_examples=300)
@given(st.data())
def test_whatever_a_machine_forges_only_what_was_planned_is_believed(data: st.DataObject) -> None:
    own = [*CASES, replace(CASES[0], architecture="x:X"), replace(CASES[0], loader=Loader.FIXED)]
    whole = measured(OLD, *data.draw(st.lists(st.sampled_from(own), unique=True)), planned=data.draw(st.integers(0, 4)))
    records = [json.loads(line) for line in lines(whole).splitlines()]
    for _ in range(data.draw(st.integers(0, 2))):
        spoil(data.draw(st.sampled_from(records)), data)
    forged = "".join(f"{json.dumps(record)}\n" for record in records).encode()
    for content in told(uploaded(old=forged)).believed.values():
        cell = parse_cell(content)
        assert (cell.environment.id, cell.environment.transformers, cell.planned) == (name(OLD), "5.5.4", 2)
        assert {case.key for case in cell.cases} <= KEYS
        assert not cell.complete or cell.error or {case.key for case in cell.cases} == KEYS


# In the history


def kept(history: Path, archives: Mapping[str, bytes | str], attempt: int = 1, of: NightlyPlan = PLAN) -> list[str]:
    """The names of the files that a night puts into a history."""
    return sorted(
        path.name for path in store_records(of, collect_files(of, KEYS, archives, NOW), f"7-{attempt}", history)
    )


def states(history: Path) -> dict[str, CellState]:
    database = history.with_name("history.sqlite")
    build_database(history, database)
    with open_database(database) as asked:
        return {one.name: one.newest.state for one in query_environments(asked)}


def test_a_night_has_a_record_of_every_planned_cell(tmp_path: Path) -> None:
    assert kept(tmp_path / "h", uploaded(old=lines(measured()))) == [f"{name(OLD)}.jsonl.gz", f"{name(NEW)}.jsonl.gz"]
    assert states(tmp_path / "h") == {name(OLD): CellState.COMPLETE, name(NEW): CellState.INCOMPLETE}


def test_a_night_that_no_machine_began_is_seen_too(tmp_path: Path) -> None:
    kept(tmp_path / "h", {})
    assert states(tmp_path / "h") == {name(OLD): CellState.INCOMPLETE, name(NEW): CellState.INCOMPLETE}
    header = json.loads(gzip.decompress((tmp_path / f"h/2026-11-22/{name(OLD)}.jsonl.gz").read_bytes()))
    assert (header["planned"], header["environment"]["hardware"]) == (2, "")


def bytes_of(history: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in history.glob("2*/*")}


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    archives = uploaded(old=lines(measured()), strange=b"{}\n")
    kept(tmp_path / "h", archives)
    before = bytes_of(tmp_path / "h")
    kept(tmp_path / "h", archives)
    assert bytes_of(tmp_path / "h") == before


def test_a_second_attempt_adds_what_was_missing_and_replaces_nothing(tmp_path: Path) -> None:
    kept(tmp_path / "h", uploaded(old=lines(measured())))
    before = bytes_of(tmp_path / "h")
    second = {**uploaded(old=lines(measured())), shard(NEW): zipped({f"{name(NEW)}.jsonl": lines(measured(NEW))})}
    assert kept(tmp_path / "h", second, attempt=2) == [f"{name(OLD)}.jsonl.gz", f"{name(NEW)}.7-2.jsonl.gz"]
    assert before.items() < bytes_of(tmp_path / "h").items()
    assert states(tmp_path / "h") == {name(OLD): CellState.COMPLETE, name(NEW): CellState.COMPLETE}


def test_a_night_that_is_planned_again_adds_no_record_of_nothing(tmp_path: Path) -> None:
    kept(tmp_path / "h", uploaded(old=lines(measured())))
    assert kept(tmp_path / "h", {}, attempt=2, of=replace(PLAN, moment="2026-11-22T09:00:00Z")) == []


def test_what_was_measured_is_not_hidden_by_a_later_attempt_that_was_not(tmp_path: Path) -> None:
    kept(tmp_path / "h", uploaded(old=lines(measured())))
    kept(tmp_path / "h", uploaded(old=without(lines(measured(started="2026-11-22T09:00:00Z")), 2)), attempt=2)
    assert states(tmp_path / "h")[name(OLD)] is CellState.COMPLETE


def test_what_is_not_believed_is_kept_as_it_is_and_counts_for_nothing(tmp_path: Path) -> None:
    forged = lines(measured(environment=other_info(transformers="5.6.0")))
    kept(tmp_path / "h", uploaded(old=forged))
    aside = tmp_path / f"h/2026-11-22/{name(OLD)}.7-1.jsonl.refused"
    assert aside.read_bytes() == forged
    assert states(tmp_path / "h")[name(OLD)] is CellState.INCOMPLETE
    with open_database(tmp_path / "history.sqlite") as asked:
        assert [one.path for one in query_rejected_files(asked)] == [f"2026-11-22/{aside.name}"]
        assert query_nightly_runs(asked) == (NightlyRun(date(2026, 11, 22), 0, 0, 2, 1),)


def test_a_night_merges_into_one_that_was_archived_by_hand(tmp_path: Path) -> None:
    (run := tmp_path / "run").mkdir()
    (run / f"{name(OLD)}.jsonl").write_bytes(lines(measured(started="2026-11-22T00:30:00Z")))
    (first,) = archive(run, tmp_path / "h", PLAN.night)
    (run / f"{name(OLD)}.jsonl").write_bytes(lines(measured()))
    (second,) = merge(run, tmp_path / "h", PLAN.night, "7-1")
    assert first != second
    assert merge(run, tmp_path / "h", PLAN.night, "7-1") == (second,)


def test_a_run_is_merged_into_a_night_from_the_command_line(tmp_path: Path) -> None:
    (run := tmp_path / "run").mkdir()
    (run / f"{name(OLD)}.jsonl").write_bytes(lines(measured()))
    words = ["merge", str(run), "--history", str(tmp_path / "h"), "--night", "2026-11-21"]
    done = CliRunner().invoke(app, words)
    assert done.output.split() == [str(tmp_path / "h" / "2026-11-21" / f"{name(OLD)}.jsonl.gz")]
