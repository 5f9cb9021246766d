"""Code that no measurement reaches does not count as loading code, and the code next to it does."""

import pytest

from bot.loading_code.affected import find_affected
from tests.support.changes import CORE, LLAMA, change, judge


@pytest.mark.parametrize(
    ("path", "patch"),
    [
        pytest.param(
            CORE,
            """\
            @@ -10,4 +10,5 @@ def from_pretrained(
                     if hf_quantizer is not None:
                         hf_quantizer.validate_environment(
                             device_map=device_map,
            +                weights_only=weights_only,
                         )
            """,
            id="in a branch of quantizers",
        ),
        pytest.param(
            CORE,
            """\
            @@ -10,5 +10,4 @@ def post_init(self):
                     if self.base_model is self:
                         self._tp_plan = self.config.base_model_tp_plan
            -        if self.base_model is self:
                         self._pp_plan = self.config.base_model_pp_plan

                 def dequantize(self):
            """,
            id="a condition of parallel plans",
        ),
        pytest.param(
            LLAMA,
            """\
            @@ -10,2 +10,6 @@ class LlamaAttention(nn.Module):
            +class LlamaSdpaAttention(LlamaAttention):
            +    def forward(self, x):
            +        return x
            +
             class LlamaDecoderLayer(nn.Module):
            """,
            id="a variant of an attention",
        ),
    ],
)
def test_what_is_never_measured_does_not_count(path: str, patch: str) -> None:
    assert not judge(path, patch)


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param(
            """\
            @@ -10,4 +10,5 @@ def from_pretrained(
                     if hf_quantizer is not None:
                         hf_quantizer.validate_environment()
                     else:
            +            load(model)
                         mark(model)
            """,
            id="in the other branch",
        ),
        pytest.param(
            """\
            @@ -10,3 +10,3 @@ def from_pretrained(
            -        if load(model):
            +        if hf_quantizer is not None:
                         prepare(model)
                     mark(model)
            """,
            id="what was there before",
        ),
        pytest.param(
            """\
            @@ -10,3 +10,3 @@ def post_init(self):
            -        if self.base_model is self:
            +        if self.is_ready:
                         self._tp_plan = self.config.base_model_tp_plan
                     else:
                         load(self)
            """,
            id="a condition with another branch",
        ),
        pytest.param(
            """\
            @@ -10,2 +10,2 @@ def post_init(self):
            -        if self.base_model is self:
            +        if self.is_ready:
                         self._tp_plan = self.config.base_model_tp_plan
            """,
            id="a condition whose end is not shown",
        ),
        pytest.param(
            """\
            @@ -10,3 +10,3 @@ def post_init(self):
            -        if self.is_ready:
            +        if prepare(self):
                         self._tp_plan = self.config.base_model_tp_plan
                     mark(self)
            """,
            id="a condition that does something",
        ),
    ],
)
def test_what_is_beside_it_counts(patch: str) -> None:
    assert judge(CORE, patch).everything


RUST = "huggingface/safetensors"


@pytest.mark.parametrize(
    ("arm", "counts"),
    [
        ('name if name.starts_with("mps:") => {', False),
        ('"cuda" | "mps" => {', True),
        ('name if name.starts_with("cuda:") => {', True),
    ],
)
def test_in_rust_only_the_arms_of_devices_that_are_not_measured_are_left_out(arm: str, counts: bool) -> None:  # noqa: FBT001
    patch = f"@@ -1,2 +1,5 @@\n match name {{\n+    {arm}\n+        Device::new(name)\n+    }}\n }}"
    assert bool(find_affected(change("bindings/python/src/lib.rs", patch, repository=RUST))) is counts


def test_an_attention_on_another_base_counts() -> None:
    assert judge(LLAMA, "@@ -1,1 +1,1 @@\n+class LlamaSdpaAttention(OtherAttention):\n     scale = 1")


def test_a_bracket_alone_is_nothing_in_any_language() -> None:
    patch = "@@ -1,3 +1,3 @@\n-)\n+  },\n let x = 1;"
    assert not find_affected(change("safetensors/src/tensor.rs", patch, repository=RUST))
