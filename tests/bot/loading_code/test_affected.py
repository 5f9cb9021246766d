import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.github.types import Change, ChangedFile, FileStatus
from bot.loading_code.affected import Affected, find_affected
from matrix.errors import UnknownNameError
from matrix.model import Check
from tests.support.changes import CORE, GRAPH, LLAMA, change, judge


def test_a_line_of_the_loader_asks_for_everything_and_says_where() -> None:
    found = judge(
        CORE,
        """\
        @@ -10,3 +10,4 @@ def _load_pretrained_model(
                 error_msgs = []
                 if is_deepspeed_zero3_enabled():
        -            load(model)
        +            load(model, state_dict)
        +            mark(model)
        """,
    )
    assert found.everything
    assert found.checks == (Check("load"), Check("save"))
    assert [(place.symbol, place.lines) for place in found.touched] == [("_load_pretrained_model", (12, 13))]


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param(
            """\
            @@ -5,3 +5,3 @@ def from_pretrained(
                         dtype (`str`, *optional*):
            -                The type to use.
            +                The type that is used.
                         Example of a sentence that goes on.
            """,
            id="inside a docstring",
        ),
        pytest.param(
            """\
            @@ -5,3 +5,3 @@ def tie_weights(self):
                 def tie_weights(self):
            -        \"\"\"Ties weights.\"\"\"
            +        \"\"\"Ties the weights.\"\"\"
                     # a remark
            +        # and another
                     return tie(self)  # done
            """,
            id="docstring and comments",
        ),
        pytest.param(
            """\
            @@ -5,2 +5,2 @@ def tie_weights(self):
            -        tie(self)  # now
            +        tie(self)  # at last
            """,
            id="a comment behind code",
        ),
        pytest.param(
            """\
            @@ -5,3 +5,3 @@ def from_pretrained(
            -        dtype: Optional[str] = None,
            +        dtype: str | None = None,
            -    ):
            +    ) -> "PreTrainedModel":
            """,
            id="annotations",
        ),
        pytest.param(
            """\
            @@ -5,3 +5,4 @@ def from_pretrained(
                     if weights is None:
                         raise ValueError(
            -                "There are no weigths in this folder."
            +                "There are no weights in this folder."
                         )
            +        logger.info("Weights were found")
            """,
            id="messages",
        ),
        pytest.param(
            """\
            @@ -5,2 +5,3 @@ def _sdpa_can_dispatch(self, hard_check_only):
                     if not hard_check_only:
            +            check(self)
            """,
            id="another function of the file",
        ),
        pytest.param(
            """\
            @@ -5,3 +5,6 @@ def tie_weights(self):
                     return tie(self)

            +    def get_decoder(self):
            +        return self.decoder
            +
                 def save_pretrained(self, folder):
            """,
            id="another function below one of the loader",
        ),
        pytest.param("@@ -1,2 +1,3 @@\n import os\n+import re\n+from .utils import (\n+    a,\n+)\n", id="imports"),
    ],
)
def test_what_loads_nothing_is_silent_even_in_the_loaders_file(patch: str) -> None:
    assert not judge(CORE, patch)


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param("@@ -5,1 +5,1 @@\n-        load(a)\n+        load(b)", id="no header"),
        pytest.param("@@ -5,1 +5,1 @@ def inner(x):\n-        load(a)\n+        load(b)", id="maybe over already"),
        pytest.param("@@ -5,1 +5,1 @@ def brand_new(self):\n-        load(a)\n+        load(b)", id="unknown function"),
        pytest.param('@@ -5,1 +5,1 @@\n """\n-load(a)\n+load(b)', id="a quote that opens or closes"),
        pytest.param(
            f"@@ -5,1 +5,1 @@ def get_decoder(self):\n+        f({'1, ' * 400})", id="a line too long to read"
        ),
        pytest.param(
            '@@ -5,4 +5,4 @@ def tie_weights(self):\n         Ties the weights."""\n         tie(\n-            a,\n+            b,',
            id="behind the end of a docstring",
        ),
        pytest.param(
            '@@ -5,4 +5,4 @@ def tie_weights(self):\n         Note:\n         """\n-        x = load(a)\n+        x = load(b)',
            id="behind a quote that seems to open",
        ),
        pytest.param("Binary files differ", id="no patch at all"),
        pytest.param("", id="an empty patch"),
    ],
)
def test_what_cannot_be_told_counts(patch: str) -> None:
    assert judge(CORE, patch).everything


