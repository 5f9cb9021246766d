"""A user's own model: from what they named to a class and its configuration, without a hub.

Code is run only from where the source says so: a folder that the user trusts, or a module that they named.
"""

import difflib
import importlib
import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import transformers
from transformers import PretrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from matrix.model import Source
from matrix.probe.tiny import classes

HEADS = (
    *("SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "IMAGE_TEXT_TO_TEXT", "CTC", "MASKED_LM", "CAUSAL_LM"),
    *("ZERO_SHOT_IMAGE_CLASSIFICATION", "IMAGE_CLASSIFICATION"),
)
"""What a model type named without a class is taken to be trained as, the first that it has; else its base model.

An encoder of text has a causal head too, and CLIP one for image classification: few train these.
"""

LEFT_OUT = (
    *("_attn_implementation", "_name_or_path", "architectures", "attn_implementation", "auto_map", "dtype"),
    *("quantization_config", "torch_dtype", "transformers_version"),
)
"""What a configuration file says about a checkpoint and not about the model. It is loaded in float32, unquantized."""

NO_DOWNLOAD = {"use_pretrained_backbone": False}
"""Laid over what asks for the weights of somebody else's model."""


class TargetError(Exception):
    """There is nothing to check; the message says why and what to do, for the user."""


def find_class(source: Source) -> type[PreTrainedModel]:
    """Returns the class that `source` names. Raises TargetError."""
    if source.name:
        return _named(source)
    if source.folder and "auto_map" in source.config:
        return _custom(source)
    model_type, (class_name, *_) = str(source.config.get("model_type")), [*_strings(source, "architectures"), ""]
    try:
        return _installed(model_type, class_name)
    except TargetError as error:
        hint = "its folder has its own code: read it, then use --trust-remote-code"
        raise TargetError(f"{error}; {hint}") if "auto_map" in source.config else error from None


def make_full_config(source: Source) -> PretrainedConfig:
    """Returns the configuration of the model, in its full size unless the source has smaller values.

    Raises TargetError, also for values that its class refuses.
    """
    config_class = find_class(source).config_class
    _require_same_type(source, config_class)
    try:
        stated = deepcopy(dict(source.tiny)) or read_values(source)  # classes take what they are given apart
        return config_class.from_dict(stated) if source.config or source.tiny else config_class()
    except Exception as error:
        raise TargetError(f"{config_class.__name__} rejects the configuration: {explain_briefly(error)}") from error


def _require_same_type(source: Source, config_class: type[PretrainedConfig]) -> None:
    """Raises TargetError for the configuration of another model than the class that was named is for."""
    stated, takes = source.config.get("model_type"), getattr(config_class, "model_type", "")
    if source.name and stated and takes and stated != takes:
        raise TargetError(
            f"{source.name} takes configurations with the model_type {takes!r}, and this one has {stated!r}"
        )


def read_values(source: Source) -> dict[str, Any]:
    """Returns what the configuration file says about the model itself; nothing where there is no file."""
    stated = {name: value for name, value in _about_the_model(source.config).items() if name != "model_type"}
    return {**stated, **{name: value for name, value in NO_DOWNLOAD.items() if name in stated}}


def explain_briefly(error: Exception) -> str:
    """Returns the type and the message of `error` on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _about_the_model(stated: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in stated.items() if name not in LEFT_OUT}
    return {name: _about_the_model(value) if isinstance(value, Mapping) else value for name, value in kept.items()}


def _strings(source: Source, name: str) -> list[str]:
    stated = source.config.get(name)
    return [value for value in stated if isinstance(value, str)] if isinstance(stated, list) else []


def _close(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), 3)
    return f": did you mean {', '.join(found)}?" if found else ""


def _named(source: Source) -> type[PreTrainedModel]:
    before, _, class_name = source.name.partition(":")
    ours = getattr(getattr(transformers, class_name, None), "config_class", None) if class_name else None
    if not class_name or before in CONFIG_MAPPING_NAMES or getattr(ours, "model_type", None) == before:
        return _installed(before, class_name)
    return _imported(before, class_name, source.paths)


def _installed(model_type: str, class_name: str) -> type[PreTrainedModel]:
    """Returns a class of transformers' own, the one that is trained most often where no `class_name` is given."""
    try:
        found: Any = classes.find(class_name or _usual_class(model_type))
    except ImportError as error:
        raise TargetError(f"a package is missing in {sys.executable}: {explain_briefly(error)}") from error
    if found is None:
        raise TargetError(_no_such(model_type, class_name))
    name = found.__name__
    if lacking := getattr(found, "_backends", ()):  # a placeholder for the class
        raise TargetError(f"{name} needs {' and '.join(lacking)}, which is not installed in {sys.executable}")
    if (has := classes.model_type(_checked(found, name))) != model_type:
        raise TargetError(f"the model_type of {name} is {has!r}, not {model_type!r}")
    return found


def _no_such(model_type: str, class_name: str) -> str:
    has_no = f"transformers {transformers.__version__} has no"
    if model_type in CONFIG_MAPPING_NAMES:
        models = [name for name in dir(transformers) if name.startswith(class_name[:1])]
        return f"{has_no} class {class_name!r} of {model_type}{_close(class_name, models)}"
    close = _close(model_type, CONFIG_MAPPING_NAMES)
    return f"{has_no} model type {model_type!r}{close or ', a newer version may have it'}"


def _usual_class(model_type: str) -> str:
    mappings = vars(modeling_auto)
    for head in (*(f"MODEL_FOR_{head}_MAPPING_NAMES" for head in HEADS), "MODEL_MAPPING_NAMES"):
        if name := mappings.get(head, {}).get(model_type):
            return str(name if isinstance(name, str) else name[0])
    return ""


def _imported(module: str, class_name: str, paths: tuple[str, ...]) -> type[PreTrainedModel]:
    # At the end: nothing in the user's folder may hide an installed package.
    sys.path.extend(path for path in paths if path not in sys.path)
    try:
        found = getattr(importlib.import_module(module), class_name, None)
    except ModuleNotFoundError as error:
        if f"{module}.".startswith(f"{error.name}."):
            where = f"nor in {paths[0]}" if paths else "there"
            raise TargetError(
                f"no module {error.name!r} in {sys.executable} {where} (PYTHONPATH adds more folders)"
            ) from error
        raise TargetError(f"{module} needs the package {error.name}, which is not in {sys.executable}") from error
    except Exception as error:
        raise TargetError(f"{module} cannot be imported: {explain_briefly(error)}") from error
    if found is None:
        names = vars(sys.modules[module])
        raise TargetError(f"module {module!r} has no {class_name!r}{_close(class_name, names)}")
    return _checked(found, f"{module}:{class_name}")


def _checked(found: Any, name: str) -> type[PreTrainedModel]:
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise TargetError(f"{name} is not a PreTrainedModel: only such classes have from_pretrained")
    if not isinstance(getattr(found, "config_class", None), type):
        raise TargetError(f"{name} has no config_class: set it to your PretrainedConfig")
    return found


def _custom(source: Source) -> type[PreTrainedModel]:
    """Returns the class of the folder's own code that its configuration names."""
    stated = source.config["auto_map"]
    mapped = stated.items() if isinstance(stated, Mapping) else ()
    models = [value for name, value in mapped if name.startswith("AutoModel") and isinstance(value, str)]
    wanted = _strings(source, "architectures")
    reference = next((value for value in models if value.rpartition(".")[2] in wanted), next(iter(models), ""))
    if not reference or "--" in reference:
        elsewhere = f"is in another repository, {reference.partition('--')[0]}: download it into the folder"
        raise TargetError(f"the code of this model {elsewhere}" if reference else "auto_map names no AutoModel class")
    try:
        return _checked(get_class_from_dynamic_module(reference, source.folder), reference)
    except TargetError:
        raise
    except Exception as error:
        raise TargetError(f"{reference} cannot be imported from {source.folder}: {explain_briefly(error)}") from error
