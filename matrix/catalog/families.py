"""PURE. Chooses the family that an architecture represents, from its buffer sites and what stays in float32."""

import re
from collections.abc import Collection, Mapping

FAMILIES = {
    "router": "routing of a mixture of experts",
    "batchnorm": "running statistics, next to parameters",
    "frozen_batchnorm": "a normalization of buffers only",
    "codebook": "a quantizer's tables",
    "logits_bias": "a bias of the outermost module",
    "clippable": "bounds of clipped linears, layer scalars",
    "position": "position indices and embeddings",
    "integer": "integer, bool and fixed-point values",
    "loss_weight": "class weights of a loss function",
    "other": "persistent buffers of no other family",
    "float32": "no persistent buffer, parameters that a list keeps in float32",
    "rope": "non-persistent buffers only",
    "control": "no buffer that affects the result",
    "popular": "no persistent buffer and nothing that a list keeps in float32, trained by many",
}
"""What each family's architectures have in common, in the order of the catalog."""

_RULES = {
    "router": r"Router\.|MoE\.|Moe\w*Block\.|correction_bias$|expert_bias$",
    "codebook": r"Codebook\.",
    "logits_bias": r"\.final_logits_bias$",
    "clippable": r"ClippableLinear\.|\.layer_scalar$|\.std_(bias|scale)$",
    "loss_weight": r"\.empty_weight$",
    "frozen_batchnorm": r"FrozenBatchNorm2d\.",
    "batchnorm": r"^(Sync)?BatchNorm\dd\.",
    "position": r"\.position_|position_index$|Position\w*\.|\.inv_freq$",
}
"""Patterns of sites, the family that decides first at the top: one architecture often has several sorts."""
_WHOLE = re.compile(r"u?int\d+|bool")


def choose_family(sites: Mapping[str, str], float32: Collection[str] = ()) -> str:
    """Returns the family of an architecture with these sites and dtypes; of one without, by what stays in float32."""
    if not sites and not float32:
        return "popular"
    if not sites:
        routed = any(re.search(_RULES["router"], site) for site in float32)
        return "router" if routed else "float32"
    for family, pattern in _RULES.items():
        if any(re.search(pattern, site) for site in sites):
            return family
    return "integer" if any(_WHOLE.fullmatch(dtype) for dtype in sites.values()) else "other"
