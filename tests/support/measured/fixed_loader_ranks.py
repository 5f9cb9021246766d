"""Two gloo ranks that load checkpoints under ZeRO-3 with the fixed loader; `test_fixed_loader.py` judges what they saw.

    INTERPRETER fixed_loader_ranks.py FOLDER

Runs in the measured interpreter, with copies of zero3_buffers.py and of the other two fixed_loader_*.py next to it.
Leaves FOLDER/rank0.json and FOLDER/rank1.json: scenario -> what that rank found.
"""

import gc
import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import deepspeed
import torch
import transformers
import zero3_buffers  # type: ignore[import-not-found]
from fixed_loader_checkpoints import LOADS, find_class, read_checkpoint, write_checkpoints
from fixed_loader_precision import SCENARIOS, compare
from transformers.integrations import HfDeepSpeedConfig
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

ZERO3 = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 3}}

STOCK = ("bart", "batchnorm", "sharded")
STOCK_PRECISION = ("bf16 llama", "bf16 esm", "bf16 router", "bf16 codebook", "bf16 named")


def odd(fill: int | None) -> Any:
    """A module with buffers of the kinds that are easily mishandled; `fill` None leaves them as a constructor would."""
    module, on = torch.nn.Module(), fill is not None
    values = torch.arange(6).reshape(2, 3) + (fill or 0)
    module.register_buffer("count", torch.tensor(fill or 0))
    module.register_buffer("flags", torch.tensor([on, False, on]))
    module.register_buffer("empty", torch.zeros(0, 3))
    module.register_buffer("transposed", (values / 8).t() * on)
    module.register_buffer("float64", values.double() / 3 * on)
    module.register_buffer("complex64", torch.complex(values / 8, values / 4) * on)
    module.register_buffer("float8", (values / 8 * on).to(torch.float8_e4m3fn))
    module.register_buffer("cache", torch.full((2,), float(fill or 0)), persistent=False)
    return module


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether dtype, shape and every bit agree."""
    bits = [tensor.detach().contiguous().reshape(-1).view(torch.uint8) for tensor in (left, right)]
    return left.dtype == right.dtype and left.shape == right.shape and bool(torch.equal(*bits))


def observe(model: Any, missing: set[str], checkpoint: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Which buffers of the checkpoint are wrong, unmarked or reported missing in `model` on this rank.

    `absent` are the buffers that the checkpoint lacks and that are reported missing.
    """
    base = model.base_model_prefix + "."
    wanted, absent = {}, []
    buffers = zero3_buffers.persistent_buffers(model)
    for name in buffers:
        keys = [key for key in (name, base + name, name.replace(base, "", 1)) if key in checkpoint]
        if keys:
            wanted[name] = checkpoint[keys[0]]
        elif name in missing:
            absent.append(name)
    return {
        "buffers": len(wanted),
        "wrong": [name for name, tensor in wanted.items() if not same(buffers[name], tensor)],
        "unmarked": [name for name in wanted if not getattr(buffers[name], "_is_hf_initialized", False)],
        "missing": [name for name in wanted if name in missing],
        "absent": absent,
        "partitioned": any(getattr(parameter, "ds_numel", 0) > parameter.numel() for parameter in model.parameters()),
    }


def load(folder: Path, scenario: str, config: dict[str, Any] | None) -> dict[str, Any]:
    """One `from_pretrained`, plain without a deepspeed `config`, and what it gave this rank."""
    name, class_name = LOADS[scenario]
    active = HfDeepSpeedConfig(config) if config else None
    try:
        model, info = find_class(class_name).from_pretrained(folder / name, output_loading_info=True)
        return observe(model, set(info["missing_keys"]), read_checkpoint(folder / name))
    finally:
        unset_hf_deepspeed_config()
        del active
        gc.collect()


def load_odd(rank: int) -> dict[str, Any]:
    """`load_buffers` called directly, with nothing but meta tensors above rank 0."""
    want, model = odd(fill=5), odd(fill=None)
    tensors = {f"wrap.{name}": tensor for name, tensor in want.state_dict().items()}
    tensors["wrap.float64"] = tensors["wrap.float64"].float()
    tensors["wrap.cache"] = want.cache
    tensors["head.count"] = torch.tensor(99)
    if rank:
        tensors = {name: tensor.to("meta") for name, tensor in tensors.items()}
    loaded, errors = zero3_buffers.load_buffers(model, tensors, "wrap.")
    want.float64.copy_(want.float64.float())
    wrong = [name for name, buffer in want.state_dict().items() if not same(buffer, getattr(model, name))]
    return {"loaded": sorted(loaded), "errors": errors, "wrong": wrong, "cache": model.cache.tolist()}


