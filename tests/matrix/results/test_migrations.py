"""Records of older schemas stay readable for ever, and are never rewritten."""

import json
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import OlderSchemaError, OtherSchemaError, ResultsError
from matrix.history import database as history
from matrix.history import reader as history_reading
from matrix.history.build import build_database
from matrix.history.database import HistoryError, open_database
from matrix.history.queries import query_days, query_evidence
from matrix.model import Kind
from matrix.results import migrations, parse, records, write
from matrix.results.migrations import migrate, newest_schema
from matrix.results.parse import validate_record
from matrix.results.read import read_cell
from matrix.results.records import SCHEMA, case_record, end_record, header_record
from matrix.results.write import append
from matrix.verdicts import Verdict
from tests.support.runs import BERT, ROUTER, case, cell

KEPT = Path(__file__).parents[2] / "data/records"


def test_every_schema_has_its_step_and_its_file() -> None:
    assert newest_schema() == SCHEMA
    assert {file.name for file in KEPT.iterdir()} == {f"schema-{number}.jsonl" for number in range(1, SCHEMA + 1)}


@pytest.mark.parametrize("file", sorted(KEPT.iterdir()), ids=lambda file: file.stem)
def test_the_oldest_file_is_read_as_any_other(file: Path) -> None:
    assert read_cell(file).complete


def test_what_schema_1_said_is_read_for_ever() -> None:
    whole = read_cell(KEPT / "schema-1.jsonl")
    assert whole.environment.id == "transformers-4.57.6+deepspeed-0.19.8+torch-2.13.0+cpu"
    assert (whole.started, whole.planned, whole.timing.rss_mb) == ("2026-11-25T08:20:07Z", 3, 734.266)
    corrupt, crash, good = whole.cases
    assert [str(known.key) for known in whole.cases] == [
        "mra:MraForMaskedLM stock load float32",
        "marian:MarianMTModel stock save float32",
        "sam:SamModel fixed load float32",
    ]
    assert [known.verdict for known in whole.cases] == [Verdict.CORRUPT, Verdict.CRASH, Verdict.PASS]
    (found,) = corrupt.findings
    assert (found.tensor, found.kind, found.actual) == ("mra.embeddings.position_ids", Kind.INIT_VALUE, (2, 3, 4, 5))
    assert crash.error
    assert crash.error.type == "ValueError"
    assert (good.confirmed, good.seconds) == ((1, 1), 0.4862)


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    """From a made-up schema 1, in which a verdict was a result and an end a finish."""
    kinds = {"finish": "end"}
    names = {"result": "verdict"}
    return {names.get(name, name): kinds.get(str(value), value) for name, value in record.items()}