def test_a_header_that_may_name_a_nested_function_counts_where_only_listed_functions_do() -> None:
    hunk = "@@ -5,1 +5,2 @@ def {}:\n             x()\n+            y()"
    assert judge_deepspeed(hunk.format("helper(x)"))
    assert not judge_deepspeed(hunk.format("backward(self, loss)"))


def judge_deepspeed(patch: str) -> Affected:
    return find_affected(change("deepspeed/runtime/engine.py", patch, repository="deepspeedai/DeepSpeed"))


def test_the_words_say_when_the_function_is_not_known() -> None:
    assert "does not show the enclosing function" in judge(CORE, "@@ -5,1 +5,1 @@\n+        load(b)").touched[0].why


@pytest.mark.parametrize(
    "line",
    [
        'self.register_buffer("bias", torch.zeros(2), persistent=False)',
        "self.bias = nn.Buffer(torch.zeros(2))",
        "self.norm = LlamaRMSNorm(config.hidden_size)",
        "self.encoder = encoder",
        "self.lm_head.weight = self.embed.weight",
        "self.post_init()",
        "config.hidden_size,",
    ],
)
def test_a_tensor_or_module_in_a_models_constructor_is_about_the_model_and_its_dependents(line: str) -> None:
    found = judge(LLAMA, f"@@ -5,1 +5,2 @@ def __init__(self, config):\n         x()\n+        {line}")
    assert (found.everything, found.models) == (False, ("llama", "mistral", "mixtral"))


@pytest.mark.parametrize(
    "line",
    ["self.num_heads = config.num_heads", "self.scaling = self.head_dim**-0.5", "self.gradient_checkpointing = False"],
)
def test_a_plain_value_in_a_models_constructor_is_silent(line: str) -> None:
    assert not judge(LLAMA, f"@@ -5,1 +5,2 @@ def __init__(self, config):\n         x()\n+        {line}")


@pytest.mark.parametrize(
    ("patch", "counts"),
    [
        ("@@ -5,1 +5,2 @@ def forward(\n         x = y\n+        x = nn.Parameter(x)", False),
        ("@@ -5,1 +5,2 @@ def _init_weights(self, module):\n         x()\n+        module.bias.zero_()", True),
        ('@@ -5,1 +5,1 @@ class A(B):\n-    base_model_prefix = "a"\n+    base_model_prefix = "model"', True),
        ('@@ -5,3 +5,3 @@ class A(B):\n     _tied_weights_keys = [\n-        "a"\n+        "b"\n     ]', True),
        ("@@ -5,1 +5,1 @@ class A(B):\n-    _supports_sdpa = True\n+    _supports_sdpa = False", False),
        ("@@ -5,1 +5,2 @@ def forward(self, x):\n         return x\n+    base_model_prefix = x", True),
        ("@@ -5,0 +5,2 @@\n+class A(LlamaAttention):\n+    pass", True),
        ("@@ -5,0 +5,2 @@\n+class AOutput(ModelOutput):\n+    loss: float = 0", False),
    ],
)
def test_a_models_file_counts_by_symbol(patch: str, counts: bool) -> None:  # noqa: FBT001
    assert bool(judge(LLAMA, patch)) is counts


def test_a_models_configuration_counts_where_it_ties_weights() -> None:
    path = "src/transformers/models/llama/configuration_llama.py"
    assert judge(path, "@@ -5,0 +5,1 @@ class A(B):\n+    tie_word_embeddings: bool = True").models[0] == "llama"
    assert not judge(path, "@@ -5,0 +5,1 @@ class A(B):\n+    rope_theta: float = 1.0")


@pytest.mark.parametrize(
    ("patch", "models"),
    [
        ('+        "gemma": [\n+            WeightRenaming("a", "b"),\n+        ],', ("gemma",)),
        ('+    "gemma": "llama",\n+    "phi": "llama",', ("gemma", "phi")),
        ('         "llama": [\n+            WeightRenaming("a", "b"),\n         ],', ()),
        ('-    "gemma": "llama",\n+    "gemma": "phi",', ()),
    ],
)
def test_a_new_conversion_is_about_its_model_an_old_one_about_all_who_refer_to_it(
    patch: str, models: tuple[str, ...]
) -> None:
    found = judge("src/transformers/conversion_mapping.py", f"@@ -5,1 +5,2 @@ def _build_mapping():\n{patch}")
    assert (found.everything, found.models) == (not models, models)


