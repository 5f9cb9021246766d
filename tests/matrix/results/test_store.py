"""Results files: what is written is what is read, and nothing measured is lost."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from matrix.checks import CHECKS
from matrix.errors import BusyError, NoResultsError, OtherSchemaError, OutputError, ResultsError
from matrix.model import (
    Case,
    Cell,
    Configuration,
    Failure,
    Finding,
    Kind,
    Loader,
    Note,
    Precision,
    Tensors,
    Timing,
    What,
)
from matrix.results.json_schema import build_json_schema
from matrix.results.read import read_cell, read_run
from matrix.results.records import case_record, end_record, header_record
from matrix.results.write import CellWriter, append, set_aside
from matrix.verdicts import Verdict
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, finding, info

DOCUMENTED = Path(__file__).parents[3] / "docs/records.schema.json"
TIMING = Timing(71.25, 8.5, 40.125, 1500.5)

text = st.text(max_size=10)
ranks = st.lists(st.integers(0, 7), max_size=3).map(tuple)
counts = st.integers(0, 1000)
scalars = st.lists(st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text).map(tuple)
failures = st.builds(Failure, text, text, text, ranks)
findings = st.builds(
    Finding,
    text, st.sampled_from(What), text, st.sampled_from(Kind), ranks, st.booleans(), scalars, scalars,
    st.tuples(counts, counts), text,
)  # fmt: skip
notes = st.lists(st.builds(Note, text, text, ranks), max_size=2).map(tuple)
cases = st.builds(
    Case,
    text, st.sampled_from(Loader), st.sampled_from(list(CHECKS)), st.sampled_from(Verdict),
    st.sampled_from(Precision), st.sampled_from(Configuration), st.builds(Tensors, counts, counts, counts),
    st.lists(findings, max_size=2).map(tuple), st.none() | failures,
    notes=notes, confirmed=st.tuples(counts, counts), seconds=st.floats(0, 1e3), load_seconds=st.floats(0, 1e3),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "cell.jsonl"


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond one block: a full disk from inside. Not a fixture: pytest writes too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@given(st.lists(cases, max_size=3, unique_by=lambda case: case.key))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, measured: list[Case]) -> None:
    path = tmp_path_factory.mktemp("results") / "cell.jsonl"
    whole = cell(*measured, timing=TIMING)
    with append(path) as writer:
        writer.header(whole)
        for one in measured:
            writer.case(one)
        writer.end(measured, TIMING)
    assert read_cell(path) == whole


@pytest.mark.parametrize("error", [None, RESOLVER])
def test_a_cell_without_cases_survives(path: Path, error: Failure | None) -> None:
    whole = cell(planned=4, error=error, complete=False)
    write(path, header_record(whole))
    assert read_cell(path) == whole


def test_a_file_without_an_end_is_incomplete(path: Path) -> None:
    write(path, header_record(cell(planned=2)), case_record(case()))
    assert not read_cell(path).complete


def test_what_is_appended_after_the_end_is_incomplete_until_the_next_end(path: Path) -> None:
    write(path, header_record(cell(planned=1)), case_record(case()), end_record([case()], TIMING))
    assert read_cell(path).complete
    with append(path) as writer:
        writer.case(case(BERT))
    assert (read_cell(path).complete, len(read_cell(path).cases)) == (False, 2)


def test_a_later_record_replaces_an_earlier_one_of_the_same_case(path: Path) -> None:
    flaky = case(verdict=Verdict.FLAKY, confirmed=(1, 3))
    write(path, header_record(cell(planned=2)), case_record(case()), case_record(case(BERT)), case_record(flaky))
    assert read_cell(path).cases == (flaky, case(BERT))


def test_a_half_written_last_line_is_not_read(path: Path) -> None:
    write(path, header_record(cell(planned=2)), case_record(case()))
    with path.open("a") as file:
        file.write(case_record(case(BERT))[:-1])
    assert read_cell(path).cases == (case(),)


def test_a_half_written_last_line_is_dropped_before_more_is_appended(path: Path) -> None:
    write(path, header_record(cell(planned=2)), case_record(case()))
    with path.open("a") as file:
        file.write('{"record": "case", "archi')
    with append(path) as writer:
        writer.case(case(BERT))
    assert read_cell(path).cases == (case(), case(BERT))


HEADER = header_record(cell(planned=1))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "no complete record"),
        ([HEADER, "garbage", case_record(case())], "line 2 is not JSON"),
        ([HEADER, "[" * 100_000], "line 2 is not JSON"),
        ([HEADER, '"text"'], "line 2 is not a record"),
        ([HEADER, "\ufffd\x00"], "line 2 is not JSON"),
        ([HEADER, '{"record": "cases"}'], "line 2 has an unknown kind of record, 'cases'"),
        ([HEADER, HEADER], "line 2 has an unknown kind of record, 'cell'"),
        ([case_record(case())], "line 1 is not a cell record"),
        ([HEADER, case_record(case()), case_record(case()).replace("pass", "fine")], "line 3: verdict: "),
        ([HEADER.replace('"planned": 1', '"planned": "1"')], "line 1: planned: "),
        ([HEADER, '{"record": "end", "seconds": null}'], "line 2: seconds: "),
    ],
)
def test_what_is_no_results_file_is_told_with_its_line(path: Path, lines: list[str], problem: str) -> None:
    write(path, *lines)
    with pytest.raises(ResultsError) as raised:
        read_cell(path)
    assert str(raised.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", f"{'9' * 400}.0"])
@pytest.mark.parametrize(
    ("line", "good", "place"),
    [
        (case_record(case()), '"load_seconds": 0.0', "load_seconds"),
        (case_record(case(verdict=Verdict.CORRUPT)), '"actual": [0.0', r"findings\.0\.actual\.0"),
        (end_record([], Timing()), '"seconds": 0.0', "seconds"),
    ],
)
def test_a_number_that_is_not_finite_is_no_record(path: Path, number: str, line: str, good: str, place: str) -> None:
    for bad in (line.replace(good, good.replace("0.0", number)), f" {line}".replace(good, good.replace("0.0", number))):
        write(path, HEADER, bad)
        with pytest.raises(ResultsError, match=f"line 2: {place}"):
            read_cell(path)


def test_records_of_another_schema_are_not_touched(path: Path) -> None:
    write(path, HEADER.replace('"schema": 2', '"schema": 3'))
    with pytest.raises(OtherSchemaError, match="records of schema 3, but this version reads schemas up to 2: update"):
        read_cell(path)


def test_what_cannot_be_read_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ResultsError, match="Is a directory"):
        read_cell(path)


def test_a_folder_without_results_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoResultsError, match=r"the folder '.*missing' has no results.*nox -s zero3_matrix"):
        read_run(tmp_path / "missing")


def test_results_set_aside_are_no_part_of_a_run(path: Path) -> None:
    old = []
    for planned in (1, 2, 3):
        write(path, header_record(cell(planned=planned)))
        old.append(set_aside(path) if planned < 3 else path)
    assert [read_cell(file).planned for file in old] == [1, 2, 3]
    assert [found.planned for found in read_run(path.parent).cells] == [3]


def test_one_file_has_one_writer(path: Path) -> None:
    with append(path) as first, pytest.raises(BusyError, match="being written by another run"), append(path):
        first.header(cell())
    with append(path):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"), append(tmp_path / "file" / "cell.jsonl"):
        pass


def test_a_full_device_is_told() -> None:
    device = Path("/dev/full").open("a")  # noqa: SIM115
    with pytest.raises(OutputError, match=r"cannot write cell\.jsonl: No space left on device"):
        CellWriter(Path("cell.jsonl"), device).case(case())
    with pytest.raises(OSError, match="No space left"):
        device.close()


def test_a_full_disk_is_told_and_loses_nothing(path: Path) -> None:
    written = cell(planned=9, complete=False)
    large = case(findings=tuple(finding(f"layer.{number}") for number in range(9)))

    def write_both() -> None:
        with full_disk(), append(path) as writer:
            writer.header(written)
            writer.case(large)

    with pytest.raises(OutputError, match="earlier results are kept"):
        write_both()
    assert read_cell(path) == written


SCHEMA = Draft202012Validator(build_json_schema())


def valid(line: str) -> bool:
    return bool(SCHEMA.is_valid(json.loads(line)))


@given(cases)
def test_every_case_is_as_the_schema_says(one: Case) -> None:
    assert valid(case_record(one))


@pytest.mark.parametrize("whole", [cell(), cell(error=RESOLVER)])
def test_cells_and_ends_are_as_the_schema_says(whole: Cell) -> None:
    assert valid(header_record(whole))
    assert valid(end_record(whole.cases, TIMING))


CASE: dict[str, Any] = json.loads(case_record(case(ROUTER, Verdict.CORRUPT)))


@pytest.mark.parametrize("change", [{"record": "cell"}, {"verdict": "fine"}, {"confirmed": [1]}, {"more": 1}])
def test_the_schema_refuses_what_is_no_record(change: dict[str, Any]) -> None:
    assert valid(json.dumps(CASE))
    assert not valid(json.dumps({**CASE, **change}))


def test_the_documented_schema_is_that_of_the_code() -> None:
    current = json.loads(DOCUMENTED.read_text())
    assert current == build_json_schema(), "python -m bot documents"
    Draft202012Validator.check_schema(current)


def test_a_run_is_in_the_order_of_versions(tmp_path: Path) -> None:
    for version in ("5.23.0", "5.5.4", "4.57.6"):
        with append(tmp_path / f"{version}.jsonl") as writer:
            writer.header(cell(environment=info(version)))
    assert [found.environment.transformers for found in read_run(tmp_path).cells] == ["4.57.6", "5.5.4", "5.23.0"]
