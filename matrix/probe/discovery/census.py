"""How each architecture becomes tiny, and whether that keeps every buffer site: see `matrix.probe.discovery`.

The question is {"architectures": [{"id", "config", "seed"}, ...], "processes": n}, `config` being what is added to
the default configuration and `seed` what made it tiny elsewhere. The answer is one object for each, sorted by id.
"""

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matrix.model import Architecture, Precision
from matrix.probe.checkpoint.baseline import build_fixtures
from matrix.probe.discovery.each import Values, answer_each
from matrix.probe.exceptions import explain
from matrix.probe.tiny import recipes, search
from matrix.probe.tiny.buffer_sites import buffer_sites, float32_sites
from matrix.probe.tiny.odd_sizes import make_uneven
from matrix.verdicts import Verdict

TIMEOUT = 300.0
"""Seconds that the search for a tiny configuration may take; the longest takes about twenty."""

MOST_PARAMETERS = 8_000_000
"""More than that, buffers included, is not tiny."""


def census(entry: Values) -> Values:
    """Returns one answer: `status` is ok, no_class, unsupported or error, the latter three with a `message`."""
    try:
        return {"id": entry["id"], "status": "ok", **measure(entry)}
    except recipes.NoSuchClassError as error:
        return {"id": entry["id"], "status": "no_class", "message": str(error)}
    except recipes.UnsupportedError as error:
        return {"id": entry["id"], "status": "unsupported", "message": str(error)}
    except Exception as error:
        return {"id": entry["id"], "status": "error", "message": explain(error)}


def measure(entry: Values) -> Values:
    """Builds the tiny model. Returns its configuration, the full-size model's sites that it has not, and its numels.

    `broken` says why it cannot be loaded in one process, empty where it can.
    """
    cls = recipes.find_class(Architecture(entry["id"], ""))
    recipe, broken = shrink_loadable(entry["id"], cls, entry.get("config", {}), entry.get("seed"))
    model = recipes.build(Architecture(entry["id"], "", recipe.config))
    parameters = [parameter.numel() for parameter in model.parameters()]
    size = sum(parameters) + sum(buffer.numel() for buffer in model.buffers())
    if size > MOST_PARAMETERS:
        raise ValueError(f"it cannot be made smaller than {size:,} parameters and buffer elements")
    own = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    state = {name: tensor for name, tensor in model.state_dict().items() if name in own}
    return {
        "config": recipe.config,
        "sites": recipe.sites,
        "missing": sorted(recipe.sites.keys() - buffer_sites(model).keys()),
        "float32": float32_sites(model),
        "parameters": sum(parameters),
        "odd_parameters": sum(numel % 2 for numel in parameters),
        "buffers": {name: tensor.numel() for name, tensor in state.items()},
        "broken": broken,
    }


def shrink_loadable(name: str, cls: Any, given: Values, seed: Values | None) -> tuple[search.Recipe, str]:
    """Shrinks `cls`. Returns the recipe and why one process cannot load it, if so. Raises as `search.shrink`.

    Conversions of transformers 5 count on sizes that its constructors do not ask for: what is written is cut into heads.
    So where something is wrong with a size that is odd, or that did elsewhere, the plain rules are tried.
    """
    recipe = make_uneven(cls, search.shrink(cls, given, seed))
    right, why = try_plain_load(name, recipe)
    with contextlib.suppress(Exception):
        even = recipe if right else search.shrink(cls, given)
        if even.config != recipe.config and even.lost == recipe.lost and try_plain_load(name, even)[0]:
            return even, ""
    return recipe, why


def try_plain_load(name: str, recipe: search.Recipe) -> tuple[bool, str]:
    """Returns whether one process gets back all that it saved of the model, and why it cannot load it, or nothing.

    Raises ValueError for a model that is not tiny.
    """
    if recipe.parameters > MOST_PARAMETERS:
        raise ValueError(f"it cannot be made smaller than {recipe.parameters:,} parameters")
    with TemporaryDirectory() as root:
        [fixture] = build_fixtures(Architecture(name, "", recipe.config), Path(root), [Precision.FLOAT32])
        refused = fixture.error if fixture.verdict is not Verdict.PASS else None
        why = f"{refused.type}: {' '.join(refused.message.split())}".replace(root, "")[:300] if refused else ""
    return not fixture.error and not fixture.baseline, why


def answer(question: Values) -> list[Values]:
    """Returns the answers, one for every architecture."""
    died = f"the search failed: its process ended early, or it took longer than {TIMEOUT:.0f} s"
    return answer_each(question, census, TIMEOUT, {"status": "error", "message": died})
