"""`check` on real models in real environments: a checkpoint's configuration, a class of one's own, code in a folder."""

import json
import subprocess
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from socket import create_server
from typing import Any

import pytest

from matrix.model import Source
from matrix.own_model.target import find_source
from matrix.process.run import ROOT
from tests.support.command_line import matrix
from tests.support.site_server import serving

pytestmark = pytest.mark.measured

DEEPSEEK: dict[str, Any] = {
    "model_type": "deepseek_v3",
    "architectures": ["DeepseekV3ForCausalLM"],
    "auto_map": {"AutoModelForCausalLM": "modeling_deepseek.DeepseekV3ForCausalLM"},  # it comes with code too
    "num_hidden_layers": 12,
    "first_k_dense_replace": 3,
    "n_routed_experts": 64,
    "hidden_size": 1024,
    "torch_dtype": "float32",
}
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}
LLAMA_IN_4_BIT: dict[str, Any] = {
    **LLAMA,
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
}
ROUTER = "DeepseekV3TopkRouter.e_score_correction_bias"
CODE = """
import os
from pathlib import Path
Path("$ran").touch()
import torch
from transformers import PretrainedConfig, PreTrainedModel

class MineConfig(PretrainedConfig):
    model_type = "mine"
    attribute_map = {"hidden_size": "width"}
    def __init__(self, hidden_size=7, **kwargs):
        self.width = hidden_size
        super().__init__(**kwargs)
        if kwargs.get("derived", self.width) != self.width:
            raise ValueError("no longer what it was derived from")

class Statistics(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.register_buffer("seen", torch.ones(width))

class Mine(PreTrainedModel):
    config_class = MineConfig
    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(config.width, config.width)
        self.statistics = Statistics(config.width)
        self.post_init()
    def _init_weights(self, module):
        pass

class WideConfig(MineConfig):
    model_type = "wide"
    def __init__(self, hidden_size=500, **kwargs):
        super().__init__(hidden_size, **kwargs)

class Wide(Mine):
    config_class = WideConfig
    def __init__(self, config):
        if config.width < 100:
            raise ValueError("too narrow")
        super().__init__(config)

class HugeConfig(MineConfig):
    model_type = "huge"
    def __init__(self, hidden_size=10_000, **kwargs):
        super().__init__(hidden_size, **kwargs)

class Huge(Mine):
    config_class = HugeConfig
    def __init__(self, config):
        if config.width < 10_000:
            raise ValueError("too narrow")
        super().__init__(config)

class Ending(Mine):
    config_class = WideConfig
    def __init__(self, config):
        if config.width > 100:
            os._exit(0)
        super().__init__(config)

class Untyped(PreTrainedModel):
    config_class = None

class Plain(torch.nn.Module):
    pass
"""
ASKING = """
from transformers import AutoConfig
try:
    AutoConfig.from_pretrained("org/name")
except OSError:
    pass
"""
REFUSED_NAMES = {
    "lama": "no model type 'lama': did you mean llama",
    "llama:LamaForCausalLM": "no class 'LamaForCausalLM' of llama: did you mean LlamaForCausalLM",
    "mine:Plain": "mine:Plain is not a PreTrainedModel",
    "mine:Untyped": "mine:Untyped has no config_class",
    "mine:Huge": "it cannot be made tiny: ValueError: too narrow; --full keeps its size",
    "mine:Mien": "module 'mine' has no 'Mien': did you mean Mine?",
    "nowhere:Mine": "no module 'nowhere'",
    "lacking:Mine": "lacking needs the package a_package_that_nobody_has",
    "raising:Mine": "raising cannot be imported: ValueError: on import",
    "ending:Mine": "building the model failed: its process ended early",
}
REFUSED_CONFIGS: dict[str, dict[str, Any]] = {
    "no model type 'lama': did you mean llama": {"model_type": "lama"},
    "the model_type of BertModel is 'bert', not 'llama'": {"model_type": "llama", "architectures": ["BertModel"]},
    "it cannot be built at any size: KeyError: 'nonsense'": {**DEEPSEEK, "hidden_act": "nonsense"},
    "DeepseekV3Config rejects the configuration": {**DEEPSEEK, "hidden_size": "wide"},
}
"""By what is said of them."""
SEARCHED: dict[str, dict[str, Any]] = {
    "stages": {"model_type": "cvt", "architectures": ["CvtForImageClassification"]},
    "chosen layers": {
        "model_type": "beit",
        "architectures": ["BeitForSemanticSegmentation"],
        "num_hidden_layers": 12,
        "out_indices": [3, 5, 7, 11],
    },
    "a value per layer": {"model_type": "mistral_large4_text", "num_hidden_layers": 8, "kv_source_layers": [*range(8)]},
    "a class that is not exported": {"model_type": "evolla", "architectures": ["EvollaSaProtProteinEncoder"]},
    "sizes without a rule": {"model_type": "emu3_vqgan", "architectures": ["Emu3VQVAE"]},
}
"""What the rules alone do not make tiny, by what they do not know."""


