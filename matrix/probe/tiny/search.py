"""The smallest valid configuration that keeps every buffer site, found by trying: rules first, then what they break.

Nothing is drawn at random, so the same transformers gives the same recipe. Everything is built without memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel

from matrix.probe.tiny import recipes
from matrix.probe.tiny.buffer_sites import buffer_sites, build_on_meta, float32_sites

Values = dict[str, Any]
Path = tuple[str, ...]

BUDGET = 1_000_000
"""Parameters that a tiny model may have before sizes without a rule are made smaller too."""
WIDTH = 32
"""What is equal in the full-size configuration and at least so large stays equal in the tiny one, if need be."""
NO_WIDTHS = ("_token_id", "_token_index", "vocab_size", "_index", "_id")
"""How configuration names end that are equal to others by chance."""
SMALLER = (64, 32, 16, 8)
"""What a size without a rule is tried with, where the model is too large."""
RESNET = {"model_type": "resnet"}
BACKBONES: tuple[Values, ...] = (
    {"backbone_config": RESNET},
    {"backbone_config": {**RESNET, "out_features": ["stage2", "stage3", "stage4"]}},
    {"backbone_config": {**RESNET, "out_features": ["stage1", "stage2", "stage3", "stage4"]}},
)
"""Replaces a backbone that needs a package which is not installed."""


@dataclass(frozen=True)
class Recipe:
    """How a model becomes tiny: `config` is what is set in its default configuration beyond the rules.

    `sites` are the buffer sites of the full-size model, `lost` those of them that the tiny one has not.
    """

    config: Values
    sites: dict[str, str]
    lost: tuple[str, ...]
    parameters: int


@dataclass(frozen=True)
class Sketch:
    """A model without memory: its configuration, its buffer sites, its number of parameters and its classes.

    `float32` are the sites of tensors that its lists keep in float32.
    """

    config: PretrainedConfig
    sites: dict[str, str]
    float32: list[str]
    parameters: int
    classes: list[str]


Build = Callable[[Values], Sketch]
"""Makes the tiny model from what is set in its configuration beyond the rules. Raises what its constructor raises."""


def sketch(cls: type[PreTrainedModel], config: PretrainedConfig) -> Sketch:
    """Returns the sketch of `cls` with `config`. Raises what its constructor raises."""
    model = build_on_meta(cls, config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    kinds = sorted({type(module).__name__ for module in model.modules()})
    return Sketch(config, buffer_sites(model), float32_sites(model), parameters, kinds)


def complete_config(cls: type[PreTrainedModel], given: Mapping[str, Any]) -> tuple[Values, Sketch]:
    """Returns what the default configuration needs besides `given` to build the full-size model, and that model.

    Raises what the constructor raises of the default when no completion helps.
    """
    try:
        return {}, sketch(cls, recipes.make_full_config(cls, given))
    except Exception as error:
        refused = error
    for completion in propose_completions(cls, given):
        with suppress(Exception):
            return completion, sketch(cls, recipes.make_full_config(cls, recipes.merge(completion, given)))
    raise refused


def propose_completions(cls: type[PreTrainedModel], given: Mapping[str, Any]) -> Iterator[Values]:
    """Yields what a default configuration may need: a size that it leaves null, all of them, a backbone, or both."""
    with suppress(Exception):
        config = recipes.make_full_config(cls, given)
        empty = [nest(path, value) for path, value in find_unset_sizes(config)]
        everything = recipes.merge_all(empty)
        yield from empty
        yield everything
        lists = [
            nest(path, tuples_to_lists(value)) for path, value in read_leaves(config) if tuples_to_lists(value) != value
        ]
        yield from (recipes.merge_all(lists), *lists)
        for backbone in propose_backbones(config):
            yield backbone
            yield recipes.merge(everything, backbone)


def propose_backbones(config: PretrainedConfig) -> Iterator[Values]:
    """Yields replacements for backbones and towers that need a package which is not installed."""
    if hasattr(config, "backbone_config"):
        yield from BACKBONES
    towers = [path for path, inner in find_inner_configs(config) if inner.model_type.startswith("timm_")]
    if towers:
        yield recipes.merge_all(nest(path, RESNET) for path in towers)


def find_inner_configs(config: PretrainedConfig, path: Path = ()) -> Iterator[tuple[Path, PretrainedConfig]]:
    """Yields every configuration inside `config`, with its path."""
    for name, value in recipes.read_arguments(config).items():
        if isinstance(value, PretrainedConfig):
            yield (*path, name), value
            yield from find_inner_configs(value, (*path, name))


def find_unset_sizes(config: PretrainedConfig, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields the sizes that `config` and those inside it leave null, with what a tiny model has there."""
    for name, value in recipes.read_arguments(config).items():
        if isinstance(value, PretrainedConfig):
            yield from find_unset_sizes(value, (*path, name))
        elif value is None and name in recipes.LARGEST:
            yield (*path, name), recipes.LARGEST[name]


def shrink(cls: type[PreTrainedModel], given: Mapping[str, Any], seed: Mapping[str, Any] | None = None) -> Recipe:
    """Finds how `cls` becomes tiny with every buffer site of the full-size model; `given` is set by hand.

    `seed` is a configuration that did elsewhere, tried first. Raises what the constructor raises when nothing helps.
    """
    completion, full = complete_config(cls, given)
    config = recipes.merge(recipes.shrink_values(completion), given)

    def build(values: Values) -> Sketch:
        return sketch(cls, recipes.make_tiny_config(cls, values))

    found = _again(build, recipes.merge(config, seed), full) if seed else None
    values, tiny = found or _smallest(build, config, full)
    return Recipe(values, full.sites, _lost(full, tiny), tiny.parameters)


