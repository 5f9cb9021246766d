"""Sizes that a configuration keeps in plain tables become small, as those of the configurations inside it do."""

import json
import subprocess
from pathlib import Path

import pytest

from matrix.process.run import ROOT

pytestmark = pytest.mark.measured

SCRIPT = """
import json
from transformers import PretrainedConfig
from matrix.probe.tiny.plain_tables import shrink_tables
class Inner(PretrainedConfig):
    def __init__(self, sizes=None, **kwargs):
        super().__init__(**kwargs)
        self.sizes = sizes
class Outer(PretrainedConfig):
    def __init__(self, text_config=None, towers=(), inner=None, rope=None, **kwargs):
        super().__init__(**kwargs)
        self.text_config, self.towers, self.inner, self.rope = text_config, towers, inner, rope
text = {"hidden_size": 4096, "num_hidden_layers": 4, "layer_types": ["a", "a", "b", "a"], "name": "text",
    "num_attention_heads": 32, "num_key_value_heads": 32, "deep": {"vocab_size": 32000, "eps": 1e-5, "on": True}}
config = Outer(text, [{"hidden_size": 1024}, {"kind": "x"}], Inner({"d_model": 4096}), {"factor": 8.0, 1: 2},
    by_keyword={"intermediate_size": 14336})
print(json.dumps(shrink_tables(config)))
"""


def test_every_size_in_a_plain_table_is_small_and_nothing_else_is_changed(newest: Path) -> None:
    done = subprocess.run([newest, "-c", SCRIPT], capture_output=True, check=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout)
    text = {"hidden_size": 32, "num_hidden_layers": 2, "layer_types": ["a", "b"], "name": "text"}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    assert found.pop("text_config") == {**text, **heads, "deep": {"vocab_size": 67, "eps": 1e-5, "on": True}}
    assert found.pop("towers") == [{"hidden_size": 32}, {"kind": "x"}]
    assert found.pop("inner") == {"sizes": {"d_model": 32}}
    assert found == {"by_keyword": {"intermediate_size": 24}}