def checked(
    interpreter: Path, target: str | Path, *more: str, checks: str = "load,save", **variables: str
) -> tuple[int, dict[str, Any]]:
    """The exit code and the answer."""
    arguments = ("check", target, "--python", interpreter, "--check", checks, "--device", "cpu", "--json", *more)
    done = matrix(*arguments, **variables)
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(DEEPSEEK))
    (tmp_path / "pytorch_model.bin").write_bytes(b"no pickle, which nobody notices")
    return tmp_path


def test_a_new_head_is_never_written_up_to_4_57(last_4x: Path, tmp_path: Path) -> None:
    """transformers #28244: a classifier on a base checkpoint."""
    config = {**LLAMA, "architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, answer = checked(last_4x, tmp_path, "--precision", "bf16", checks="load,save,head")
    assert (code, {one["check"]: one["verdict"] for one in answer["checks"]}) == (
        1,
        {"load": "pass", "save": "pass", "head": "corrupt"},
    )
    found = [one for one in answer["wrong"] if one["kind"] == "nonfinite" and not one["reported"]]
    assert "a base checkpoint: score.weight" in {name for one in found for name in one["tensors"]}


def test_what_a_check_has_no_use_for_does_not_count(newest: Path) -> None:
    code, answer = checked(newest, "llama", "--precision", "float32", checks="load,save,layouts,head")
    assert (code, answer["answer"]) == (0, "safe")
    (layouts,) = [one for one in answer["checks"] if one["check"] == "layouts"]
    assert (layouts["verdict"], layouts["error"]["type"]) == ("unsupported", "NotApplicableError")


def test_a_checkpoint_with_the_names_of_the_model_loses_a_module(newest: Path) -> None:
    """Nobody sees it in what this release saves itself: its save undoes the renaming of its load."""
    code, answer = checked(newest, "laguna", "--precision", "float32", checks="load,layouts")
    assert (code, {one["check"]: one["verdict"] for one in answer["checks"]}) == (
        1,
        {"load": "pass", "layouts": "reported"},
    )
    tensors = {name for one in answer["wrong"] for name in one["tensors"]}
    assert len(tensors) == 3
    assert all(name.startswith("with the names of the model: ") for name in tensors)


REWARD = """
import torch
from transformers import LlamaModel, LlamaPreTrainedModel

class Reward(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.value = torch.nn.Linear(config.hidden_size, 1)
        self.register_buffer("mean", torch.zeros(3))
        self.post_init()
"""


def test_a_class_of_ones_own_takes_the_configuration_of_a_checkpoint(newest: Path, tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text(REWARD)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    where = ("--class", "rewards:Reward", "--precision", "bf16")
    code, answer = checked(newest, tmp_path, *where, checks="load,save", PYTHONPATH=str(tmp_path))
    assert (code, answer["answer"], answer["measured"]["sites"]) == (0, "safe", ["Reward.mean"])
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "model_type": "mistral"}))
    done = matrix("check", tmp_path, *where, "--python", newest, "--device", "cpu", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "takes configurations with the model_type 'llama', and this one has 'mistral'" in done.stderr


def test_a_checkpoint_is_safe_on_the_newest(newest: Path, checkpoint: Path) -> None:
    code, answer = checked(newest, checkpoint)
    assert (code, answer["answer"], answer["wrong"]) == (0, "safe", [])
    measured = answer["measured"]
    assert (measured["sites"], measured["lost"]) == ([ROUTER], [])
    assert measured["parameters"] < 100_000
    assert measured["full_parameters"] > 1_000_000_000


def test_a_checkpoint_is_unsafe_before_the_fix_and_the_buffer_is_named(last_broken: Path, checkpoint: Path) -> None:
    code, answer = checked(last_broken, checkpoint)
    assert (code, answer["answer"]) == (1, "unsafe")
    assert [(w["check"], w["site"], w["kind"], w["ranks"]) for w in answer["wrong"]] == [
        ("load", ROUTER, "init_value", [0, 1])
    ]
    assert (answer["fixed_loader_helps"], answer["transformers_since"]) == (True, "5.6.0")


def test_a_quantized_model_is_measured_in_its_own_dtype_and_nothing_is_known_of_it(
    newest: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_IN_4_BIT))
    code, answer = checked(newest, tmp_path)
    assert (code, answer["answer"], answer["answers"]) == (3, "unknown", {"bf16": "unknown"})
    assert (answer["left_out"], answer["quantized"]) == (["quantization (bitsandbytes)"], True)
    assert answer["precisions_because"] == "its config.json has torch_dtype bfloat16"


