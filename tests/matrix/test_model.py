"""The types that host and probe share, and that they run on the oldest interpreter measured."""

import ast
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.checks import CHECKS
from matrix.job import Job, Task
from matrix.model import Architecture, Device, Failure, Loader, Source
from matrix.verdicts import Verdict
from tests.support.runs import case

ROOT = Path(__file__).parents[2]
SHARED = [
    *(ROOT / f"matrix/{name}.py" for name in ("__init__", "verdicts", "model", "job")),
    *sorted((ROOT / "matrix/probe").rglob("*.py")),
]

names = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
tasks = st.builds(Task, names, st.sampled_from(Loader), st.lists(st.sampled_from(list(CHECKS)), max_size=2).map(tuple))
tables = st.dictionaries(names, json_values, max_size=3)
sources = st.none() | st.builds(
    Source, names, tables, names, st.lists(names, max_size=2).map(tuple), names, st.booleans()
)
architectures = st.builds(Architecture, names, names, tables, sources)
jobs = st.builds(
    Job,
    st.lists(architectures, max_size=3).map(tuple),
    st.lists(tasks, max_size=3).map(tuple),
    st.sampled_from(Device),
    st.integers(2, 8),
    st.floats(0, 1e6),
    st.integers(0, 5),
    sources,
)


@given(jobs)
def test_a_job_survives_its_way_to_the_probe(job: Job) -> None:
    assert Job.from_json(json.dumps(asdict(job))) == job


def test_verdicts_are_ordered_worst_first() -> None:
    worst_first = sorted(Verdict, key=lambda verdict: verdict.rank)
    assert [str(verdict) for verdict in worst_first] == [
        *("corrupt", "narrowed", "reported", "crash", "hang", "misreported", "flaky", "not_partitioned"),
        *("baseline_broken", "environment", "unsupported", "pass"),
    ]


def test_only_what_zero3_did_counts_as_wrong() -> None:
    innocent = {verdict for verdict in Verdict if not verdict.wrong_values}
    assert innocent == {Verdict.BASELINE_BROKEN, Verdict.ENVIRONMENT, Verdict.UNSUPPORTED, Verdict.PASS}
    assert [verdict for verdict in Verdict if verdict.infrastructure] == [Verdict.ENVIRONMENT]


def test_an_id_names_model_type_and_class() -> None:
    architecture = Architecture("data2vec-audio:Data2VecAudioModel", "batchnorm")
    assert (architecture.model_type, architecture.class_name) == ("data2vec-audio", "Data2VecAudioModel")


@pytest.mark.parametrize("file", SHARED, ids=lambda file: file.stem)
def test_what_the_probe_runs_is_python_3_10(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))


def python_3_10() -> str:
    kept = sorted((Path.home() / ".pyenv/versions").glob("3.10*/bin/python"))
    found = next((str(python) for python in kept), None) or shutil.which("python3.10")
    return found or pytest.skip("no Python 3.10 here")


def test_records_are_the_same_on_python_3_10() -> None:
    code = "import json; from matrix.model import *; from matrix.verdicts import Verdict; print(json.dumps([str(Verdict.PASS), Device.CUDA.backend, f'{Kind.ABSENT}']))"
    done = subprocess.run([python_3_10(), "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["pass", "nccl", "absent"]


def test_another_loader_may_mend_wrong_values_and_not_what_raises() -> None:
    raised = case(verdict=Verdict.CRASH, error=Failure("ValueError", "no"))
    cases = (case(), raised, case(verdict=Verdict.CORRUPT), case(verdict=Verdict.MISREPORTED))
    assert [one.may_be_mended for one in cases] == [False, False, True, True]