def filled(record: dict[str, Any]) -> dict[str, Any]:
    """From a made-up schema 2, which had no catalog, called passes good, and called hangs crashes."""
    if record["record"] == "cell":
        return {**record, "catalog": "unknown"}
    names = {"good": "pass", "crash": "hang"}
    return {**record, "verdict": names[record["verdict"]]} if record["record"] == "case" else record


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose records are of schema 3: those of today."""
    monkeypatch.setattr(migrations, "STEPS", (renamed, filled))
    monkeypatch.setattr(parse, "HEADER", parse.HEADER.replace(str(SCHEMA).encode(), b"3"))
    for module in (records, parse, write, history_reading):
        monkeypatch.setattr(module, "SCHEMA", 3)


NOW = cell(case(ROUTER), case(BERT, Verdict.HANG))


def written(schema: int) -> list[str]:
    """`NOW` as a version of that schema would have written it."""
    lines = [header_record(NOW), *map(case_record, NOW.cases), end_record(NOW.cases, NOW.timing)]
    lines = [line.replace(f'"schema": {records.SCHEMA}', f'"schema": {schema}') for line in lines]
    if schema < 3:
        lines = [line.replace('"catalog": "sha256:c", ', "") for line in lines]
        lines = [line.replace('"pass"', '"good"').replace('"hang"', '"crash"') for line in lines]
    if schema < 2:
        lines = [line.replace('"verdict"', '"result"').replace('"end"', '"finish"') for line in lines]
    return lines


def keep(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.usefixtures("third")
def test_steps_are_taken_in_order_from_the_schema_of_the_record() -> None:
    first = {"record": "case", "result": "good"}
    assert migrate(first, 1) == {"record": "case", "verdict": "pass"}
    assert migrate({"record": "case", "verdict": "good"}, 2) == {"record": "case", "verdict": "pass"}
    assert migrate({"record": "cell", "schema": 2}, 2) == {"record": "cell", "schema": 3, "catalog": "unknown"}
    assert migrate(first, 3) == first == {"record": "case", "result": "good"}


@pytest.mark.usefixtures("third")
@pytest.mark.parametrize("schema", [1, 2, 3])
def test_headers_cases_and_ends_of_every_schema_say_the_same(tmp_path: Path, schema: int) -> None:
    path = keep(tmp_path / "cell.jsonl", written(schema))
    before = path.read_bytes()
    whole = read_cell(path)
    assert (whole.cases, whole.complete, whole.timing) == (NOW.cases, True, NOW.timing)
    assert whole.catalog == ("sha256:c" if schema == 3 else "unknown")
    assert path.read_bytes() == before


@pytest.mark.usefixtures("third")
def test_a_history_of_three_schemas_is_one_history(tmp_path: Path) -> None:
    for schema in (1, 2, 3):
        keep(tmp_path / f"history/2026-11-2{schema}/{NOW.environment.id}.jsonl", written(schema))
    database = tmp_path / "history.sqlite"
    for _ in range(2):
        build_database(tmp_path / "history", database)
        keep(tmp_path / f"history/2026-11-24/{NOW.environment.id}.jsonl", written(1))
    with open_database(database) as answers:
        assert [found.case for found in query_evidence(answers, NOW.environment.id)] == [NOW.cases[1], NOW.cases[0]]
    build_database(tmp_path / "history", tmp_path / "again.sqlite")
    assert database.read_bytes() == (tmp_path / "again.sqlite").read_bytes()


@pytest.mark.usefixtures("third")
def test_what_is_no_record_of_its_schema_is_told_with_its_line(tmp_path: Path) -> None:
    lines = written(2)
    path = keep(tmp_path / "cell.jsonl", [*lines[:2], '{"record": "case"}'])
    with pytest.raises(ResultsError, match=r"line 3 is not a record of schema 2 \(KeyError\)"):
        read_cell(path)


@pytest.mark.usefixtures("third")
def test_nothing_is_added_to_a_file_of_an_older_schema(tmp_path: Path) -> None:
    path = keep(tmp_path / "cell.jsonl", written(2))
    with pytest.raises(OlderSchemaError, match="choose another --out"), append(path) as writer:
        writer.case(NOW.cases[0])
    assert path.read_text().splitlines() == written(2)


@pytest.mark.parametrize("schema", ["3", "0", "true", '"1"', "null"])
def test_a_schema_that_nobody_knows_yet_says_to_update(tmp_path: Path, schema: str) -> None:
    path = keep(tmp_path / "cell.jsonl", [header_record(NOW).replace(f'"schema": {SCHEMA}', f'"schema": {schema}')])
    with pytest.raises(OtherSchemaError, match="update this project"):
        read_cell(path)


def test_a_stranger_s_record_has_to_be_of_this_schema() -> None:
    header = json.loads(header_record(NOW))
    with pytest.raises(OtherSchemaError):
        validate_record({**header, "schema": 0}, Path("cell.jsonl"), 1)


def test_another_version_s_database_has_to_be_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(
        tmp_path / f"history/2026-11-22/{NOW.environment.id}.jsonl",
        [header_record(NOW), *map(case_record, NOW.cases), end_record(NOW.cases, NOW.timing)],
    )
    database = tmp_path / "history.sqlite"
    build_database(tmp_path / "history", database)
    monkeypatch.setattr(history, "VERSION", history.VERSION + 1000)
    message = f"has version {history.VERSION - 1000}, this program reads version {history.VERSION}: build it"
    with pytest.raises(HistoryError, match=message), open_database(database):
        pass
    build_database(tmp_path / "history", database)
    with open_database(database) as answers:
        assert query_days(answers)