def load_headless(rank: int) -> dict[str, Any]:
    """`load_buffers` with a checkpoint that lacks the base model's prefix."""
    model = torch.nn.Module()
    model.base_model_prefix, model.body = "body", odd(fill=None)
    loaded, errors = zero3_buffers.load_buffers(model, odd(fill=5).state_dict())
    return {"loaded": sorted(loaded), "errors": errors, "count": model.body.count.item()}


def load_mismatched(rank: int) -> dict[str, Any]:
    """`load_buffers` with one element for a buffer of three."""
    model = odd(fill=None)
    loaded, errors = zero3_buffers.load_buffers(model, {"flags": torch.tensor([True]), "count": torch.tensor(7)})
    return {"loaded": sorted(loaded), "errors": errors, "flags": model.flags.tolist(), "count": model.count.item()}


def patchable() -> list[Any]:
    """The functions that `install` may replace, as they are now."""
    return [getattr(owner, name) for owner, name, _ in zero3_buffers._patches()]


def install_twice() -> dict[str, Any]:
    """What `install` says and changes, twice, and whether `uninstall` undoes it; leaves it installed."""
    stock = patchable()
    first = zero3_buffers.install()
    fixed = patchable()
    second = zero3_buffers.install()
    again = patchable()
    zero3_buffers.uninstall()
    restored = patchable()
    zero3_buffers.install()
    return {
        "said": [str(first), str(second)],
        "patched": first.patched,
        "changes_float32": [first.changes_float32, second.changes_float32],
        "replaced": [now is not before for now, before in zip(fixed, stock, strict=True)],
        "idempotent": again == fixed,
        "restored": restored == stock,
    }


def attempt(action: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """What `action` returns, or the exception it raised."""
    try:
        return action(*args)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def scenarios(rank: int, folder: Path) -> dict[str, Any]:
    """All that is observed, in the same order on both ranks, but for a plain load: there, a collective would hang."""
    available = {key: value for key, value in LOADS.items() if (folder / value[0]).exists()}
    precisions = [scenario for scenario, (checkpoint, *_) in SCENARIOS.items() if checkpoint in available]
    found = {f"stock {name}": attempt(load, folder, name, ZERO3) for name in STOCK}
    found |= {f"stock {name}": attempt(compare, folder, name, ZERO3) for name in precisions if name in STOCK_PRECISION}
    found["install"] = install_twice()
    found |= {name: attempt(load, folder, name, ZERO3) for name in available}
    found |= {scenario: attempt(compare, folder, scenario, ZERO3) for scenario in precisions}
    if rank == 0:
        found["plain"] = attempt(load, folder, "batchnorm", None)
    for name, action in {"odd": load_odd, "headless": load_headless, "mismatched": load_mismatched}.items():
        found[name] = attempt(action, rank)
    return found


def run_rank(rank: int, folder: Path) -> None:
    """One rank from process group to records."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    # Asked for by deepspeed. The ranks meet in a file: a port that is free now may be another test's a moment later.
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29500")
    meeting = f"file://{folder / 'meeting'}?rank={rank}&world_size=2"
    # Else deepspeed compiles its shared-memory collectives, which takes most of a minute.
    deepspeed.ops.__dict__["__compatible_ops__"] = {**deepspeed.ops.__compatible_ops__, "deepspeed_shm_comm": False}
    deepspeed.init_distributed(dist_backend="gloo", timeout=timedelta(seconds=240), init_method=meeting)
    if rank == 0:
        with torch.no_grad():
            write_checkpoints(folder)
    torch.distributed.barrier()
    (folder / f"rank{rank}.json").write_text(json.dumps(scenarios(rank, folder), indent=1))
    torch.distributed.barrier()


def main() -> bool:
    """Fork the two ranks; whether one of them failed."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    gc.freeze()  # `deepspeed.initialize` collects garbage again and again, over all objects there are
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            try:
                run_rank(rank, folder)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    return max(os.waitpid(child, 0)[1] for child in children) > 0


if __name__ == "__main__":
    sys.exit(main())
