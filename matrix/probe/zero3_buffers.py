"""What a plain load keeps, kept in a DeepSpeed ZeRO-3 load too, with any transformers from 4.40 on.

Up to 5.5.4, transformers gives buffers (BatchNorm statistics, MoE router biases, codebooks ...) to rank 0 only, to no
rank, or resets them after loading. In bf16 and fp16, ZeRO-3 also rounds buffers and frozen parameters that a plain load
keeps in float32. This file is all it takes to load them right without upgrading. Copy it next to the training script
and call it before `from_pretrained`, on all ranks:

    import zero3_buffers
    print(zero3_buffers.install())

It backports https://github.com/huggingface/transformers/pull/45402 (transformers 5.6.0) in the form it has in 5.23.0,
where rank 0 broadcasts, since other ranks may hold no values. What is constructed in float32, or named by the model's
`_keep_in_fp32_modules_strict`, stays float32 through `from_pretrained` and `deepspeed.initialize`. Only trainable
parameters do not: DeepSpeed wants one dtype for all of them. It needs torch, transformers and deepspeed, nothing else.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch
import transformers
from transformers import modeling_utils
from transformers.integrations import deepspeed as integration

LOADERS = ("_load_state_dict_into_zero3_model", "_load_state_dict_into_model")
"""What reads a ZeRO-3 checkpoint, as `transformers.modeling_utils` calls it: from 4.50 on, and before.

Both take the model and a state dict. The older one also serves plain loads and takes a `start_prefix`. Both return a
list of error messages, from 5.0.0rc1 on together with the set of missing keys. Up to 4.57 they run once per shard.
"""

CONVERSION = "_apply_weight_conversions_to_state_dict"
"""What renames and merges the tensors of a checkpoint inside the loader, from 5.0.0 on."""

HALF = {"bf16": torch.bfloat16, "bfloat16": torch.bfloat16, "fp16": torch.float16}
"""What a DeepSpeed config calls the dtypes that are narrower than float32."""

_STOCK = "_zero3_buffers_stock"


@dataclass(frozen=True)
class Installed:
    """The result of `install`: `patched` names the replaced functions of transformers and deepspeed.

    `changes_float32` says whether any of them does something where DeepSpeed trains in float32.
    """

    transformers: str
    deepspeed: str
    patched: tuple[str, ...]
    changes_float32: bool

    def __str__(self) -> str:
        precisions = "in every precision" if self.changes_float32 else "in bf16 and fp16; float32 is as before"
        return (
            f"patched transformers {self.transformers} and deepspeed {self.deepspeed} ({', '.join(self.patched)}): "
            f"ZeRO-3 loads keep the buffers of a plain load on every rank, {precisions}"
        )


def install() -> Installed:
    """Makes ZeRO-3 loads keep the buffers of a plain load on every rank; a second call changes nothing.

    Raises RuntimeError where transformers has a ZeRO-3 loader that this file does not support.
    """
    import deepspeed

    patches = _patches()
    for owner, name, wrap in patches:
        if not hasattr(stock := getattr(owner, name), _STOCK):
            setattr(owner, name, fixed := functools.wraps(stock)(wrap(stock)))
            setattr(fixed, _STOCK, stock)
    names = tuple(name for _, name, _ in patches)
    return Installed(transformers.__version__, deepspeed.__version__, names, changes_float32())


def uninstall() -> None:
    """Gives transformers and deepspeed their own functions back, if `install` replaced them."""
    for owner, name, _ in _patches():
        current = getattr(owner, name)
        setattr(owner, name, getattr(current, _STOCK, current))


def changes_float32() -> bool:
    """Returns whether `install` changes loads in float32: not where transformers loads buffers itself."""
    loader = getattr(modeling_utils, _loader())
    return "named_buffers" not in _names(getattr(loader, _STOCK, loader).__code__)


def load_buffers(
    model: torch.nn.Module, state_dict: Mapping[str, torch.Tensor], prefix: str = ""
) -> tuple[set[str], list[str]]:
    """Gives every rank rank 0's values of the persistent buffers that `state_dict` names, and marks them as loaded.

    A collective call: all ranks pass the same names and shapes, only rank 0's values are read. `prefix` is in front of
    the names in `state_dict`; the model's `base_model_prefix` may be absent from them. Buffers keep their dtype and
    device. Returns the names loaded, as the model has them, and a message for each buffer whose shape differs.
    """
    tensors = _by_model_name(model, state_dict, prefix)
    loaded, errors = set(), []
    for name, buffer in persistent_buffers(model).items():
        value = tensors.get(name)
        if value is None:
            continue
        if value.shape != buffer.shape:  # copy_ would expand it silently
            errors.append(_size_mismatch(prefix + name, value, buffer))
            continue
        with torch.no_grad():
            _broadcast(value, buffer)
        buffer._is_hf_initialized = True  # `_init_weights`, run after loading from 5.0 on, leaves marked tensors alone
        loaded.add(name)
    return loaded, errors


def persistent_buffers(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns the buffers that belong into a checkpoint, by every name that they have in the model."""
    return {
        f"{path}.{name}" if path else name: buffer
        for path, module in model.named_modules(remove_duplicate=False)
        for name, buffer in module._buffers.items()
        if buffer is not None and name not in module._non_persistent_buffers_set
    }


