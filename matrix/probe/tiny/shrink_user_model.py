"""Shrinks a user's own model: the rules on its own configuration, then the sizes that the catalog's search tries."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from transformers import PretrainedConfig

from matrix.model import Architecture, Source
from matrix.probe.tiny import buffer_sites as sites
from matrix.probe.tiny import recipes, search, user_model
from matrix.probe.tiny.plain_tables import shrink_tables

FAMILY = "own"
MOST_PARAMETERS = 64_000_000
"""More than that is not tiny: 256 MB on every rank, and as much in the checkpoint."""


@dataclass(frozen=True)
class Tiny:
    """What is measured in the place of a model: a source with small sizes, and what its model is made of."""

    source: Source
    sites: tuple[str, ...]
    parameters: int


def shrink(source: Source, wanted: frozenset[str] = frozenset()) -> Tiny:
    """Returns the first that can be built and keeps the buffer sites `wanted`; otherwise the one that keeps most.

    Raises what refused the first where none can be built, and UnsupportedError.
    """
    found: list[Tiny] = []
    refused: Exception | None = None
    for candidate in _candidates(source):
        try:
            tiny = _built(candidate)
        except recipes.UnsupportedError:
            raise
        except Exception as error:
            refused = refused or error
            continue
        if wanted <= {*tiny.sites}:
            return tiny
        found.append(tiny)
    if not found:
        raise refused or ValueError("no sizes to try")
    return min(found, key=lambda tiny: (len(wanted - {*tiny.sites}), tiny.parameters))


def _candidates(source: Source) -> Iterator[Source]:
    """Yields `source` with small sizes: first by the rules, then without values that its class derives from others.

    What was derived from larger values no longer fits. Then every size is made smaller, or more of what is equal or
    large in the full-size model stays so.
    """
    full = user_model.make_full_config(source)
    values = user_model.read_values(source)
    yield _with(source, full, values, {})
    stated = recipes.select_arguments(full, values)
    yield from _squeezed(source, full, stated)
    for kept in (stated, values, _without_layer_lists(stated)):
        for sizes in search.propose_sizes(full):
            yield _with(source, full, kept, sizes)


def _without_layer_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `values` without lists as long as there are layers: with fewer layers their class derives them."""
    layers = {values[name] for name in recipes.LAYERS if name in values}
    return {
        name: _without_layer_lists(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if not (isinstance(value, list) and len(value) in layers)
    }


def _squeezed(source: Source, full: PretrainedConfig, values: Mapping[str, Any]) -> Iterator[Source]:
    """Yields `source` with sizes made smaller that have no rule, where the rules alone leave too much."""
    cls = user_model.find_class(source)

    def build(sizes: Mapping[str, Any]) -> search.Sketch:
        return search.sketch(cls, user_model.make_full_config(_with(source, full, values, sizes)))

    with suppress(Exception):
        tiny = build({})
        if tiny.parameters > MOST_PARAMETERS:
            yield _with(source, full, values, search.squeeze(build, {}, tiny)[0])


def _with(source: Source, full: PretrainedConfig, values: Mapping[str, Any], sizes: Mapping[str, Any]) -> Source:
    """Returns `source` with `values`, shrunk by the rules except for the given `sizes`; as JSON would hold it."""
    by_rule = recipes.merge(recipes.shrink(full), shrink_tables(full))
    small = recipes.replace_sizes(full, values, recipes.merge(by_rule, sizes))
    # Through JSON, since it travels to the ranks that way: what is tried here is what they get.
    return replace(source, tiny=json.loads(json.dumps(small)), full=True)


def _built(source: Source) -> Tiny:
    """Builds the model of that source. Raises what its constructor raises, and ValueError for one that is not tiny."""
    # Counted without memory first: a model of billions of parameters would take the machine with it.
    _small_enough(source)
    model = recipes.build(Architecture("", FAMILY, source=source))
    return Tiny(source, tuple(sites.buffer_sites(model)), sum(parameter.numel() for parameter in model.parameters()))


def _small_enough(source: Source) -> None:
    """Raises ValueError for a model that is still so large that building it would be a nuisance."""
    try:
        parameters = sketch(source).parameters
    except Exception:
        return  # it will say so when it is built
    if parameters > MOST_PARAMETERS:
        raise ValueError(f"no rule makes it smaller than {parameters:,} parameters")


def sketch(source: Source) -> search.Sketch:
    """Returns the model of that source without its memory. Raises what its constructor raises, and TargetError."""
    return search.sketch(user_model.find_class(source), user_model.make_full_config(source))
