"""What differs between releases of transformers and deepspeed, found by looking, in this one place."""

import functools
import importlib
import importlib.metadata
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from matrix.model import Precision, ReportLimit, ReportPart


class UnsupportedPrecisionError(Exception):
    """Raised where this device, or this release, cannot train in a precision."""


ZERO3: dict[str, Any] = {
    "train_micro_batch_size_per_gpu": 1,  # never train_batch_size: it is asserted before the ranks are known
    "zero_optimization": {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True},
    "zero_allow_untested_optimizer": True,
    "gradient_clipping": 0.0,  # the default is a norm of one, which would change a step
}


def make_config(precision: Precision, stage: int = 3) -> dict[str, Any]:
    """Returns the DeepSpeed config that trains in `precision`; at stage 0 nothing is sharded."""
    zero = ZERO3 if stage == 3 else {**ZERO3, "zero_optimization": {"stage": stage}}
    return zero if precision is Precision.FLOAT32 else {**zero, precision: {"enabled": True}}


def require_trainable(precision: Precision) -> None:
    """Raises UnsupportedPrecisionError where `deepspeed.initialize` refuses to train in `precision`."""
    accelerator = importlib.import_module("deepspeed.accelerator").get_accelerator()
    supported = {Precision.BF16: accelerator.is_bf16_supported, Precision.FP16: accelerator.is_fp16_supported}
    if precision in supported and not supported[precision]():
        raise UnsupportedPrecisionError(f"deepspeed does not train in {precision} on {accelerator.device_name()}")


def load_pretrained(model_class: Any, folder: Path, requested: Precision, **options: Any) -> Any:
    """Calls `from_pretrained` and asks it for a dtype."""
    return model_class.from_pretrained(folder, **_ask_for(requested), **options)


def _ask_for(requested: Precision) -> dict[str, torch.dtype]:
    """Returns the option that asks for a dtype: `dtype`, which was `torch_dtype` before 4.56."""
    stock = inspect.unwrap(importlib.import_module("transformers.modeling_utils").PreTrainedModel.from_pretrained)
    option = "dtype" if "dtype" in stock.__code__.co_varnames else "torch_dtype"
    return {option: getattr(torch, requested.dtype)}


def build_from_config(model_class: Any, folder: Path, requested: Precision) -> Any:
    """Calls what `from_config` of an auto class calls, with the configuration in `folder`, and asks it for a dtype."""
    asked = _ask_for(requested)
    # In the configuration too: a class whose parts are made by auto classes asks that for the dtype.
    config = model_class.config_class.from_pretrained(folder, **asked)
    return model_class._from_config(config, **asked)


# What the first load and the first deepspeed.initialize import lazily: 8 s on 2 cores, paid once before the fork.
_LAZY = (
    "transformers.trainer_pt_utils",
    "torch._dynamo",
    "torch._inductor.compile_fx",
    "torch.distributed.tensor",
    "setuptools",
)
_LAZY_DEEPSPEED = (
    "deepspeed.runtime.engine",
    "deepspeed.runtime.zero.stage3",
    "deepspeed.module_inject",
    "deepspeed.checkpoint",
)


def _import(name: str) -> ModuleType | None:
    with suppress(ImportError):
        return importlib.import_module(name)
    return None


def preload() -> None:
    """Imports torch's and transformers' heavy parts; raises ImportError when transformers itself cannot be imported."""
    # A thread pool does not survive a fork: the child would wait for threads that it does not have.
    torch.set_num_threads(1)
    for name in ("transformers.modeling_utils", "transformers.integrations.deepspeed"):
        importlib.import_module(name)
    for name in _LAZY:
        _import(name)


def preload_deepspeed() -> None:
    """Imports deepspeed and what it imports lazily; raises ImportError when it cannot be imported."""
    importlib.import_module("deepspeed")
    for name in _LAZY_DEEPSPEED:
        _import(name)


def deepspeed_spoils_fork() -> bool:
    """Returns whether importing deepspeed initialises CUDA, after which a forked rank cannot use it (0.16.9 does)."""
    # Tried in a fork, since the answer is found by spoiling the process that asks.
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            preload_deepspeed()
            os._exit(int(torch.cuda.is_initialized()))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def import_integration() -> Any:
    """Returns the module with transformers' ZeRO-3 support: `transformers.integrations.deepspeed` since 4.33."""
    return importlib.import_module("transformers.integrations.deepspeed")


@contextmanager
def zero3_config(config: dict[str, Any]) -> Iterator[None]:
    """Tells transformers to load under ZeRO-3 with this DeepSpeed config, for as long as the context lasts."""
    holder = import_integration().HfDeepSpeedConfig(config)
    try:
        yield
    finally:
        # Documented upstream: the setting lives as long as the object, which a traceback may keep alive.
        import_integration().unset_hf_deepspeed_config()
        del holder


