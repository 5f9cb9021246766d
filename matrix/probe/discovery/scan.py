"""Every model class of the installed transformers, where it has buffers, and what it keeps in float32.

See `matrix.probe.discovery`.

The question is {"configs": {model_type: values}, "processes": n}: what is added to the default configurations of some
model types; with "folders" only those models are looked at. The answer is {"class": {...}} for every class that has a
buffer or a tensor that a list keeps in float32 or, not built, may have a buffer, and {"unreached": [...]} last, the
persistent buffers that the sources register and no model that was built has.
"""

import functools
import importlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from matrix.probe.discovery.source_scan import makes_modules, read_written_sites
from matrix.probe.exceptions import explain
from matrix.probe.ranks.ipc import map_in_processes
from matrix.probe.tiny import classes, recipes, search

_LACKING = re.compile(r"requires the ([\w.-]+) library")

_INNER = ("module", "modules", "suspect")
"""What is known of a class and not part of the answer."""

TIMEOUT = 60.0
"""Seconds that a class has to be built in, full-size and without memory; the slowest takes two."""

Values = dict[str, Any]
Configs = Mapping[str, Mapping[str, Any]]
"""What is laid over the default configuration of a model type, its own or inside another."""


def select_configs(cls: type[PreTrainedModel], configs: Configs) -> list[Values]:
    """Returns what `configs` say about `cls`: with the configurations inside it, or without where those do not fit."""
    own = dict(configs.get(cls.config_class.model_type, {}))
    inside = _insides(cls.config_class, json.dumps(own))
    inner_configs = [
        search.nest(path, dict(configs[inner.model_type])) for path, inner in inside if inner.model_type in configs
    ]
    return [recipes.merge(recipes.merge_all(inner_configs), own), *([own] if inner_configs else [])]


@functools.cache
def _insides(kind: type[PretrainedConfig], own: str) -> list[tuple[search.Path, PretrainedConfig]]:
    try:
        return list(search.find_inner_configs(recipes.make_default_config(kind, json.loads(own))))
    except Exception:  # building the model reports why
        return []


def describe(cls: type[PreTrainedModel], configs: Configs) -> Values:
    """Describes a class: its sites and the classes of its modules, or why it could not be built."""
    attempts = [_built(cls, config) for config in select_configs(cls, configs)]
    about = next((one for one in attempts if "sites" in one), attempts[0])
    return {"id": f"{classes.model_type(cls)}:{cls.__name__}", "module": cls.__module__, **about}


def _built(cls: type[PreTrainedModel], config: Values) -> Values:
    try:
        _, full = search.complete_config(cls, config)
    except Exception as error:
        return {"error": explain(error), "suspect": is_suspect(cls, error)}
    kept = {"sites": full.sites, "float32": full.float32}
    return {**kept, "config": config, "parameters": full.parameters, "modules": full.classes}


def is_suspect(cls: type[PreTrainedModel], error: Exception) -> bool:
    """Returns whether a class that cannot be built has modules, and so maybe buffers, of a missing package.

    A class that only holds a model which cannot be built is not suspect; that model is.
    """
    if not isinstance(error, ImportError):
        return False
    holder, _, _ = str(error).strip().partition(" requires the ")
    lacking = _LACKING.findall(str(error))
    file = classes.source(cls.__module__)
    return hasattr(sys.modules[cls.__module__], holder) and any(makes_modules(file, package) for package in lacking)


def import_modules(names: Sequence[str]) -> tuple[list[type[PreTrainedModel]], list[Values]]:
    """Imports the modules `names`. Returns their models, and an error for each module that cannot be imported."""
    modules = {name: _import(name) for name in names}
    found = [cls for module in modules.values() if isinstance(module, ModuleType) for cls in classes.defined(module)]
    failed = [_not_imported(name, error) for name, error in modules.items() if isinstance(error, Exception)]
    return [cls for cls in found if not classes.is_part(cls)], failed


def _import(name: str) -> ModuleType | Exception:
    try:
        return importlib.import_module(name)
    except Exception as error:
        return error