def test_what_a_plain_save_writes_is_told_of_a_model_that_is_safe(newest: Path) -> None:
    code, answer = checked(newest, "llama", "--precision", "float32")
    assert (code, answer["answer"]) == (0, "safe")
    (note,) = [note for check in answer["checks"] for note in check["notes"] if check["check"] == "save"]
    assert note["about"] == "model.save_pretrained(folder)"
    assert "tensors empty, without an error" in note["text"]


def test_a_model_of_a_hub_is_measured_from_its_configuration_alone(newest: Path) -> None:
    config = {**DEEPSEEK, "num_hidden_layers": 2, "first_k_dense_replace": 1}
    asked: list[str | None] = []
    with serving({"/deepseek-ai/DeepSeek-V3/resolve/main/config.json": config}, asked) as hub:
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub, "HF_TOKEN": ""}
        code, answer = checked(newest, "deepseek-ai/DeepSeek-V3", **online)
    assert (code, answer["answer"], answer["own_code_measured"], len(asked)) == (0, "safe", False, 1)
    assert answer["architectures"] == ["deepseek_v3:DeepseekV3ForCausalLM@DeepSeek-V3"]
    assert answer["measured"]["sites"] == [ROUTER]


def test_a_class_of_ones_own_is_measured_in_its_full_size_and_no_hub_is_asked(last_4x: Path, tmp_path: Path) -> None:
    (tmp_path / "my_models.py").write_text(CODE.replace("$ran", str(tmp_path / "ran")) + ASKING)
    with closing(create_server(("127.0.0.1", 0))) as hub:
        hub.setblocking(False)  # noqa: FBT003
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": f"http://127.0.0.1:{hub.getsockname()[1]}"}
        code, answer = checked(last_4x, "my_models:Mine", "--full", PYTHONPATH=str(tmp_path), **online)
        with pytest.raises(BlockingIOError):
            hub.accept()
    assert (code, answer["architectures"]) == (1, ["mine:Mine"])
    # Once for each precision.
    assert {(w["site"], *w["tensors"]) for w in answer["wrong"]} == {("Statistics.seen", "statistics.seen")}
    assert answer["fixed_loader_helps"]


RESOLVE = """
import json, sys
from matrix.job import Job
from matrix.model import Device, Source
from matrix.probe.ranks.resolve_target import resolve
from matrix.probe.tiny.user_model import TargetError

for values in json.load(sys.stdin):
    try:
        told = resolve(Job((), (), Device.CPU, target=Source.from_dict(values)))[1]
    except TargetError as error:
        told = {"refused": str(error)}
    print(json.dumps(told), flush=True)
"""


def folder_with_code(folder: Path, reference: str = "modeling_mine.Mine", **values: int) -> Path:
    """A checkpoint's folder whose code, when it runs, leaves a file `ran` there, and whose model is that of `values`."""
    folder.mkdir()
    (folder / "modeling_mine.py").write_text(CODE.replace("$ran", str(folder / "ran")))
    config = {"model_type": "mine", "auto_map": {"AutoModel": reference}, **values}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="module")
