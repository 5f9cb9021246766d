"""Runs in a measured interpreter: breaks loading on purpose, one way after the other, and prints what the probe says.

`python tests/support/measured/faults.py` prints {way: {case: record}} as JSON. The probe is the real one; only transformers is broken.
"""

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from matrix.probe.startup import VARIABLES, claim_stdout

os.environ.update(VARIABLES)

import torch
import transformers
from transformers.integrations import deepspeed as integration

from matrix.job import Job, Task
from matrix.model import Architecture, Check, Device, Loader
from matrix.probe.ranks import zygote
from matrix.probe.ranks.scheduler import run_job
from matrix.probe.tiny import recipes

BROKEN = Architecture("levit:LevitForImageClassification", "batchnorm")
UNTOUCHED = Architecture("llama:LlamaForCausalLM", "control")
Model = Any

state = {"way": "", "folder": ""}


def norms(model: Model) -> Iterator[Any]:
    return (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d))


def on_rank_1(act: Callable[[Model], object]) -> Callable[[Model], None]:
    def only(model: Model) -> None:
        if torch.distributed.get_rank() == 1:
            act(model)

    return only


def skip(model: Model) -> None:
    next(norms(model)).running_mean.zero_()


def swap(model: Model) -> None:
    norm = next(norms(model))
    norm.running_mean.data, norm.running_var.data = norm.running_var.data, norm.running_mean.data


def zero(model: Model) -> None:
    next(norms(model)).running_var.zero_()


def cast(model: Model) -> None:
    norm = next(norms(model))
    norm._buffers["running_var"] = norm.running_var.bfloat16()


def nonfinite(model: Model) -> None:
    next(norms(model)).running_var.fill_(float("nan"))


def partial(model: Model) -> None:
    next(norms(model)).running_var[1:] = 123.0


def garbage(model: Model) -> None:
    next(norms(model)).running_var.fill_(123.0)


def unwritten(model: Model) -> None:
    norm = next(norms(model))
    norm._buffers["running_var"] = torch.empty_like(norm.running_var)


def absent(model: Model) -> None:
    del next(norms(model))._buffers["running_var"]


def meta(model: Model) -> None:
    norm = next(norms(model))
    norm._buffers["running_var"] = norm.running_var.to("meta")


def shape(model: Model) -> None:
    norm = next(norms(model))
    norm._buffers["running_var"] = norm.running_var[:1]


def shard(model: Model) -> None:
    next(norms(model)).weight.ds_tensor.data.fill_(123.0)


def through_bf16(value: Any) -> Any:
    return value.bfloat16().to(value.dtype) if value.is_floating_point() else value


def throw(_model: Model) -> None:
    raise RuntimeError("sabotage")


def first_time_only(model: Model) -> None:
    marker = Path(state["folder"]) / f"seen.{torch.distributed.get_rank()}"
    if not marker.exists():
        marker.touch()
        skip(model)


WAYS: dict[str, Callable[[Model], object]] = {
    "skip": skip,
    "rank_0_only": on_rank_1(skip),
    "swap": swap,
    "zero": zero,
    "cast": cast,
    "nonfinite": nonfinite,
    "partial": partial,
    "garbage": garbage,
    "unwritten": unwritten,
    "absent": absent,
    "meta": meta,
    "shape": shape,
    "shard": on_rank_1(shard),
    "raise_on_both": throw,
    "raise_on_1": on_rank_1(throw),
    "hang_on_1": on_rank_1(lambda _model: signal.pause()),
    "die_on_1": on_rank_1(lambda _model: os.kill(os.getpid(), signal.SIGKILL)),
    "first_time_only": first_time_only,
    "skip_and_say_so": lambda _model: None,
    "buffers_through_bf16": lambda _model: None,
    "parameters_through_bf16": lambda _model: None,
    "buffers_missing": lambda _model: None,
    "parameters_missing": lambda _model: None,
    "do_not_partition": lambda _model: None,
    "lose_on_save": lambda _model: None,
}


