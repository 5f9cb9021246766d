"""Which tensors a release keeps in float32: what its lists name, read as it reads them itself."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.measured

T5, BERT, GPT_OSS = "t5:T5ForConditionalGeneration", "bert:BertForMaskedLM", "gpt_oss:GptOssForCausalLM"
ERNIE = "ernie4_5_moe:Ernie4_5_MoeForCausalLM"
SCRIPT = Path(__file__).parents[1] / "support" / "measured" / "float32_lists.py"


def compare(interpreter: Path, *names: str) -> dict[str, list[str]]:
    """Returns the sites of what the lists of each model name, after seeing that a plain load keeps just that in float32."""
    done = subprocess.run([interpreter, SCRIPT, *names], capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert {name: named for name, (_, named, _) in found.items()} == {
        name: kept for name, (_, _, kept) in found.items()
    }
    return {name: sites for name, (sites, _, _) in found.items()}


def test_from_5_0_on_an_entry_is_any_stretch_of_a_name(newest: Path) -> None:
    assert compare(newest, ERNIE, T5, BERT) == {
        ERNIE: ["Ernie4_5_MoeStatics.e_score_correction_bias", "Ernie4_5_MoeTopKRouter.weight"],
        T5: ["Linear.weight"],
        BERT: [],
    }


def test_up_to_4_57_an_entry_is_whole_parts_of_a_name(last_4x: Path) -> None:
    ernie = ["Ernie4_5_MoeStatics.e_score_correction_bias", "Linear.weight"]
    kept = {ERNIE: ernie, GPT_OSS: ["GptOssRMSNorm.weight"], T5: ["Linear.weight"], BERT: []}
    assert compare(last_4x, *kept) == kept