def told(newest: Path, place: Path) -> dict[str, dict[str, Any]]:
    """What the probe makes of every target below, by a name; one process, since importing takes longest."""
    (place / "mine.py").write_text(CODE.replace("$ran", str(place / "ran")))
    (place / "lacking.py").write_text("import a_package_that_nobody_has")
    (place / "raising.py").write_text("raise ValueError('on import')")
    (place / "ending.py").write_text("import os\nos._exit(0)")
    untrusted, trusted = folder_with_code(place / "untrusted"), folder_with_code(place / "trusted", width=500)
    derived = folder_with_code(place / "derived", width=500, derived=500)
    elsewhere = folder_with_code(place / "elsewhere", "org/name--modeling_mine.Mine")
    sources = {name: Source(name, paths=(str(place),)) for name in (*REFUSED_NAMES, "mine:Ending", "mine:Wide")}
    sources |= {words: Source(config=config) for words, config in REFUSED_CONFIGS.items()}
    sources |= {name: Source(config=config) for name, config in SEARCHED.items()}
    sources |= {"untrusted": find_source(str(untrusted)), "trusted": find_source(str(trusted), trusted=True)}
    sources |= {
        "elsewhere": find_source(str(elsewhere), trusted=True),
        "derived": find_source(str(derived), trusted=True),
    }
    done = subprocess.run(
        [newest, "-c", RESOLVE],
        input=json.dumps([asdict(one) for one in sources.values()]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(place / "cache")},
    )
    return dict(zip(sources, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize(("name", "words"), REFUSED_NAMES.items())
def test_a_name_that_is_no_model_is_refused(told: dict[str, dict[str, Any]], name: str, words: str) -> None:
    assert words in told[name]["refused"]


@pytest.mark.parametrize("words", REFUSED_CONFIGS)
def test_a_configuration_of_no_model_is_refused(told: dict[str, dict[str, Any]], words: str) -> None:
    assert words in told[words]["refused"]


def test_a_model_that_wants_more_than_the_rules_leave_gets_it(told: dict[str, dict[str, Any]]) -> None:
    assert told["mine:Wide"]["parameters"] == 128 * 128 + 128


def test_a_full_size_model_that_cannot_be_looked_at_is_not_taken_for_seen(told: dict[str, dict[str, Any]]) -> None:
    assert told["mine:Ending"]["sites"] == ["Statistics.seen"]
    assert "its process ended early" in told["mine:Ending"]["unknown"]


def test_code_in_a_folder_does_not_run_without_the_flag(told: dict[str, dict[str, Any]], place: Path) -> None:
    assert "its folder has its own code: read it, then use --trust-remote-code" in told["untrusted"]["refused"]
    assert not (place / "untrusted" / "ran").exists()


def test_code_in_a_folder_runs_with_the_flag(told: dict[str, dict[str, Any]], place: Path) -> None:
    mine = told["trusted"]
    assert (mine["id"], mine["sites"], mine["lost"]) == ("mine:Mine@trusted", ["Statistics.seen"], [])
    assert (place / "trusted" / "ran").exists()


@pytest.mark.parametrize("name", ["trusted", "derived"])
def test_a_size_by_another_name_shrinks_and_what_followed_from_it_goes(
    told: dict[str, dict[str, Any]], name: str
) -> None:
    sizes = told[name]["parameters"], told[name]["full_parameters"]
    assert sizes == (32 * 32 + 32, 500 * 500 + 500)


@pytest.mark.parametrize("name", SEARCHED)
def test_what_the_rules_do_not_make_tiny_the_search_does(told: dict[str, dict[str, Any]], name: str) -> None:
    assert told[name].get("refused") is None
    assert (told[name]["parameters"] < 8_000_000, told[name]["lost"]) == (True, [])


def test_code_in_another_repository_is_not_fetched(told: dict[str, dict[str, Any]]) -> None:
    assert "in another repository, org/name: download it" in told["elsewhere"]["refused"]
