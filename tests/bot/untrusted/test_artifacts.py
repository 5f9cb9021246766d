"""Artifacts of jobs that ran a stranger's code (A1, A2 and A6 of the checklist): believed, or refused in our own words."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.github.types import ArtifactInfo, JobResult
from bot.text import Code, strip_marks
from bot.untrusted.artifacts import Rejected, read_runs, select_artifacts
from bot.untrusted.consistency import find_contradiction
from bot.untrusted.strict_records import LIMITS, HostileError, parse_cell
from matrix.checks import CHECKS, DEFAULT
from matrix.comparison.compare import Role
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision
from matrix.model import (
    Case,
    Cell,
    Check,
    Device,
    Failure,
    Kind,
    Loader,
    Note,
    Precision,
    ReportDifference,
    ReportLimit,
    ReportPart,
    Run,
    Tensors,
    Timing,
)
from matrix.results.records import SCHEMA, case_record, end_record, header_record
from matrix.verdicts import Verdict
from tests.support.runs import BERT, RESOLVER, ROUTER, case, cell, finding, info, with_commits

BASE, HEAD = "b" * 40, "c" * 40


def pins(sha: str, **others: str) -> dict[str, str]:
    return {"transformers": f"git+https://github.com/huggingface/transformers@{sha}", "deepspeed": "0.19.8", **others}


DUEL = ComparisonJob(
    "change", (PlannedRevision(Role.BASE, pins(BASE)), PlannedRevision(Role.HEAD, pins(HEAD))), (ROUTER, BERT)
)
NEWEST = ComparisonJob(
    "newest", (PlannedRevision(Role.NEWEST, {"transformers": "5.23.0", "deepspeed": "0.19.8"}),), (ROUTER,)
)
PLAN = ComparisonPlan("huggingface/transformers", 7, BASE, HEAD, (DUEL,))
DONE = [JobResult("cells / change", "success")]
CASES = tuple(
    case(name, check=check, precision=precision)
    for name in (ROUTER, BERT)
    for precision in DUEL.precisions
    for check in DEFAULT.checks
)
CRASH = Failure("ValueError", "no", "transformers/x.py:1 in f", (0, 1))


def measured(sha: str, *cases: Case, **other: Any) -> Cell:
    name = f"transformers-git.{sha[:12]}+deepspeed-0.19.8+torch-2.13.0+cpu"
    environment = info("5.24.0.dev0", id=name, packages={"deepspeed": "0.19.8", "numpy": "2.4.0"})
    whole = cell(*(cases or CASES), environment=with_commits(environment, pins(sha)))
    return replace(whole, **{"catalog": f"sha256:{'0' * 64}", "probe": f"sha256:{'1' * 64}", **other})


def results(whole: Cell) -> bytes:
    lines = [header_record(whole), *map(case_record, whole.cases), end_record(whole.cases, whole.timing)]
    return "".join(f"{line}\n" for line in lines).encode()


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, method)
    return file.getvalue()


def member(whole: Cell, role: str = "base") -> tuple[str, bytes]:
    return f"{role}/{whole.environment.id}.jsonl", results(whole)


def read(archive: bytes, jobs: list[JobResult] = DONE, plan: ComparisonPlan = PLAN) -> tuple[dict[Role, Run], str]:
    runs, refused = read_runs({duel.name: archive for duel in plan.jobs}, plan, jobs)
    return runs, "; ".join(strip_marks(one.reason) for one in refused)


BOTH = packed(member(measured(BASE)), member(measured(HEAD), "head"))


def test_what_this_project_writes_is_believed() -> None:
    runs, refused = read(BOTH)
    assert runs == {Role.BASE: Run((measured(BASE),)), Role.HEAD: Run((measured(HEAD),))}
    assert not refused


def test_reruns_and_failed_installations_are_believed() -> None:
    broken = measured(BASE, error=RESOLVER, cases=(), planned=8)
    pinned = replace(broken.environment, transformers=pins(BASE)["transformers"], python=">=3.9,<3.13", accelerate="")
    pinned = replace(pinned, packages={})
    again = measured(HEAD, case(verdict=Verdict.REPORTED, findings=(finding(),), confirmed=(3, 3)), planned=1)
    broken = replace(broken, environment=pinned)
    runs, refused = read(packed(member(broken), member(measured(HEAD), "head"), member(again, "head-again")))
    assert (runs[Role.BASE].cells, runs[Role.HEAD_RERUN].cells, refused) == ((broken,), (again,), "")


def test_what_only_a_difference_asks_for_may_be_absent() -> None:
    sides = (
        *DUEL.revisions,
        PlannedRevision(Role.BASE_OTHER, pins(BASE)),
        PlannedRevision(Role.HEAD_OTHER, pins(HEAD)),
    )
    assert read(BOTH, plan=replace(PLAN, jobs=(replace(DUEL, revisions=sides),))) == read(BOTH)


def named(name: str, mode: int = 0o100644, dos: int = 0) -> bytes:
    entry = zipfile.ZipInfo("base/x.jsonl")
    entry.filename, entry.external_attr = name, mode << 16 | dos
    return packed((entry, b""))


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.jsonl", "/base/x.jsonl", "C:/base/x.jsonl", "base\\x.jsonl", "base/../x.jsonl", "base/a/x.jsonl", "x.jsonl",
        "other/x.jsonl", "base/..jsonl", "base/", "base/x.log", "base/é.jsonl", "BASE/x.jsonl", "base/x.jsonl\0.py", "base/x.jsonl\n",
    ],
)  # fmt: skip
def test_a1_a_name_out_of_place(name: str) -> None:
    runs, refused = read(named(name))
    assert not runs
    assert refused.endswith(", which is not a <role>/<name>.jsonl")


@pytest.mark.parametrize(("mode", "dos"), [(0o120777, 0), (0o040755, 0), (0o020666, 0), (0o010644, 0), (0, 0x10)])
def test_a1_no_plain_file(mode: int, dos: int) -> None:
    assert "which is not a plain file" in read(named("base/x.jsonl", mode, dos))[1]


def encrypted() -> bytes:
    archive = bytearray(packed(("base/x.jsonl", b"")))
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


def lying(claimed: int) -> bytes:
    """An archive that says its member unpacks to `claimed` bytes; it unpacks to 1,000."""
    archive = bytearray(packed(("base/x.jsonl", b"\n" * 1000)))
    place = archive.index(b"PK\x01\x02") + 24
    archive[place : place + 4] = claimed.to_bytes(4, "little")
    return bytes(archive)


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"", "cannot be unpacked (BadZipFile)"),
        (BOTH[:-30], "cannot be unpacked (BadZipFile)"),
        (encrypted(), "which is encrypted or packed in an unusual way"),
        (packed(("base/x.jsonl", b"1"), method=zipfile.ZIP_LZMA), "which is encrypted or packed in an unusual way"),
        (packed(("base/x.jsonl", b"1"), ("base/X.jsonl", b"2")), "has two files with the same name"),
        (packed(("base/a.jsonl", b"1"), ("base/b.jsonl", b"2")).replace(b"b.j", b"a.j"), "has two files with the same name"),
        (packed(("base/a.jsonl", b"1"), ("base/b.jsonl", b"2")), "has two files for one role"),
        (packed(*((f"base/{n}.jsonl", b"") for n in range(9))), "more than 8 files"),
        (packed(("base/x.jsonl", b" " * 50_000_000)), "is too large when unpacked"),
        (packed(("base/x.jsonl", b" " * 50_000_000), method=zipfile.ZIP_STORED), "larger than 8 MiB"),
        (lying(10), "cannot be unpacked (BadZipFile)"),
        (lying(2**32 - 2), "no record in line 1"),
    ],
)  # fmt: skip
def test_a1_an_archive_that_is_none_or_a_bomb(archive: bytes, words: str) -> None:
    runs, refused = read(archive)
    assert not runs
    assert words in refused


def test_a1_a_directory_of_thousands_is_not_even_listed() -> None:
    archive = packed(*((f"{n}", b"") for n in range(5_000)))
    tracemalloc.start()
    read(archive)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


def test_a1_many_members_together_are_a_bomb_too() -> None:
    small = replace(LIMITS, total=2_500)
    archive = packed(*((f"{role}/x.jsonl", b"1234567890" * 100) for role in ("base", "head", "newest")))
    _, (refused,) = read_runs({"change": archive}, PLAN, DONE, small)
    assert strip_marks(refused.reason) == "its archive is too large when unpacked, at newest/x.jsonl"


HEADER, FIRST, *_, END = results(measured(BASE)).decode().splitlines()
WRONG = case_record(case(ROUTER, Verdict.CORRUPT))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "no complete record"),
        (["\0"], "no record in line 1"),
        ([b"\xff".decode("latin-1")], "no record in line 1"),
        (["\ufeff" + HEADER], "no record in line 1"),
        (["[" * 100_000], "a line that is too long or too deeply nested: 1"),
        (['{"a": ' + "[" * 8 + "]" * 8 + "}"], "a line that is too long or too deeply nested: 1"),
        (['"' + "x" * LIMITS.line + '"'], "a line that is too long or too deeply nested: 1"),
        (['{"a": "' + "x" * (LIMITS.string + 1) + '"}'], "no record of an allowed size in line 1"),
        (['{"a": [' + "0," * LIMITS.items + "0]}"], "no record of an allowed size in line 1"),
        (["{}"] * (LIMITS.rows + 1), "more than 20,000 lines"),
        ([HEADER, "[]"], "no record of an allowed size in line 2"),
        ([HEADER, FIRST.replace('"record"', '"verdict": "crash", "record"', 1)], "no record in line 2"),
        ([HEADER, FIRST.replace('"seconds": 0.0', '"seconds": NaN', 1)], "no record in line 2"),
        ([HEADER, FIRST.replace('"seconds": 0.0', '"seconds": 1e999', 1)], "no record in line 2"),
        ([HEADER, FIRST.replace('"buffers": 2', f'"buffers": {"9" * 40}')], "no record in line 2"),
        ([HEADER, FIRST.replace('"buffers": 2', '"buffers": true')], "no record of this version in line 2"),
        ([HEADER, WRONG.replace("Router.bias", "\\ud800")], "no record of this version in line 2"),
        ([HEADER, FIRST.replace('"pass"', '"fine"')], "no record of this version in line 2"),
        ([HEADER.replace(f'"schema": {SCHEMA}', f'"schema": {SCHEMA - 1}')], "no record of this version in line 1"),
        ([FIRST], "no record of this version in line 1"),
        ([HEADER, HEADER], "no record of this version in line 2"),
        ([HEADER[:-1] + ', "complete": true}'], "a record in line 1 that this project does not write"),
        ([HEADER[:-1] + ', "cases": []}'], "a record in line 1 that this project does not write"),
        ([HEADER, FIRST[:-1] + ', "more": 1}'], "a record in line 2 that this project does not write"),
        ([HEADER, FIRST.replace('"error": null, ', "")], "a record in line 2 that this project does not write"),
        ([HEADER, FIRST, END], "a record in line 3 that this project does not write"),
    ],
)
def test_a1_what_is_no_record(lines: list[str], words: str) -> None:
    content = "".join(f"{line}\n" for line in lines).encode("latin-1" if lines == ["\xff"] else "utf-8")
    with pytest.raises(HostileError) as raised:
        parse_cell(content)
    assert words in str(raised.value)


def test_a_half_written_last_line_is_not_read() -> None:
    assert parse_cell(f"{HEADER}\n{FIRST}\n{FIRST[:50]}".encode()).cases == CASES[:1]


FOUND = finding()
SILENT = finding(kind=Kind.DTYPE, reported_missing=False)
ROUNDED = finding(kind=Kind.ROUNDED, reported_missing=False, at_stage_0=False)
LEFT_OUT = ReportDifference(ReportPart.MISSING, (), ("a",), (0, 1), (0, 1))


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (case(findings=(FOUND,)), "its evidence does not fit the verdict pass"),
        (case(error=CRASH), "its evidence does not fit the verdict pass"),
        (case(tensors=Tensors()), "it passed, but compared nothing"),
        (case(verdict=Verdict.CORRUPT, findings=()), "its evidence does not fit the verdict corrupt"),
        (case(verdict=Verdict.CORRUPT), "its verdict is corrupt, but all wrong tensors were reported"),
        (case(verdict=Verdict.REPORTED, findings=(finding(reported_missing=False),)), "its verdict is reported, but some wrong tensors were not reported"),
        (case(verdict=Verdict.CORRUPT, findings=(FOUND, ROUNDED)), "its verdict is corrupt, but what was not reported is only rounded"),
        (case(verdict=Verdict.NARROWED), "its evidence does not fit the verdict narrowed"),
        (case(verdict=Verdict.NARROWED, findings=(replace(ROUNDED, reported_missing=True),)), "its verdict is narrowed, but what was not reported is not rounded, or nothing is"),
        (case(verdict=Verdict.NARROWED, findings=(ROUNDED, SILENT)), "its verdict is narrowed, but what was not reported is not rounded, or nothing is"),
        (case(verdict=Verdict.REPORTED, findings=(FOUND, ROUNDED)), "its verdict is reported, but some wrong tensors were not reported"),
        (case(verdict=Verdict.REPORTED, findings=(finding(at_stage_0=True),)), "the ranks or values of a finding are impossible"),
        (case(notes=(Note("x", "", (0,)),)), "a note of it is impossible"),
        (case(notes=(Note("x", "writes it empty", (2,)),)), "a note of it is impossible"),
        (case(verdict=Verdict.CRASH), "its evidence does not fit the verdict crash"),
        (case(verdict=Verdict.HANG, error=CRASH, findings=(FOUND,)), "its evidence does not fit the verdict hang"),
        (case(verdict=Verdict.UNSUPPORTED), "its evidence does not fit the verdict unsupported"),
        (case(verdict=Verdict.BASELINE_BROKEN), "its evidence does not fit the verdict baseline_broken"),
        (case(verdict=Verdict.ENVIRONMENT), "its evidence does not fit the verdict environment"),
        (case(confirmed=(2, 1)), "its numbers of reruns are impossible"),
        (case(confirmed=(0, 1)), "its numbers of reruns are impossible"),
        (case(confirmed=(101, 101)), "its numbers of reruns are impossible"),
        (case(confirmed=(1, 3)), "its reruns do not fit its verdict"),
        (case(verdict=Verdict.FLAKY, confirmed=(3, 3)), "its reruns do not fit its verdict"),
        (case(tensors=Tensors(-1, 2, 0)), "it has a negative count or time"),
        (case(seconds=-1.0), "it has a negative count or time"),
        (case(verdict=Verdict.REPORTED, findings=(FOUND, FOUND)), "it has the same finding twice"),
        (case(verdict=Verdict.REPORTED, findings=(finding(ranks=(0, 2)),)), "the ranks or values of a finding are impossible"),
        (case(verdict=Verdict.REPORTED, findings=(finding(ranks=(1, 0)),)), "the ranks or values of a finding are impossible"),
        (case(verdict=Verdict.REPORTED, findings=(finding(ranks=()),)), "the ranks or values of a finding are impossible"),
        (case(verdict=Verdict.REPORTED, findings=(finding(elements=(9, 8)),)), "the ranks or values of a finding are impossible"),
        (case(verdict=Verdict.REPORTED, findings=(finding(expected=(0,) * 5),)), "the ranks or values of a finding are impossible"),
        (case(report=(LEFT_OUT,)), "its evidence does not fit the verdict pass"),
        (case(verdict=Verdict.MISREPORTED), "its evidence does not fit the verdict misreported"),
        (case(verdict=Verdict.MISREPORTED, report=(LEFT_OUT,), findings=(FOUND,)), "its evidence does not fit the verdict misreported"),
        (case(verdict=Verdict.MISREPORTED, report=(replace(LEFT_OUT, ranks=(2,)),)), "a difference of its loading report is impossible"),
        (case(verdict=Verdict.MISREPORTED, report=(replace(LEFT_OUT, counts=(0, 2)),)), "a difference of its loading report is impossible"),
        (case(verdict=Verdict.CRASH, error=replace(CRASH, ranks=(7,))), "its error names ranks that it did not have"),
        (replace(case(), measured_with=Loader.FIXED), "its loader was measured with another one, which is not the same code"),
        (case(notes=(Note("x", "a", (0,)), Note("x", "b", (0, 1)))), "a rank has two notes about one thing"),
        (case(notes=tuple(Note(f"{number}", "a", (0,)) for number in range(58))), "it has more notes than tensors"),
        (case(verdict=Verdict.MISREPORTED, report=(LEFT_OUT, replace(LEFT_OUT, ranks=(1,)))), "a rank has two differences in one part of its loading report"),
        (case(verdict=Verdict.MISREPORTED, report=(LEFT_OUT,) * 9), "its loading report has more differences than a case can have"),
    ],
)  # fmt: skip
def test_a_case_that_contradicts_itself(claim: Case, words: str) -> None:
    if claim.verdict is Verdict.CORRUPT and claim.findings:
        both = (FOUND, ROUNDED, SILENT)
        assert not find_contradiction(replace(claim, findings=both), 2)
    runs, refused = read(packed(member(measured(BASE, claim)), member(measured(HEAD), "head")))
    assert list(runs) == [Role.HEAD]
    assert refused.endswith(f"contradicts itself about {claim.key}: {words}")


def test_what_is_rounded_noted_or_impossible_on_this_device_is_believed() -> None:
    refused = Failure("UnsupportedPrecisionError", "deepspeed does not train in bf16 on a cpu", ranks=(0, 1))
    claims = (
        case(verdict=Verdict.NARROWED, findings=(FOUND, ROUNDED), precision=Precision.BF16, confirmed=(3, 3)),
        case(notes=(Note("model.save_pretrained(folder)", "writes 9 of 9 tensors empty", (0, 1)),)),
        case(check=Check("save"), precision=Precision.BF16, verdict=Verdict.UNSUPPORTED, tensors=Tensors(), error=refused),
    )  # fmt: skip
    runs, words = read(packed(member(measured(BASE, *claims)), member(measured(HEAD), "head")))
    assert runs[Role.BASE].cells[0].cases == claims
    assert not words


@pytest.mark.parametrize(
    ("stock", "believed"),
    [
        ((case(),), True),
        ((), False),
        ((case(verdict=Verdict.CORRUPT, findings=(SILENT,)),), False),
        ((case(check=Check("save")),), False),
    ],
)
def test_the_fixed_loader_counts_as_the_stock_one_only_where_that_found_the_same(
    stock: tuple[Case, ...], *, believed: bool
) -> None:
    plan = replace(PLAN, jobs=(replace(DUEL, loaders=tuple(Loader)),))
    shared = replace(case(), loader=Loader.FIXED, measured_with=Loader.STOCK)
    runs, refused = read(packed(member(measured(BASE, *stock, shared)), member(measured(HEAD), "head")), plan=plan)
    assert (Role.BASE in runs) is believed
    assert ("says that the stock loader decided" in refused) is not believed
    assert "not the same code" in find_contradiction(replace(shared, precision=Precision.BF16), 2)


def other(**changes: Any) -> tuple[str, bytes]:
    """The results of the base with another environment; `stem` is the name of its file."""
    stem = changes.pop("stem", measured(BASE).environment.id)
    environment = replace(measured(BASE).environment, **changes)
    return f"base/{stem}.jsonl", results(measured(BASE, environment=environment))


def packages(**listed: str) -> tuple[str, bytes]:
    """The results of the base, which list other versions or commits of packages."""
    return other(packages={**measured(BASE).environment.packages, **listed})


def named_more(pins: str) -> tuple[str, bytes]:
    """The results of the base, whose id names more `pins` than the plan; nothing else says so."""
    name = measured(BASE).environment.id.replace("+cpu", f"{pins}+cpu")
    return other(id=name, stem=name)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (member(measured(HEAD)), "names another transformers than planned"),
        (member(measured(BASE), "newest"), "is for a role that this job does not have"),
        (other(stem="x"), "has an environment id that does not fit its file or its device"),
        (other(backend="nccl"), "has an environment id that does not fit its file or its device"),
        (other(device=Device.CUDA, backend="nccl"), "has an environment id that does not fit its file or its device"),
        (named_more("+safetensors-9.9.9"), "pins safetensors, which the plan does not"),
        (named_more("+accelerate-9"), "pins accelerate, which the plan does not"),
        (other(world_size=1), "has an impossible number of ranks"),
        (other(world_size=10**9), "has an impossible number of ranks"),
        (other(deepspeed="0.16.9"), "was measured with another deepspeed than planned"),
        (other(torch="2.11.0"), "was measured with another torch than planned"),
        (packages(transformers=f"5.24.0.dev0+git.{HEAD}"), "was measured with another transformers than planned"),
        (packages(transformers="5.24.0.dev0"), "was measured with another transformers than planned"),
        (packages(transformers="5.5.4"), "was measured with another transformers than planned"),
        (packages(deepspeed=f"0.19.8+git.{HEAD}"), "was measured with another deepspeed than planned"),
        (other(transformers=f"5.24.0.dev0+git.{HEAD}"), "was measured with another transformers than planned"),
        (packages(transformers=f"5.24.0.dev0+git.{BASE}b"), "was measured with another transformers than planned"),
        (
            packages(transformers=f"5.24.0.dev0+git.{BASE}+git.{HEAD}"),
            "was measured with another transformers than planned",
        ),
        (packages(deepspeed="0.16.9"), "was measured with another deepspeed than planned"),
        (packages(safetensors=f"0.8.0+git.{HEAD}"), "was measured with another safetensors than planned"),
        (other(transformers="5 <b>"), "does not name a version of transformers"),
        (other(accelerate="1+<script>"), "does not name a version of accelerate"),
        (packages(numpy="1@2"), "does not name a version of numpy"),
        (
            other(report_limits={ReportPart.MISSING: ReportLimit.ALWAYS_EMPTY}),
            "leaves out a part of the loading report that every release tells",
        ),
        (packages(**{"<b>": "1"}), "lists packages that no environment has"),
        (packages(**{f"p{number}": "1" for number in range(501)}), "lists packages that no environment has"),
        (
            member(measured(BASE, started="9999-99-99T99:99:99Z")),
            "does not say with which code, when and on which hardware it was measured",
        ),
        (other(hardware="x\n# y"), "does not say with which code, when and on which hardware it was measured"),
        (other(hardware="x" * 201), "does not say with which code, when and on which hardware it was measured"),
        (
            member(measured(BASE, probe="mine")),
            "does not say with which code, when and on which hardware it was measured",
        ),
        (
            member(measured(BASE, started="today")),
            "does not say with which code, when and on which hardware it was measured",
        ),
        (member(measured(BASE, timing=Timing(-1.0))), "has a negative count or time"),
        (member(measured(BASE, error=CRASH)), "says that nothing could be measured, but has results"),
        (member(measured(BASE, case("x:Y"))), "has a case that was not planned: x:Y stock load"),
        (member(measured(BASE, case(loader=Loader.FIXED))), f"has a case that was not planned: {ROUTER} fixed load"),
    ],
)
def test_a2_a_claim_that_the_plan_does_not_name(file: tuple[str, bytes], words: str) -> None:
    runs, refused = read(packed(file, member(measured(HEAD), "head")))
    assert list(runs) == [Role.HEAD]
    assert f"{file[0]} {words}" in refused


def test_a2_a_release_is_told_by_the_version_found() -> None:
    plan = replace(PLAN, jobs=(NEWEST,))
    jobs = [JobResult("newest", "success")]
    for found, believed in (("5.23.0", True), ("5.22.0", False)):
        environment = info(found, id=info("5.23.0").id, torch="2.13.0+cpu")
        whole = replace(measured(BASE, *CASES[:2]), environment=environment)
        assert bool(read(packed(member(whole, "newest")), jobs, plan)[0]) is believed


def test_a2_safetensors_is_told_by_its_version() -> None:
    plan = replace(
        PLAN, jobs=(replace(DUEL, revisions=(PlannedRevision(Role.BASE, pins(BASE, safetensors="0.8.0")),)),)
    )
    for version, believed in (("0.8.0", True), ("0.7.0", False)):
        own = measured(BASE).environment
        environment = replace(own, packages={**own.packages, "safetensors": version})
        whole = measured(BASE, environment=environment)
        assert bool(read(packed(member(whole)), plan=plan)[0]) is believed


@pytest.mark.parametrize("hostile", ["@everyone <img src=x>", "`|\u202e[a](b)", "\x1b[31m" * 100])
def test_what_a_refusal_quotes_is_marked_and_clipped(hostile: str) -> None:
    for archive in (named(hostile), packed(member(measured(BASE, case(hostile))))):
        _, (refused, *_) = read_runs({"change": archive}, PLAN, DONE)
        assert not [part for part in refused.reason if hostile[:5] in part and not isinstance(part, Code)]
        assert max(map(len, refused.reason)) < 250


def test_a6_a_header_cannot_ask_for_less_than_the_plan() -> None:
    whole = measured(BASE, *CASES[:1], planned=0)
    runs, _ = read(packed(member(whole), member(measured(HEAD), "head")))
    assert (runs[Role.BASE].cells[0].planned, runs[Role.BASE].cells[0].complete) == (8, False)


def test_a6_results_that_were_not_uploaded() -> None:
    assert read(packed(member(measured(HEAD), "head"))) == (
        {Role.HEAD: Run((measured(HEAD),))},
        "it has no results of the base",
    )
    assert read_runs({}, PLAN, DONE) == ({}, (Rejected("change", ("its job uploaded no results",)),))
    lost = Rejected("change", ("its archive is too large",))
    assert read_runs({"change": lost}, PLAN, DONE) == ({}, (lost,))


@pytest.mark.parametrize(
    ("jobs", "counts", "words"),
    [
        ([JobResult("zero3 / cells (change, 2) / change", "success")], 2, ""),
        ([], 0, "its job did not run"),
        ([JobResult("cells / changed", "success")], 0, "its job did not run"),
        ([JobResult("cells / change", "skipped")], 0, "its job did not run"),
        ([JobResult("cells / change", "")], 2, "its job has not ended"),
        ([JobResult("cells / change", "failure")], 2, "its job ended as failure: cases that it had not measured by then count as not run"),
        ([*DONE, JobResult("other / change", "cancelled")], 2, "its job ended as cancelled: "),
    ],
)  # fmt: skip
def test_a6_the_jobs_conclusion_counts_too(jobs: list[JobResult], counts: int, words: str) -> None:
    runs, refused = read(BOTH, jobs)
    assert len(runs) == counts
    assert refused.startswith(words)
    assert all(run.cells[0].complete is (not words) for run in runs.values())


def test_a6_of_each_planned_job_the_newest_artifact_is_wanted() -> None:
    listed = [
        ArtifactInfo(3, "zero3-change", 10),
        ArtifactInfo(2, "zero3-change", 10),
        ArtifactInfo(4, "zero3-change", 10, expired=True),
        ArtifactInfo(5, "zero3-other", 10),
    ]
    assert select_artifacts(listed, PLAN) == {"change": listed[0]}


def believable(archive: bytes) -> None:
    """Whatever an archive holds, it is refused in words or holds to everything that the plan and the probe promise."""
    runs, refused = read_runs({"change": archive}, PLAN, DONE)
    assert set(runs) <= {Role.BASE, Role.HEAD, Role.BASE_RERUN, Role.HEAD_RERUN}
    assert len(set(runs) & {Role.BASE, Role.HEAD}) == 2 or refused
    keys = {one.key for one in CASES}
    for role, run in runs.items():
        (whole,) = run.cells
        sha = BASE if role in (Role.BASE, Role.BASE_RERUN) else HEAD
        assert f"git.{sha[:12]}+" in whole.environment.id
        assert {one.key for one in whole.cases} <= keys
        assert not any(find_contradiction(one, whole.environment.world_size) for one in whole.cases)
        assert not whole.complete or whole.error or len(whole.cases) >= whole.planned


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    believable(content)
    believable(packed((f"base/{measured(BASE).environment.id}.jsonl", content)))


@settings(max_examples=300)
@given(st.data())
def test_a_spoilt_archive_never_surprises(data: st.DataObject) -> None:
    archive = bytearray(BOTH)
    for place in data.draw(st.lists(st.integers(0, len(archive) - 1), min_size=1, max_size=4)):
        archive[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(archive)) | st.just(len(archive)))
    believable(bytes(archive[:cut]))


LINES = [HEADER, WRONG, case_record(case(BERT, Verdict.CRASH, error=CRASH)), *map(case_record, CASES[1:3]), END]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([*Verdict, *Kind, *CHECKS]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)  # fmt: skip


def spots(value: Any) -> list[Callable[[Any], None]]:
    """Ways to put something else in each place inside `value`."""
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[Callable[[Any], None]] = []
    for place, inside in places:
        found += [partial(value.__setitem__, place), *spots(inside)]
    return found


@settings(max_examples=300)
@given(st.data())
def test_a_spoilt_record_never_surprises(data: st.DataObject) -> None:
    records = [json.loads(line) for line in data.draw(st.permutations(LINES) | st.just(LINES))]
    for _ in range(data.draw(st.integers(0, 3))):
        data.draw(st.sampled_from(spots(records)))(data.draw(values))
    content = "".join(f"{json.dumps(one)}\n" for one in records).encode()
    name = f"{measured(BASE).environment.id}.jsonl"
    believable(packed((f"base/{name}", content), (f"base-again/{name}", content), member(measured(HEAD), "head")))
