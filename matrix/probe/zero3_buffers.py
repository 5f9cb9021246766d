"""The checkpoint's buffers on every rank of a DeepSpeed ZeRO-3 load, with any transformers from 4.40 on.

Up to 5.5.4, transformers gives buffers (BatchNorm statistics, MoE router biases, codebooks ...) to rank 0 only, to no
rank, or resets them after loading. This file is all it takes to load them right without upgrading. Copy it next to the
training script and call it before `from_pretrained`, on all ranks:

    import zero3_buffers
    print(zero3_buffers.install())

It backports https://github.com/huggingface/transformers/pull/45402 (transformers 5.6.0) in the form it has in 5.23.0,
where rank 0 broadcasts, since other ranks may hold no values. It needs torch, transformers and deepspeed, nothing else.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
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

_STOCK = "_zero3_buffers_stock"


@dataclass(frozen=True)
class Installed:
    """The result of `install`: `patched` names the replaced function of transformers, empty where none had to be."""

    transformers: str
    patched: str

    def __str__(self) -> str:
        if self.patched:
            return f"patched transformers {self.transformers}: {self.patched} now loads buffers on every ZeRO-3 rank"
        return f"transformers {self.transformers} already loads buffers under ZeRO-3: nothing changed"


def install() -> Installed:
    """Makes ZeRO-3 loads put the checkpoint's buffers on every rank; a second call changes nothing.

    Raises RuntimeError where transformers has a ZeRO-3 loader that this file does not support.
    """
    name = _loader()
    loader = getattr(modeling_utils, name)
    if not hasattr(loader, _STOCK):
        if "named_buffers" in _names(loader.__code__):
            return Installed(transformers.__version__, "")
        setattr(modeling_utils, name, _with_buffers(loader))
    return Installed(transformers.__version__, name)


def uninstall() -> None:
    """Gives transformers its own loader back, if `install` replaced it."""
    name = _loader()
    loader = getattr(modeling_utils, name)
    setattr(modeling_utils, name, getattr(loader, _STOCK, loader))


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


def _with_buffers(stock: Callable[..., Any]) -> Callable[..., Any]:
    # The arguments' order differs between releases, their names do not.
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def load(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs).arguments
        with _converted() as converted:
            result = stock(*args, **kwargs)
        if integration.is_deepspeed_zero3_enabled():
            # 5.0.0 loses what no converter touched: https://github.com/huggingface/transformers/issues/43257
            tensors = {**call["state_dict"], **converted}
            loaded, errors = load_buffers(call["model_to_load"], tensors, call.get("start_prefix", ""))
            messages, missing = result if isinstance(result, tuple) else (result, set())
            messages.extend(error for error in errors if error not in messages)
            # What is loaded now is no longer missing, and a caller may raise for missing keys.
            missing.difference_update(loaded)
        return result

    setattr(load, _STOCK, stock)
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