def _loader() -> str:
    for name in LOADERS:
        if hasattr(modeling_utils, name):
            return name
    raise RuntimeError(f"transformers {transformers.__version__} has a ZeRO-3 loader that this file does not support")


def _names(code: CodeType) -> set[str]:
    """Returns all names that a function uses, those of the functions inside it included."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _patches() -> list[tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]]:
    """Returns what is replaced: whose function, its name, and what makes the new one from it."""
    from deepspeed.runtime.engine import DeepSpeedEngine
    from deepspeed.runtime.zero import partition_parameters

    patches: list[tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = [
        (modeling_utils, _loader(), _with_buffers if changes_float32() else _with_plain_dtypes),
        (partition_parameters, "zero_wrapper_for_fp_tensor_constructor", _with_asked_dtype),
        (partition_parameters.Init, "_zero_init_param", _with_training_dtype),
        (partition_parameters.Init, "_allgather_params_coalesced", _by_dtype),
    ]
    if not hasattr(DeepSpeedEngine, "_cast_module_mixed_precision"):  # up to 0.19.1 it rounds the whole model
        patches.append((DeepSpeedEngine, "_configure_distributed_model", _without_rounding))
    return patches


def _training_dtype() -> torch.dtype | None:
    """Returns the dtype that a ZeRO-3 load rounds to, None outside such a load and in float32."""
    config = integration.deepspeed_config() if integration.is_deepspeed_zero3_enabled() else {}
    return next((dtype for key, dtype in HALF.items() if (config.get(key) or {}).get("enabled") is True), None)


def _with_asked_dtype(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps what `zero.Init` replaces torch's constructors with: it rounds also tensors made in an explicit dtype."""

    def replace(constructor: Callable[..., Any], target_fp_dtype: torch.dtype, *args: Any, **kwargs: Any) -> Any:
        if target_fp_dtype is None or target_fp_dtype != _training_dtype():
            return stock(constructor, target_fp_dtype, *args, **kwargs)
        place = stock(constructor, None, *args, **kwargs)  # on the right device, in the constructor's dtype

        def construct(*args: Any, **kwargs: Any) -> torch.Tensor:
            tensor: torch.Tensor = place(*args, **kwargs)
            # `from_pretrained` may be asked for another dtype than DeepSpeed trains in: its default dtype.
            if kwargs.get("dtype") is None and tensor.dtype == torch.get_default_dtype():
                tensor.data = tensor.data.to(target_fp_dtype)
            return tensor

        return construct

    return replace


