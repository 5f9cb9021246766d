"""Words for kinds of findings, and text from outside made visible.

PURE: no input or output.
"""

from collections.abc import Mapping

from matrix.model import Kind

KINDS: Mapping[Kind, str] = {
    Kind.ABSENT: "is absent",
    Kind.META: "is still on the meta device, without values",
    Kind.SHAPE: "has the wrong shape",
    Kind.DTYPE: "has the wrong dtype",
    Kind.ROUNDED: "is rounded to a narrower dtype",
    Kind.OTHER_TENSOR: "holds another tensor's values",
    Kind.INIT_VALUE: "holds its initial value",
    Kind.ZEROS: "is all zeros",
    Kind.NONFINITE: "holds NaN or infinity",
    Kind.PARTIAL: "is only partly right",
    Kind.GARBAGE: "holds values that are not in the checkpoint",
}


def make_visible(text: str, keep: str = "\n\t") -> str:
    """Writes out every control, bidi, surrogate and other invisible character of `text`, but for those to `keep`.

    Text from records and from upstream may be hostile: nothing in it may hide, reorder or overwrite what is shown.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def make_printable(text: str) -> str:
    """Writes out what is invisible in `text`, line breaks too: it stays one line of a terminal."""
    return make_visible(text, keep="")


def join_lines(text: str) -> str:
    """Returns `text` visible, with each run of white space as one space."""
    return make_visible(" ".join(text.split()))