def test_without_the_graph_a_models_change_asks_for_everything() -> None:
    found = judge(LLAMA, "@@ -5,0 +5,1 @@ def _init_weights(self, module):\n+        module.x.zero_()", None)
    assert (found.everything, found.models) == (True, ("llama",))


def test_the_trainer_is_about_saving() -> None:
    found = judge("src/transformers/trainer.py", "@@ -5,0 +5,1 @@ def _save(self, output_dir):\n+        save(model)")
    assert found.checks == (Check("save"),)


@pytest.mark.parametrize("status", [FileStatus.RENAMED, FileStatus.COPIED])
def test_the_previous_path_counts(status: FileStatus) -> None:
    assert find_affected(change("src/transformers/elsewhere.py", None, status, previous=CORE)).everything


def test_a_removed_loader_counts_and_says_so() -> None:
    found = find_affected(change(CORE, "@@ -1,1 +0,0 @@\n-# gone", FileStatus.REMOVED))
    assert found.touched[0].why.startswith("the file was removed")


def test_a_patch_that_github_leaves_out_counts() -> None:
    assert find_affected(change(CORE, None)).touched[0].lines is None
    assert find_affected(change(LLAMA, None), GRAPH).models == ("llama", "mistral", "mixtral")


def test_files_that_github_does_not_list_count() -> None:
    docs = ChangedFile("docs/index.md", FileStatus.MODIFIED)
    found = find_affected(Change("huggingface/transformers", (docs,), total=3001))
    assert found.everything
    assert "1 of 3001" in found.touched[0].why


@pytest.mark.parametrize(
    "path",
    [
        "docs/source/en/index.md",
        "tests/models/llama/test_modeling_llama.py",
        "src/transformers/models/llama/tokenization_llama.py",
        "src/transformers/models/clip/processing_clip.py",
        "src/transformers/models/clip/image_processing_clip.py",
        "src/transformers/models/auto/modeling_auto.py",
        "src/transformers/models/bert/modeling_tf_bert.py",
        "src/transformers/generation/utils.py",
        "src/transformers/pipelines/base.py",
        ".github/workflows/ci.yml",
    ],
)
def test_neutral_paths_are_silent_whatever_changes_there(path: str) -> None:
    assert not find_affected(change(path, None), GRAPH)
    assert not judge(path, "@@ -1,1 +1,1 @@\n+self.x = nn.Buffer(y)")


def test_an_unchanged_file_is_silent() -> None:
    assert not find_affected(change(CORE, None, FileStatus.UNCHANGED))


@pytest.mark.parametrize("owner", ["microsoft", "deepspeedai", "somebody"])
def test_a_repository_is_known_by_its_name(owner: str) -> None:
    path = "deepspeed/runtime/zero/partition_parameters.py"
    assert find_affected(change(path, None, repository=f"{owner}/deepspeed")).everything


def test_the_project_knows_its_own_loading_code() -> None:
    ours = "somebody/zero3-matrix"
    assert find_affected(change("matrix/probe/checks/loaders.py", repository=ours)).everything
    assert find_affected(change("matrix/environments.toml", repository=ours)).everything
    assert not find_affected(change("bot/report/build.py", repository=ours))


def test_an_unknown_repository_is_an_error_not_a_no() -> None:
    with pytest.raises(UnknownNameError, match="unknown repository 'a/pytorch'"):
        find_affected(change("x.py", repository="a/pytorch"))


def test_pins_of_the_other_packages_count() -> None:
    assert judge("setup.py", '@@ -1,1 +1,1 @@\n-    "deepspeed>=0.9.3",\n+    "deepspeed>=0.10",').everything
    assert not judge("setup.py", '@@ -1,1 +1,1 @@\n-    "comet-ml",\n+    "comet-ml>=1",')


@settings(max_examples=60, derandomize=True)
@given(st.text(alphabet="@+-# \n\"'(),:=abcdefgh_0123\t\r\\", max_size=200))
def test_no_patch_breaks_the_judge(patch: str) -> None:
    for path in (CORE, LLAMA, "setup.py"):
        judge(path, f"@@ -1,1 +1,1 @@ class A:\n{patch}")


@pytest.mark.parametrize("value", ["a" + ".b" * 230, "(" * 230 + "a()", "a" + "[0]" * 150, "not " * 110 + "a()"])
def test_a_line_made_to_break_the_parser_counts(value: str) -> None:
    assert judge(LLAMA, f"@@ -1,1 +1,1 @@ def __init__(self):\n+        self.x = {value}")