def _with_training_dtype(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps what partitions a parameter: trainable ones must all have the training dtype, frozen ones need not."""

    def partition(init: Any, param: torch.nn.Parameter) -> Any:
        if param.requires_grad and param.is_floating_point() and init.dtype == _training_dtype():
            param.data = param.data.to(init.dtype)
        return stock(init, param)

    return partition


def _by_dtype(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps what gathers a list of parameters: up to 0.19.2, frozen float32 ones cannot be in it with others."""

    def gather(init: Any, param_list: Iterable[Any], *args: Any, **kwargs: Any) -> None:
        lists: dict[torch.dtype, list[Any]] = {}
        for param in param_list:
            lists.setdefault(param.ds_tensor.dtype, []).append(param)
        for params in lists.values():
            stock(init, params, *args, **kwargs)

    return gather


def _without_rounding(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps what calls `bfloat16()` or `half()` on the model of a new engine, if ZeRO-3 has partitioned it before."""

    def configure(engine: Any, model: torch.nn.Module) -> Any:
        parameters = [parameter for parameter in model.parameters() if hasattr(parameter, "ds_id")]
        frozen = [(parameter, parameter.dtype) for parameter in parameters if not parameter.requires_grad]
        buffers = [(module._buffers, dict(module._buffers)) for module in model.modules() if parameters]
        result = stock(engine, model)
        for current, kept in buffers:
            current.update(kept)
        for parameter, dtype in frozen:
            parameter.data = parameter.data.to(dtype)  # a placeholder: only its dtype counts
        return result

    return configure


def _with_plain_dtypes(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a loader: first, the buffers that the model wants in float32 become it, so that no value is rounded."""
    # The arguments' order differs between releases, their names do not.
    signature = inspect.signature(stock)

    def load(*args: Any, **kwargs: Any) -> Any:
        if dtype := _training_dtype():
            model = signature.bind(*args, **kwargs).arguments["model_to_load"]
            wanted = _kept_in_float32(model, dtype)
            for name, buffer in persistent_buffers(model).items():
                if buffer.dtype == dtype and wanted.search(name):
                    buffer.data = buffer.data.float()
        return stock(*args, **kwargs)

    return load


def _kept_in_float32(model: torch.nn.Module, dtype: torch.dtype) -> re.Pattern[str]:
    """Returns what the names match that a plain load in `dtype` gives float32, by the rule of this transformers."""
    if hasattr(model, "dtype_plan") or hasattr(model, "_get_dtype_plan"):  # up to 5.0 and after it
        plan = model._get_dtype_plan(dtype) if hasattr(model, "_get_dtype_plan") else model.dtype_plan
        patterns = [name.replace("*", ".*") for name in plan]
    else:
        # A release that does not know the strict list, such as 4.40, does nothing with a model's own.
        known = hasattr(modeling_utils.PreTrainedModel, "_keep_in_fp32_modules_strict")
        names = [*((known and model._keep_in_fp32_modules_strict) or [])]
        if dtype == torch.float16:
            names += getattr(model, "_keep_in_fp32_modules", None) or []
        patterns = [rf"(^|\.){name}($|\.)" for name in names]
    return re.compile("|".join(patterns) or "(?!)")


def _with_buffers(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a loader that does not load buffers, or not on every rank."""
    signature, load_plain = inspect.signature(stock), _with_plain_dtypes(stock)

    def load(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs).arguments
        with _converted() as converted:
            result = load_plain(*args, **kwargs)
        if integration.is_deepspeed_zero3_enabled():
            # 5.0.0 loses what no converter touched: https://github.com/huggingface/transformers/issues/43257
            tensors = {**call["state_dict"], **converted}
            loaded, errors = load_buffers(call["model_to_load"], tensors, call.get("start_prefix", ""))
            messages, missing = result if isinstance(result, tuple) else (result, set())
            messages.extend(error for error in errors if error not in messages)
            # What is loaded now is no longer missing, and a caller may raise for missing keys.
            missing.difference_update(loaded)
        return result

    return load


@contextmanager
def _converted() -> Iterator[dict[str, torch.Tensor]]:
    """Collects what the weight conversions give while the loader runs; nothing before 5.0.0."""
    tensors: dict[str, torch.Tensor] = {}
    stock = getattr(integration, CONVERSION, None)
    if stock is None:
        yield tensors
        return

    def convert(*args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        converted: dict[str, torch.Tensor] = stock(*args, **kwargs)
        tensors.update(converted)
        return converted

    setattr(integration, CONVERSION, convert)
    try:
        yield tensors
    finally:
        setattr(integration, CONVERSION, stock)


def _by_model_name(
    model: torch.nn.Module, state_dict: Mapping[str, torch.Tensor], prefix: str
) -> dict[str, torch.Tensor]:
    base, buffers = getattr(model, "base_model_prefix", ""), persistent_buffers(model)
    names = {key: key[len(prefix) :] for key in state_dict if key.startswith(prefix)}
    return {f"{base}.{name}" if f"{base}.{name}" in buffers else name: state_dict[key] for key, name in names.items()}


def _broadcast(value: torch.Tensor, buffer: torch.Tensor) -> None:
    """Copies rank 0's `value` into every rank's `buffer`, by way of the device that the backend speaks to."""
    from deepspeed.accelerator import get_accelerator

    if torch.distributed.get_rank() == 0:
        buffer.copy_(value)
    staged = buffer.to(get_accelerator().current_device_name()).contiguous()
    # As bytes: no backend knows every dtype.
    torch.distributed.broadcast(staged.reshape(-1).view(torch.uint8), src=0)
    buffer.copy_(staged)


def _size_mismatch(name: str, value: torch.Tensor, buffer: torch.Tensor) -> str:
    return (  # in torch's words, since the stock loader may have said it on rank 0
        f"size mismatch for {name}: copying a param with shape {value.shape} from checkpoint, "
        f"the shape in current model is {buffer.shape}."
    )
