"""How kinds of findings are said to people, apart from how they are written in records.

PURE: no input or output.
"""

from collections.abc import Mapping

from matrix.model import Kind

KINDS: Mapping[Kind, str] = {
    Kind.ABSENT: "is absent",
    Kind.META: "is still on the meta device, without values",
    Kind.SHAPE: "has the wrong shape",
    Kind.DTYPE: "has the wrong dtype",
    Kind.OTHER_TENSOR: "holds another tensor's values",
    Kind.INIT_VALUE: "holds its initial value",
    Kind.ZEROS: "is all zeros",
    Kind.NONFINITE: "holds NaN or infinity",
    Kind.PARTIAL: "is right only in part",
    Kind.GARBAGE: "holds values from nowhere in the checkpoint",
}


def printable(text: str) -> str:
    """Text from records for a terminal: what is no printable character is written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