def break_from_pretrained() -> None:
    """Let every way act on the loaded model, before the caller sees it."""
    stock = transformers.PreTrainedModel.from_pretrained.__func__

    def broken(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if cls.__name__ != BROKEN.class_name or not integration.is_deepspeed_zero3_enabled():
            return stock(cls, *args, **kwargs)
        if state["way"] == "do_not_partition":
            integration.unset_hf_deepspeed_config()
        result = stock(cls, *args, **kwargs)
        with torch.no_grad():
            WAYS[state["way"]](result[0])
        return result

    transformers.PreTrainedModel.from_pretrained = classmethod(broken)


def break_loader() -> None:
    """Let what happens inside the loader itself happen there: a buffer is lost and reported as missing, or rounded.

    Or all is loaded right, and reported as missing.
    """
    module: Any = sys.modules["transformers.modeling_utils"]
    stock = module._load_state_dict_into_zero3_model

    def broken(model: Model, state_dict: dict[str, Any], *args: Any) -> Any:
        if state["way"] == "skip_and_say_so":
            lost = [key for key in state_dict if key.endswith("running_var")][:1]
            state_dict = {key: value for key, value in state_dict.items() if key not in lost}
        if state["way"].endswith("_through_bf16") and type(model).__name__ == BROKEN.class_name:
            named = getattr(model, f"named_{state['way'].partition('_')[0]}")()
            state_dict = state_dict | {key: through_bf16(state_dict[key]) for key, _ in named if key in state_dict}
        errors, missing = stock(model, state_dict, *args)
        if state["way"] == "buffers_missing" and type(model).__name__ == BROKEN.class_name:
            missing |= {name for name, _ in model.named_buffers() if name in state_dict}
        if state["way"] == "parameters_missing" and type(model).__name__ == BROKEN.class_name:
            missing |= {name for name, _ in model.named_parameters() if torch.distributed.get_rank() == 1}
        return errors, missing

    module._load_state_dict_into_zero3_model = broken


def break_save() -> None:
    """Let `lose_on_save` drop a buffer from the state that is saved under ZeRO-3."""
    stock = transformers.PreTrainedModel.save_pretrained

    def broken(self: Model, folder: str, *args: Any, **kwargs: Any) -> Any:
        if state["way"] == "lose_on_save" and "state_dict" in kwargs:
            lost = [key for key in kwargs["state_dict"] if key.endswith("running_var")][:1]
            kwargs["state_dict"] = {key: value for key, value in kwargs["state_dict"].items() if key not in lost}
        return stock(self, folder, *args, **kwargs)

    transformers.PreTrainedModel.save_pretrained = broken


def measure(job: Job, way: str) -> dict[str, Any]:
    """What the probe says of `job` when loading is broken that way."""
    cases: dict[str, Any] = {}

    def tell(message: dict[str, Any]) -> None:
        if "case" in message:
            cases[message["case"]["architecture"]] = message["case"]

    with tempfile.TemporaryDirectory() as root:
        state.update(way=way, folder=root)
        run_job(job, Path(root), tell)
    return {"broken": cases[BROKEN.id], "untouched": cases[UNTOUCHED.id]}


def main() -> None:
    out = claim_stdout()
    tasks = tuple(Task(a.id, Loader.STOCK, (Check("load"),)) for a in (BROKEN, UNTOUCHED))
    job = Job((BROKEN, UNTOUCHED), tasks, Device.CPU, timeout=60.0, confirmations=1)
    zygote.warm_up(job)
    recipes.import_classes(job.architectures)  # its time is not the timeout's
    break_from_pretrained()
    break_loader()
    break_save()
    saving = replace(job, tasks=tuple(replace(task, checks=(Check("save"),)) for task in tasks))
    hanging = replace(job, timeout=10.0)  # what does not hang takes less, also on a busy machine
    again = dict.fromkeys(("zero", "raise_on_both", "first_time_only"), replace(job, confirmations=2))
    jobs = dict.fromkeys(WAYS, job) | again | {"lose_on_save": saving, "hang_on_1": hanging}
    out.write(json.dumps({way: measure(jobs[way], way) for way in WAYS}))
    out.close()


if __name__ == "__main__":
    main()
