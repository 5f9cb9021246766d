"""Runs in a measured interpreter: breaks what each trial looks at, one way after the other, and prints what the probe says.

`python tests/support/measured/trial_faults.py` prints {way: {check: record}} as JSON. Only transformers under ZeRO-3 is broken.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from matrix.probe.startup import VARIABLES, claim_stdout

os.environ.update(VARIABLES)

import torch
import transformers
from transformers.integrations import is_deepspeed_zero3_enabled as under_zero3

from matrix.checks import CHECKS
from matrix.job import Job, Task
from matrix.model import Architecture, Check, Device, Loader, Precision
from matrix.probe.discovery.saved import describe_tensors
from matrix.probe.ranks import zygote
from matrix.probe.ranks.scheduler import run_job
from matrix.probe.tiny import recipes
from matrix.probe.trials import checkpoints as trial_checkpoints
from matrix.saved_names import fold, read_older

LLAMA = Architecture("llama:LlamaForCausalLM", "control")
UNFED = Architecture("qwen2_5_omni_dit:Qwen2_5OmniToken2WavDiTModel", "rope")
NORMS = Architecture("levit:LevitForImageClassification", "batchnorm")
FORWARD = Check("forward")
Base = transformers.PreTrainedModel

state = {"way": ""}


def break_call(name: str, faults: dict[str, Callable[..., Any]]) -> None:
    """Lets the fault of the way chosen do what the class method of that name does."""
    stock = Base.__dict__[name]
    plain = stock.__func__ if isinstance(stock, classmethod) else stock

    def broken(self: Any, *args: Any, **options: Any) -> Any:
        act = faults.get(state["way"]) if under_zero3() else None
        return act(plain, self, *args, **options) if act else plain(self, *args, **options)

    setattr(Base, name, classmethod(broken) if isinstance(stock, classmethod) else broken)


def lose_prefix(stock: Any, cls: Any, *args: Any, **options: Any) -> Any:
    if cls.__name__ != "LlamaForCausalLM":
        return stock(cls, *args, **options)  # others find their parts by it
    cls.base_model_prefix = "elsewhere"
    try:
        return stock(cls, *args, **options)
    finally:
        del cls.base_model_prefix


def lose_files(stock: Any, cls: Any, folder: Path, **options: Any) -> Any:
    index = next(folder.glob("*.index.json"), None)
    if index is None:
        return stock(cls, folder, **options)
    text = index.read_text()
    values = json.loads(text)
    first = min(values["weight_map"].values())
    values["weight_map"] = {name: file for name, file in values["weight_map"].items() if file == first}
    torch.distributed.barrier()  # nobody writes while another one reads
    index.write_text(json.dumps(values))
    torch.distributed.barrier()
    try:
        return stock(cls, folder, **options)
    finally:
        torch.distributed.barrier()
        index.write_text(text)
        torch.distributed.barrier()


def spoil(act: Callable[[torch.Tensor], object], part: str) -> Callable[..., Any]:
    """Does something to the shards of the parameters whose names end like that."""

    def spoiled(stock: Any, model: Any, *args: Any, **options: Any) -> Any:
        result = stock(model, *args, **options)
        made = model if isinstance(model, torch.nn.Module) else result[0] if isinstance(result, tuple) else result
        for name, parameter in made.named_parameters():
            if name.endswith(part):
                act(getattr(parameter, "ds_tensor", parameter).data)
        return result

    return spoiled


def untie(stock: Any, model: Any, *args: Any, **options: Any) -> Any:
    result = stock(model, *args, **options)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    return result


LOADING = {
    "lost_prefix": lose_prefix,
    "files_left_out": lose_files,
    "head_unwritten": spoil(lambda values: values.fill_(float("nan")), "score.weight"),
    "head_too_large": spoil(lambda values: values.mul_(100), "score.weight"),
}
BUILDING = {"zeros": spoil(torch.Tensor.zero_, "layers.0.mlp.up_proj.weight")}
RESIZING = {"rows_lost": spoil(lambda values: values[:40].fill_(3.0), "embed_tokens.weight"), "untied": untie}
WAYS = ("", *LOADING, *BUILDING, *RESIZING, "summed", "computed", "nonfinite")


def break_training() -> None:
    """Lets `summed` add the gradients of the ranks up instead of averaging them.

    `computed` and `nonfinite` compute something else. `statistics` loses those of a batch norm on one rank, in the step.
    """
    from deepspeed.runtime.engine import DeepSpeedEngine

    mlp = transformers.models.llama.modeling_llama.LlamaMLP
    backward, step, forward = DeepSpeedEngine.backward, DeepSpeedEngine.step, mlp.forward

    def summed(self: Any, loss: torch.Tensor, *args: Any, **options: Any) -> Any:
        factor = torch.distributed.get_world_size() if state["way"] == "summed" else 1
        return backward(self, factor * loss, *args, **options)

    def lost(self: Any, *args: Any, **options: Any) -> Any:
        if state["way"] == "statistics" and torch.distributed.get_rank() == 1:
            next(one for one in self.module.modules() if isinstance(one, torch.nn.BatchNorm2d)).running_mean.zero_()
        return step(self, *args, **options)

    def computed(self: Any, value: torch.Tensor) -> Any:
        factor = {"computed": 1.1, "nonfinite": float("nan")}.get(state["way"], 1.0)
        return forward(self, value) * (factor if under_zero3() else 1.0)

    DeepSpeedEngine.backward, DeepSpeedEngine.step, mlp.forward = summed, lost, computed


def measure(job: Job, way: str) -> dict[str, Any]:
    cases: dict[str, Any] = {}

    def tell(message: dict[str, Any]) -> None:
        if "case" in message:
            cases[message["case"]["check"]] = message["case"]

    state["way"] = way
    with tempfile.TemporaryDirectory() as root:
        run_job(job, Path(root), tell)
    return cases


def write_older_names(folder: Path) -> Path:
    """Writes what older releases might have saved: names that no release knows, and names without the prefix, which are loaded.

    The latter are of other sizes.
    """
    saved = describe_tensors(recipes.build(LLAMA).state_dict())
    unknown = {name.replace("norm.weight", "scale"): spec for name, spec in saved.items()}
    narrow: dict[str, Any] = {"intermediate_size": 20}
    saved = describe_tensors(recipes.build(replace(LLAMA, config=narrow)).state_dict())
    known = {name.removeprefix("model."): spec for name, spec in saved.items()}
    entries = [
        {"first": release, "last": release, "recipe": recipe, "names": fold(names)}
        for release, recipe, names in (("4.1.0", {}, unknown), ("4.2.0", narrow, known))
    ]
    file = folder / "saved_names.json"
    file.write_text(json.dumps({"architectures": {LLAMA.id: entries}}))
    return file


def main() -> None:
    out = claim_stdout()
    with tempfile.TemporaryDirectory() as folder:
        vars(trial_checkpoints)["read_older"] = partial(read_older, path=write_older_names(Path(folder)))
        told = measure_all()
        (Path(folder) / "saved_names.json").write_text("{")
        told["unreadable"] = measure(make_job(Check("layouts")), "")
    out.write(json.dumps(told))
    out.close()


def make_job(*checks: Check) -> Job:
    tasks = tuple(Task(LLAMA.id, Loader.STOCK, (check,)) for check in checks)
    return Job((LLAMA,), tasks, Device.CPU, timeout=60.0, confirmations=0)


def measure_all() -> dict[str, Any]:
    job = make_job(*(Check(name) for name, check in CHECKS.items() if check.trial))
    zygote.warm_up(job)
    recipes.import_classes(job.architectures)
    break_call("from_pretrained", LOADING)
    break_call("_from_config", BUILDING)
    break_call("resize_token_embeddings", RESIZING)
    break_training()
    told = {way: measure(job, way) for way in WAYS}
    for name, one, way in (("unfed", UNFED, ""), ("norms", NORMS, ""), ("statistics", NORMS, "statistics")):
        task = Task(one.id, Loader.STOCK, (FORWARD,))
        told[name] = measure(replace(job, architectures=(one,), tasks=(task,)), way)
    told["bf16"] = measure(replace(job, tasks=(Task(LLAMA.id, Loader.STOCK, (FORWARD,), Precision.BF16),)), "")
    return told


if __name__ == "__main__":
    main()