def no_init_weights() -> AbstractContextManager[Any]:
    """Models are built without initialising them; moved from `modeling_utils` to `initialization` in 5.0."""
    module = _import("transformers.initialization") or importlib.import_module("transformers.modeling_utils")
    return module.no_init_weights()


def disable_shm_op() -> None:
    """Keeps deepspeed from compiling `deepspeed_shm_comm` when ranks start on CPU: 45 s for an op that is not used."""
    operations = importlib.import_module("deepspeed.ops")
    compatible = {**operations.__compatible_ops__, "deepspeed_shm_comm": False}
    operations.__dict__["__compatible_ops__"] = compatible


@functools.cache
def find_report_limits() -> Mapping[ReportPart, ReportLimit]:
    """Returns the parts of the loading report that no load under ZeRO-3 tells the truth about, as the loader's sources show.

    A release that changes these lines is compared in full: what it still leaves out is then found, not overlooked.
    """
    loading = importlib.import_module("transformers.modeling_utils")
    caller = _source(getattr(loading.PreTrainedModel, "_load_pretrained_model", None))
    parts = (ReportPart.UNEXPECTED, ReportPart.MISMATCHED)
    empty = [part for part in parts if re.search(rf"\b{part.value}\b[\w, ]*= *set\(\)", caller)]
    limits = dict.fromkeys(empty, ReportLimit.ALWAYS_EMPTY)
    # Up to 4.57.6: the checkpoint's shapes against those of a state dict of placeholders.
    if re.search(r"def _find_mismatched_keys\((?!.*\bds_shape\b)", _source(loading), re.DOTALL):
        limits[ReportPart.MISMATCHED] = ReportLimit.OF_PLACEHOLDERS
    loaders = [
        getattr(loading, name, None) for name in ("_load_state_dict_into_zero3_model", "_load_state_dict_into_model")
    ]
    if any(re.search(r"get_rank\(\) == 0:\s+module\._load_from_state_dict", _source(loader)) for loader in loaders):
        limits[ReportPart.ERRORS] = ReportLimit.ON_RANK_0_ONLY
    return limits


def _source(thing: Any) -> str:
    """Returns the source of a function or module, empty where it has none."""
    with suppress(OSError, TypeError):
        return inspect.getsource(thing)
    return ""


def initialize(
    model: Any, precision: Precision, stage: int = 3, optimizer: Callable[..., Any] = torch.optim.AdamW
) -> Any:
    """Returns a DeepSpeed engine that trains all of `model` that is not frozen; raises what `require_trainable` raises."""
    require_trainable(precision)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # AdamW refuses an empty list, which a model with only frozen parameters would give.
    chosen = optimizer(trainable) if trainable else None
    deepspeed = importlib.import_module("deepspeed")
    engine, *_ = deepspeed.initialize(model=model, optimizer=chosen, config=make_config(precision, stage))
    return engine


def gathers_by_chance() -> bool:
    """Returns whether what a forward gathers here may be written after it is used.

    Up to 0.19.7 deepspeed waits for the last of several gathers only (DeepSpeed #8539), and on gloo none waits for another.
    """
    sources = _source(importlib.import_module("deepspeed.runtime.zero.partition_parameters"))
    accelerator = importlib.import_module("deepspeed.accelerator").get_accelerator()
    return accelerator.device_name() == "cpu" and "launch_handles[-1].wait()" in sources


def find_kept_in_float32(model: Any) -> re.Pattern[str] | None:
    """Returns what finds the names of tensors that the model's lists keep in float32; None where they list nothing.

    Up to 4.57 an entry is whole parts of a name; from 5.0 on, where there is a plan of dtypes, any stretch of it. The
    lists are those of the instance: from 5.1 on it adds those of the models inside it.
    """
    names = ("_keep_in_fp32_modules", "_keep_in_fp32_modules_strict")
    listed = sorted({entry for name in names for entry in getattr(model, name, None) or ()})
    if hasattr(model, "dtype_plan") or hasattr(model, "_get_dtype_plan"):
        parts = [entry.replace("*", ".*") for entry in listed]
    else:
        parts = [rf"(?:^|\.){entry}(?:$|\.)" for entry in listed]
    return re.compile("|".join(parts)) if parts else None


def destroy(engine: Any) -> None:
    """Removes the hooks of an engine, which may be None, and frees what it holds; `destroy` exists since deepspeed 0.10."""
    with suppress(AttributeError):
        engine.destroy()


def is_pristine() -> bool:
    """Returns whether `deepspeed.zero.Init` has put back the tensor constructors that it replaces during a build."""
    return not inspect.isfunction(torch.empty) and not inspect.isfunction(torch.zeros)


def list_packages() -> dict[str, str]:
    """Returns every installed distribution and its version; of two with the same name the one that is imported."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        # Distributions come in the order of sys.path, so the first of a name is the one that is imported.
        found.setdefault(distribution.metadata["Name"], distribution.version)
    return {name: found[name] for name in sorted(found, key=str.lower)}