def _not_imported(name: str, error: Exception) -> Values:
    file = classes.source(name)
    last = classes.written_classes(file)[-1]  # a model comes after what it is made of
    return {"id": f"{name.split('.')[-2]}:{last}", "module": name, "error": explain(error), "suspect": False}


def find_unreached(answers: Sequence[Values], names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the buffers that the modules `names` register and no model that was built has, by module."""
    modules = {name for about in answers for name in about.get("modules", ())}
    sites = {site for about in answers for site in about.get("sites", ())}
    buffers = {site.partition(".")[2] for site in sites}

    def reached(site: str) -> bool:
        """Returns whether the class was built. A subclass has it under its own name; a norm is a module of its own."""
        owner, _, name = site.partition(".")
        return site in sites or (owner in modules and (name == "*" or "BatchNorm" in name or name in buffers))

    left = {name: [site for site in read_written_sites(classes.source(name)) if not reached(site)] for name in names}
    return {name: sites_of_one for name, sites_of_one in left.items() if sites_of_one}


def discover(names: Sequence[str], configs: Configs, processes: int) -> list[Values]:
    """Describes every class of the modules `names`, sorted by id.

    Of each configuration a head is built first. The other classes of a module are left out where no such head has a
    buffer or a float32 tensor and the source registers no buffer: nothing is in them that could add one.
    """
    found, answers = import_modules(names)
    # A head holds its base model, so one build answers for both.
    first = list({(cls.__module__, cls.config_class): cls for cls in sorted(found, key=_rarity)}.values())
    answers += _describe_all(first, configs, processes)
    bearing = {about["module"] for about in answers if about.get("sites") != {} or about["float32"]}
    bearing |= {name for name in names if read_written_sites(classes.source(name))}
    rest = [cls for cls in found if cls not in first and cls.__module__ in bearing]
    return sorted(answers + _describe_all(rest, configs, processes), key=lambda about: about["id"])


def _rarity(cls: type[PreTrainedModel]) -> tuple[bool, str]:
    """Sorts classes so that the last one of a configuration represents it: a head rather than its base model."""
    return "For" in cls.__name__, cls.__name__


def _describe_all(found: Sequence[type[PreTrainedModel]], configs: Configs, processes: int) -> list[Values]:
    """Describes each class in a process; one that ends its process or takes too long gets an error."""
    answers = []
    for cls, about in map_in_processes(found, partial(describe, configs=configs), processes, TIMEOUT):
        name = {"id": f"{classes.model_type(cls)}:{cls.__name__}", "module": cls.__module__}
        died = {"error": f"its process ended early, or it took longer than {TIMEOUT:.0f} s", "suspect": True}
        answers.append(about or {**name, **died})
    return answers


def select_answers(answers: Sequence[Values], left: Mapping[str, Sequence[str]]) -> list[Values]:
    """Returns the classes with a buffer or a float32 tensor, and those not built that may have a buffer of their own.

    These are made of another package's modules, or the source that they are written in registers what is `left`. A
    base class without a forward is not a model.
    """
    bases = {about["id"] for about in answers if "error" in about and about["id"].endswith("PreTrainedModel")}
    failed = [about for about in answers if "error" in about and (about["suspect"] or about["module"] in left)]
    wanted = [about["id"] for about in failed if about["id"] not in bases]
    return [about for about in answers if about.get("sites") or about.get("float32") or about["id"] in wanted]


def answer(question: Values) -> list[Values]:
    """Returns the answers."""
    torch.set_num_threads(1)
    folders = question.get("folders")
    names = [name for name in classes.model_modules() if not folders or name.split(".")[2] in folders]
    answers = discover(names, question["configs"], question["processes"])
    left = find_unreached(answers, names)
    kept = [{n: v for n, v in about.items() if n not in _INNER} for about in select_answers(answers, left)]
    sites = sorted(site for sites_of_one in left.values() for site in sites_of_one)
    return [*({"class": about} for about in kept), {"unreached": sites}]
