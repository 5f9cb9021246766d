"""Words for kinds of findings, and text from outside made visible.

PURE: no input or output.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from matrix.model import Kind, ReportDifference, ReportLimit, ReportPart

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
    Kind.UNTIED: "is a tensor of its own, where one process has it tied to another",
    Kind.UNLIKE: "holds random values unlike those that one process, or rank 0, has",
    Kind.GARBAGE: "holds values that are not in the checkpoint",
}


_NOT_COMPARED: Final = {
    ReportLimit.ALWAYS_EMPTY: "is always empty",
    ReportLimit.OF_PLACEHOLDERS: "is made from the shapes of placeholders",
}
_NAMED: Final = 3


def describe_limits(limits: Mapping[ReportPart, ReportLimit]) -> str:
    """Describes what a release does not tell in its loading report under ZeRO-3, and what only on rank 0; empty where it tells all."""
    never = [f"{part} {_NOT_COMPARED[limit]}" for part, limit in sorted(limits.items()) if limit in _NOT_COMPARED]
    once = sorted(part for part, limit in limits.items() if limit is ReportLimit.ON_RANK_0_ONLY)
    sentences = (
        [f"Not compared, as this transformers never tells it under ZeRO-3: {', '.join(never)}."] if never else []
    )
    sentences += [f"Given on rank 0 only, and compared over all ranks together: {', '.join(once)}."] if once else []
    return " ".join(sentences)


def describe_difference(found: ReportDifference) -> Iterator[tuple[str, str]]:
    """Yields what is different in a part of the loading report, as a verb with its object, and the first of its names."""
    sides = {"names what a plain load does not name": found.added, "leaves out what a plain load names": found.left_out}
    for (words, names), number in zip(sides.items(), found.counts, strict=True):
        more = f" and {number - _NAMED:,} more" if number > _NAMED else ""
        if number:
            yield words, ", ".join(names[:_NAMED]) + more


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


def join_words(words: Iterable[str]) -> str:
    """Returns `words` as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
