"""Tiny models with a parameter that does not split evenly between ranks: ZeRO-3 pads it, and may get that wrong."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel

from matrix.probe.tiny import recipes
from matrix.probe.tiny.buffer_sites import buffer_sites, build_on_meta
from matrix.probe.tiny.search import NO_WIDTHS, Recipe, Values, find_sizes, nest

_INNER, _WIDTHS = (frozenset(recipes.SIZES[rule].split()) for rule in (24, 32))
"""Names of the inner widths of feed-forward layers; of the widths between layers, and of sizes of the same rule."""
_HEADS = frozenset(name for name in recipes.LARGEST if name.endswith(("heads", "n_head")))


def make_uneven(cls: type[PreTrainedModel], recipe: Recipe) -> Recipe:
    """Returns `recipe` with sizes that give a parameter of odd numel and keep the buffer sites, if any do."""
    tiny = recipes.make_tiny_config(cls, recipe.config)
    even = build_on_meta(cls, tiny)
    if _uneven(even):
        return recipe
    for sizes in _sizes(tiny):
        with suppress(Exception):
            values = recipes.merge(recipe.config, sizes)
            model = build_on_meta(cls, recipes.make_tiny_config(cls, values))
            if _uneven(model) and buffer_sites(model) == buffer_sites(even):
                return replace(recipe, config=values, parameters=sum(p.numel() for p in model.parameters()))
    return recipe


def _uneven(model: Any) -> bool:
    return any(parameter.numel() % 2 for parameter in model.parameters())


def _sizes(tiny: PretrainedConfig) -> Iterator[Values]:
    """Yields what is tried, the smallest change first: inner widths (biases), widths (norms), then three heads."""
    sizes = find_sizes(tiny)

    def all_of(names: frozenset[str], odd: Callable[[int], int]) -> Values:
        return recipes.merge_all(nest(path, odd(size)) for path, size in sizes.items() if path[-1] in names)

    yield all_of(_INNER, _next)
    yield all_of(_WIDTHS, _next)
    yield recipes.merge(all_of(_WIDTHS, _three_times), all_of(_HEADS, lambda size: 3 if size > 1 else size))
    alone = [(path, _next(size)) for path, size in sizes.items() if size > 2 and not path[-1].endswith(NO_WIDTHS)]
    yield from (nest(path, size) for path, size in alone)


def _next(size: int) -> int:
    """Returns the odd number from `size` on."""
    return size + 1 - size % 2


def _three_times(size: int) -> int:
    """Returns an odd number near `size` that three divides. What is smaller than sixteen is not a width."""
    return size if size < 16 else 15 if size < 32 else 33