def _lost(full: Sketch, tiny: Sketch) -> tuple[str, ...]:
    return tuple(sorted(full.sites.keys() - tiny.sites.keys()))


def _again(build: Build, values: Values, full: Sketch) -> tuple[Values, Sketch] | None:
    """Returns `values` if they work here as well."""
    with suppress(Exception):
        tiny = build(values)
        if not _lost(full, tiny):
            return values, tiny
    return None


def _smallest(build: Build, config: Values, full: Sketch) -> tuple[Values, Sketch]:
    """Returns the values to add to `config`, and the model that they give."""
    values, tiny = _first(build, (recipes.merge(config, sizes) for sizes in propose_sizes(full.config)), full)
    return squeeze(build, values, tiny) if tiny.parameters > BUDGET else (values, tiny)


def _first(build: Build, tries: Iterable[Values], full: Sketch) -> tuple[Values, Sketch]:
    """Returns the first values that are accepted, lose no site and are within the budget; otherwise the best of all."""
    found: list[tuple[Values, Sketch]] = []
    refused: Exception | None = None
    for values in tries:
        try:
            tiny = build(values)
        except Exception as error:
            refused = refused or error
            continue
        found.append((values, tiny))
        # The order of the tries is the order of preference: the first that fits is closest to the full-size model.
        if not _lost(full, tiny) and tiny.parameters <= BUDGET:
            break
    if not found:
        raise refused or ValueError("no sizes to try")
    return min(found, key=lambda one: (len(_lost(full, one[1])), one[1].parameters))


def propose_sizes(full: PretrainedConfig) -> Iterator[Values]:
    """Sizes to lay over the shrunken configuration, in the order in which they are tried."""
    widths = find_equal_widths(full)
    bases = [recipes.merge_all(nest(*one) for one in group) for group in ([], widths, widen(full))]
    kept = [nest(*one) for one in find_shrunken(full)] + restore_inner_configs(full)
    yield from bases
    for base in bases:
        yield from (recipes.merge(base, one) for one in kept)
    yield from (nest(*one) for one in widths)


def read_leaves(config: PretrainedConfig, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields every argument of `config` and of those inside it that is not a configuration, with its value."""
    for name, value in recipes.read_arguments(config).items():
        if isinstance(value, PretrainedConfig):
            yield from read_leaves(value, (*path, name))
        else:
            yield (*path, name), value


def find_shrunken(full: PretrainedConfig) -> Iterator[tuple[Path, Any]]:
    """Yields what the rules make smaller, with the full-size value."""
    for path, value in read_leaves(full):
        if recipes.shrink_value(path[-1], value) != value or path[-1] in (*recipes.LAYERS, *recipes.LAYER_KINDS):
            yield path, value


def restore_inner_configs(full: PretrainedConfig) -> list[Values]:
    """Returns every configuration inside `full` in full size."""
    sizes = list(find_shrunken(full))
    return [
        recipes.merge_all(nest(path, value) for path, value in sizes if path[: len(outer)] == outer)
        for outer, _ in find_inner_configs(full)
    ]


def find_sizes(config: PretrainedConfig) -> dict[Path, int]:
    """Returns the sizes of `config` and those inside it."""
    return {
        path: value for path, value in read_leaves(config) if isinstance(value, int) and not isinstance(value, bool)
    }


def find_equal_widths(full: PretrainedConfig) -> list[tuple[Path, int]]:
    """Sizes without a rule that equal one with a rule in the full-size model, made equal to it in the tiny one.

    Of several a hidden size counts before others, then what is in the same configuration.
    """
    sizes = find_sizes(full)
    tiny = {path: recipes.shrink_value(path[-1], value) for path, value in sizes.items()}
    found = []
    for path, value in sizes.items():
        leaders = [other for other in sizes if sizes[other] == value and tiny[other] != value]
        if value >= WIDTH and tiny[path] == value and leaders and not path[-1].endswith(NO_WIDTHS):
            leader = min(leaders, key=lambda other: ("hidden" not in other[-1], other[:-1] != path[:-1]))
            found.append((path, tiny[leader]))
    return found


def widen(full: PretrainedConfig) -> list[tuple[Path, int]]:
    """Returns four times the widths that the rules give, where the full-size model has so much."""
    small = {path: (recipes.shrink_value(path[-1], value), value) for path, value in find_sizes(full).items()}
    return [(path, min(4 * tiny, value)) for path, (tiny, value) in small.items() if WIDTH <= 2 * tiny < 2 * value]


def squeeze(build: Build, values: Values, tiny: Sketch) -> tuple[Values, Sketch]:
    """Adds to `values` one smaller size after the other, step by step, until the model is within the budget."""
    for largest in SMALLER:
        # A list, because `tiny` is replaced inside the loop.
        for path, value in list(read_leaves(tiny.config)):
            if tiny.parameters <= BUDGET:
                return values, tiny
            if (less := cap(value, largest)) == value:
                continue
            trial = recipes.merge(values, nest(path, less))
            with suppress(Exception):
                other = build(trial)
                if other.parameters < tiny.parameters and other.sites == tiny.sites:
                    values, tiny = trial, other
    return values, tiny


def cap(value: Any, largest: int) -> Any:
    """Returns `value` with no whole number above `largest`, in lists of lists too."""
    if isinstance(value, (list, tuple)):
        return type(value)(cap(item, largest) for item in value)
    return min(value, largest) if isinstance(value, int) and not isinstance(value, bool) else value


def tuples_to_lists(value: Any) -> Any:
    """Returns `value` with lists for tuples, as a configuration that was read from a file has."""
    return [tuples_to_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def nest(path: Path, value: Any) -> Values:
    """Returns nested tables that hold `value` at `path`."""
    for name in reversed(path):
        value = {name: value}
    return value
