"""The fixed loader, by running it: two gloo ranks per interpreter, one launch each, judged here."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.measured

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "support" / "measured"
SCRIPT = SCRIPTS / "fixed_loader_ranks.py"
BESIDE = (
    SCRIPTS / "fixed_loader_checkpoints.py",
    SCRIPTS / "fixed_loader_precision.py",
    ROOT / "matrix" / "probe" / "zero3_buffers.py",
)
SETTINGS = {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}

CHECKPOINTS = ("bart", "batchnorm", "router", "codebook")
FORMS = ("sharded", "bin", "head to base", "base to head")

PARTIAL = "model.encoder.layers.0.norm_sublayer3.batchnorm.running_mean"
"""The buffer that the incomplete checkpoint lacks."""

ODD = {"complex64", "count", "empty", "flags", "float64", "float8", "transposed"}


@dataclass(frozen=True)
class Found:
    """What the two ranks of one interpreter found, by scenario."""

    interpreter: str
    folder: Path
    ranks: tuple[dict[str, Any], dict[str, Any]]

    def __getitem__(self, scenario: str) -> list[Any]:
        if scenario not in self.ranks[0]:
            pytest.skip(f"the transformers of {self.interpreter} has no such model")
        return [rank[scenario] for rank in self.ranks]


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("older_deepspeed", "oldest")]


@pytest.fixture(scope="module", params=["newest", "last_broken", "last_4x", *SLOW])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("ranks")
    for file in (SCRIPT, *BESIDE):
        shutil.copy(file, folder)
    command = [request.getfixturevalue(request.param), folder / SCRIPT.name, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=os.environ | SETTINGS)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2))
    return Found(request.param, folder, (first, second))


def assert_right(seen: dict[str, Any]) -> None:
    assert "error" not in seen, seen
    assert seen["buffers"] > 0
    assert seen["wrong"] == []
    assert seen["missing"] == []


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_every_rank_holds_the_buffers_of_the_checkpoint(found: Found, checkpoint: str) -> None:
    for seen in found[checkpoint]:
        assert_right(seen)
        assert seen["partitioned"]


@pytest.mark.parametrize("scenario", [*CHECKPOINTS, *FORMS, "incomplete"])
def test_loaded_buffers_are_marked(found: Found, scenario: str) -> None:
    assert [seen["unmarked"] for seen in found[scenario]] == [[], []]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_checkpoint_loads(found: Found, form: str) -> None:
    for seen in found[form]:
        assert_right(seen)


def test_gemma4_with_both_towers(found: Found) -> None:
    for seen in found["gemma4"]:
        assert_right(seen)


def test_a_module_of_the_sharded_checkpoint_lies_in_two_shards(found: Found) -> None:
    index = json.loads((found.folder / "batchnorm-sharded" / "model.safetensors.index.json").read_text())
    shards = index["weight_map"]
    buffers = [name for name in shards if name.endswith("running_mean")]
    split = any(shards[name] != shards[name.replace("running_mean", "weight")] for name in buffers)
    assert split == (found.interpreter != "oldest")  # 4.40 fills its shards in another way


def test_an_absent_key_resets_no_loaded_buffer(found: Found) -> None:
    for seen in found["incomplete"]:
        assert_right(seen)
        assert seen["absent"] == [PARTIAL]


def test_meta_tensors_above_rank_0_and_every_dtype(found: Found) -> None:
    for seen in found["odd"]:
        assert seen == {"loaded": sorted(ODD), "errors": [], "wrong": [], "cache": [0.0, 0.0]}


def test_a_checkpoint_without_the_base_prefix(found: Found) -> None:
    for seen in found["headless"]:
        assert seen == {"loaded": sorted(f"body.{name}" for name in ODD), "errors": [], "count": 5}


def test_another_shape_is_an_error_on_every_rank(found: Found) -> None:
    for seen in found["mismatched"]:
        assert (seen["loaded"], seen["flags"], seen["count"]) == (["count"], [False] * 3, 7)
        assert [error.partition(":")[0] for error in seen["errors"]] == ["size mismatch for flags"]


def test_a_plain_load_is_untouched(found: Found) -> None:
    plain = found.ranks[0]["plain"]
    assert_right(plain)
    assert not plain["partitioned"]


def test_install_says_what_it_did(found: Found) -> None:
    for seen in found["install"]:
        assert len(set(seen["said"])) == 1
        assert all(seen["replaced"])
        assert len(seen["patched"]) == len(seen["replaced"])
        assert seen["idempotent"]
        assert seen["restored"]


def test_install_says_whether_it_changes_float32(found: Found) -> None:
    changes = found.interpreter not in ("newest", "older_deepspeed")
    for seen in found["install"]:
        assert seen["changes_float32"] == [changes, changes]
        assert ("in every precision" in seen["said"][0]) == changes


@pytest.mark.parametrize("model", ["named", "llama", "esm", "router", "frozen", "expert bias", "codebook", "batchnorm"])
def test_bf16_keeps_what_a_plain_load_keeps(found: Found, model: str) -> None:
    for seen in found[f"bf16 {model}"]:
        assert "error" not in seen, seen
        assert seen["tensors"] > 0
        assert (seen["loaded"], seen["initialized"]) == ({}, {})
        assert seen["trained"] == ["torch.bfloat16"]


@pytest.mark.parametrize("model", ["named", "codebook"])
def test_fp16_keeps_what_a_plain_load_keeps(found: Found, model: str) -> None:
    for seen in found[f"fp16 {model}"]:
        assert "error" not in seen, seen
        assert (seen["loaded"], seen["trained"]) == ({}, ["torch.float16"])


@pytest.mark.parametrize("model", ["router", "batchnorm"])
def test_asked_for_float32_it_still_loads_what_can_be_trained_in_bf16(found: Found, model: str) -> None:
    """With statistics in float32 and weights in bf16, the first forward pass would fail."""
    for seen in found[f"mixed {model}"]:
        assert "error" not in seen, seen
        assert (seen["loaded"], seen["initialized"]) == ({}, {})
        assert seen["trained"] == ["torch.bfloat16"]


@pytest.mark.parametrize(
    ("model", "stage", "buffer", "where"),
    [
        ("codebook", "loaded", "initialized", {"newest", "last_broken", "last_4x", "older_deepspeed"}),
        ("named", "loaded", "correction", {"older_deepspeed"}),
        ("router", "loaded", "e_score_correction_bias", {"older_deepspeed"}),
        ("llama", "initialized", "inv_freq", {"older_deepspeed", "oldest"}),
        ("esm", "initialized", "inv_freq", {"older_deepspeed", "oldest"}),
    ],
)
def test_the_stock_loader_rounds_where_history_says(
    found: Found, model: str, stage: str, buffer: str, where: set[str]
) -> None:
    for seen in found[f"stock bf16 {model}"]:
        rounded = {name.rpartition(".")[2] for name, how in seen[stage].items() if how == "bfloat16, not float32"}
        assert (buffer in rounded) == (found.interpreter in where)


@pytest.mark.parametrize(
    ("scenario", "wrong_ranks"),
    [
        ("stock bart", {"last_broken": [0, 1], "last_4x": [0, 1], "oldest": [0, 1]}),
        ("stock batchnorm", {"last_broken": [0, 1], "last_4x": [1], "oldest": [1]}),
        ("stock sharded", {"last_broken": [0, 1], "last_4x": [0, 1], "oldest": [1]}),
    ],
)
def test_the_stock_loader_is_wrong_where_history_says(
    found: Found, scenario: str, wrong_ranks: dict[str, list[int]]
) -> None:
    wrong = [rank for rank, seen in enumerate(found[scenario]) if seen["wrong"]]
    assert wrong == wrong_ranks.get(found.interpreter, [])
