"""PURE. Finds few architectures that together have every buffer site, greedily and always the same."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

HEADS = (
    *("ForCausalLM", "ForConditionalGeneration", "ForMaskedLM", "ForImageClassification", "ForObjectDetection"),
    *("ForSemanticSegmentation", "ForUniversalSegmentation", "ForTextRecognition", "ForCTC", "ForPrediction"),
    *("MTModel", "Model"),
)
"""How the classes end that people load most, the most common first; then other heads, then parts of models."""


def cover(bearers: Mapping[str, Collection[Any]], rank: Callable[[str], Any]) -> tuple[str, ...]:
    """Returns names in `bearers` that together have everything it lists, sorted.

    The one that adds most comes first; of several that add as much, the one that `rank` gives the least.
    """
    left = {site for sites in bearers.values() for site in sites}
    chosen = []
    while left:
        best = min(bearers, key=lambda name: (-len(left.intersection(bearers[name])), rank(name), name))
        chosen.append(best)
        left.difference_update(bearers[best])
    return tuple(sorted(chosen))


def cover_left(
    bearers: Mapping[str, Collection[str]], chosen: Collection[str], rank: Callable[[str], Any]
) -> tuple[str, ...]:
    """Returns names in `bearers` that together have everything it lists and those `chosen` have not, as `cover`."""
    had = {site for name in chosen if name in bearers for site in bearers[name]}
    return cover({name: [site for site in sites if site not in had] for name, sites in bearers.items()}, rank)


def rank_head(class_name: str) -> int:
    """Returns the place of a class in the order of `HEADS`."""
    places = [place for place, ending in enumerate(HEADS) if class_name.endswith(ending)]
    return places[0] if places else len(HEADS) + ("For" not in class_name)
