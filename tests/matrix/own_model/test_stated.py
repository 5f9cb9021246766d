"""What a configuration file and the command line state: the precision, and what is not measured."""

from pathlib import Path
from typing import Any

import pytest

from matrix.errors import UnknownNameError
from matrix.own_model.stated import read_stated
from matrix.own_model.target import has_adapter

DEFAULT = ("float32", "bf16")


@pytest.mark.parametrize(
    ("config", "asked", "precisions", "why"),
    [
        ({"torch_dtype": "bfloat16"}, "", ("bf16",), "its config.json has torch_dtype bfloat16"),
        ({"dtype": "torch.float16"}, "", ("fp16",), "its config.json has dtype torch.float16"),
        ({"dtype": "float32", "torch_dtype": "bfloat16"}, "", ("float32",), "its config.json has dtype float32"),
        ({"text_config": {"dtype": "bfloat16"}}, "", ("bf16",), "its config.json has text_config.dtype bfloat16"),
        ({"vision_config": {"dtype": "bfloat16"}}, "", DEFAULT, "its config.json names no dtype"),
        ({"dtype": "float64"}, "", DEFAULT, "its config.json has dtype float64, which names no precision"),
        ({"torch_dtype": "auto"}, "", DEFAULT, "its config.json has torch_dtype auto, which names no precision"),
        (
            {"dtype": {"text_config": "bfloat16", "": "torch.bfloat16"}},
            "",
            ("bf16",),
            "its config.json has dtype bfloat16 for text_config, torch.bfloat16 for the rest",
        ),
        (
            {"dtype": {"text_config": "bfloat16", "vision_config": "float32"}},
            "",
            DEFAULT,
            "its config.json has dtype bfloat16 for text_config, float32 for vision_config, which names no precision",
        ),
        ({"torch_dtype": None, "model_type": "llama"}, "", DEFAULT, "its config.json names no dtype"),
        ({}, "", DEFAULT, "no config.json names a dtype"),
        ({"torch_dtype": "bfloat16"}, "fp16,float32", ("fp16", "float32"), "as --precision says"),
    ],
)
def test_the_precision_is_that_of_the_file_unless_another_is_asked_for(
    config: dict[str, Any], asked: str, precisions: tuple[str, ...], why: str
) -> None:
    stated = read_stated(config, asked)
    assert (stated.precisions, stated.why) == (precisions, why)


def test_there_is_no_other_precision() -> None:
    with pytest.raises(UnknownNameError, match="unknown precision 'fp8'"):
        read_stated({}, "fp8")


@pytest.mark.parametrize(
    ("config", "left_out", "quantized"),
    [
        ({"quantization_config": {"quant_method": "fp8"}}, ("quantization (fp8)",), True),
        ({"text_config": {"quantization_config": {"bits": 4}}}, ("quantization (of its own)",), True),
        ({"quantization_config": None}, (), False),
        ({"_attn_implementation": "flash_attention_2"}, ("attention kernels (flash_attention_2)",), False),
        ({"hidden_size": 8}, (), False),
    ],
)
def test_what_is_left_out_is_named(config: dict[str, Any], left_out: tuple[str, ...], *, quantized: bool) -> None:
    stated = read_stated(config)
    assert (stated.left_out, stated.quantized) == (left_out, quantized)


def test_an_adapter_beside_the_file_is_left_out(tmp_path: Path) -> None:
    assert not has_adapter(str(tmp_path))
    for name in ("config.json", "adapter_config.json"):
        (tmp_path / name).write_text("{}")
    assert has_adapter(str(tmp_path))
    assert has_adapter(str(tmp_path / "config.json"))
    assert not has_adapter("org/name")
    assert read_stated({}, adapter=True).left_out == ("adapters (adapter_config.json)",)
