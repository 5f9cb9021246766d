"""What is known of the loader's eras, found again by running: both loaders, both ranks, real releases."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from matrix.catalog.catalog import load_catalog
from matrix.catalog.select import select
from matrix.checks import Axes
from matrix.measure.cell import measure
from matrix.measure.request import Request
from matrix.measure.tasks import plan_tasks
from matrix.model import Case, CaseKey, Check, Loader, Precision
from matrix.progress import TerminalProgress
from matrix.verdicts import Verdict

pytestmark = pytest.mark.measured

CODEBOOK = "mimi:MimiModel"
CLIPPABLE = "gemma4:Gemma4ForConditionalGeneration"
LOGITS_BIAS = "bart:BartForConditionalGeneration"
BATCHNORM = "levit:LevitForImageClassification"
ROUTER = "deepseek_v3:DeepseekV3ForCausalLM"
CONTROL = "llama:LlamaForCausalLM"
ALL = (CODEBOOK, CLIPPABLE, LOGITS_BIAS, BATCHNORM, ROUTER, CONTROL)

Answers = dict[CaseKey, Case]


def answers(interpreter: Path, out: Path) -> Answers:
    architectures = select(load_catalog(), ALL)
    tasks = plan_tasks(architectures, Axes(checks=(Check("load"),), precisions=(Precision.FLOAT32,)))
    request = Request(out, tasks, interpreter=interpreter, device="cpu", confirmations=1)
    return {case.key: case for case in measure(request, TerminalProgress()).cases}


@pytest.fixture(scope="module")
def told_by_4x(last_4x: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return answers(last_4x, tmp_path_factory.mktemp("4x"))


@pytest.fixture(scope="module")
def told_by_broken(last_broken: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return answers(last_broken, tmp_path_factory.mktemp("broken"))


@pytest.fixture(scope="module")
def told_by_newest(newest: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return answers(newest, tmp_path_factory.mktemp("newest"))


def stock(told: Answers, architecture: str) -> tuple[Verdict, set[tuple[int, ...]]]:
    """The verdict of the stock loader, and on which ranks tensors are wrong."""
    case = told[CaseKey(architecture, Loader.STOCK, Check("load"))]
    return case.verdict, {finding.ranks for finding in case.findings}


@pytest.mark.parametrize("architecture", [CODEBOOK, LOGITS_BIAS])
def test_4x_loads_no_buffer_of_a_module_without_parameters(told_by_4x: Answers, architecture: str) -> None:
    assert stock(told_by_4x, architecture) == (Verdict.CORRUPT, {(0, 1)})


@pytest.mark.parametrize("architecture", [BATCHNORM, ROUTER])
def test_4x_loads_buffers_beside_parameters_on_rank_0_only(told_by_4x: Answers, architecture: str) -> None:
    assert stock(told_by_4x, architecture) == (Verdict.CORRUPT, {(1,)})


@pytest.mark.parametrize("architecture", [CODEBOOK, CLIPPABLE, BATCHNORM, ROUTER])
def test_5_5_4_loads_no_buffer_and_says_so(told_by_broken: Answers, architecture: str) -> None:
    assert stock(told_by_broken, architecture) == (Verdict.REPORTED, {(0, 1)})


def test_5_5_4_is_silent_about_what_bart_lets_be_missing(told_by_broken: Answers) -> None:
    assert stock(told_by_broken, LOGITS_BIAS) == (Verdict.CORRUPT, {(0, 1)})


@pytest.mark.parametrize("architecture", ALL)
def test_newest_loads_everything(told_by_newest: Answers, architecture: str) -> None:
    assert stock(told_by_newest, architecture) == (Verdict.PASS, set())


@pytest.mark.parametrize("era", ["told_by_4x", "told_by_broken", "told_by_newest"])
def test_fixed_loader_loads_everything(era: str, request: pytest.FixtureRequest) -> None:
    told: Answers = request.getfixturevalue(era)
    verdicts = {key.architecture: case.verdict for key, case in told.items() if key.loader is Loader.FIXED}
    absent = {CLIPPABLE} if era == "told_by_4x" else set()
    assert verdicts == {name: Verdict.UNSUPPORTED if name in absent else Verdict.PASS for name in ALL}


def test_values_compared_are_all_there_are(told_by_newest: Answers) -> None:
    tensors = told_by_newest[CaseKey(ROUTER, Loader.STOCK, Check("load"))].tensors
    assert tensors.buffers >= 1
    assert tensors.parameters > 10
    assert tensors.nonpersistent >= 1


def gemma4(interpreter: Path) -> dict[str, list[dict[str, Any]]]:
    script = Path(__file__).parents[1] / "support" / "measured" / "gemma4_values.py"
    done = subprocess.run([interpreter, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    values: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return values


RIGHT = {"input_max": [42.0], "output_min": [-42.0], "layer_scalar": [0.5]}


def test_gemma4_of_the_upstream_test_on_two_ranks(newest: Path) -> None:
    assert gemma4(newest) == {"stock": [RIGHT, RIGHT], "fixed": [RIGHT, RIGHT]}


def test_gemma4_before_the_upstream_fix(last_broken: Path) -> None:
    told = gemma4(last_broken)
    assert told["fixed"] == [RIGHT, RIGHT]
    assert all(values[name] != RIGHT[name] for values in told["stock"] for name in RIGHT)
