"""Loads a checkpoint of several files, in which the tensors of a module are apart, as large checkpoints are."""

from collections.abc import Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way

FILES = 3
FORMATS = {"safetensors": "safetensors", "bin": "torch's own format"}
"""How the names of files end, and what that is called. Releases that read one of them only leave the other out."""


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Deals the tensors out, so that those next to each other are in different files."""
    written = checkpoints.written
    if len(written) < 2:
        raise NotApplicableError("the checkpoint has a single tensor, which cannot be in several files")
    # By name, so that a buffer and the parameters of its module are next to each other.
    names, files = sorted(written), min(FILES, len(written))
    shards = [{name: written[name] for name in names[file::files]} for file in range(files)]
    ways = [Way(name, checkpoints.folder(kind)) for kind, name in FORMATS.items()]
    for way, kind in zip(ways, FORMATS, strict=True):
        checkpoints.write(way.folder, shards, kind)
    return ways


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading several files",
        call="from_pretrained, of several files",
        meaning="a checkpoint in several files is loaded, in each format, with the tensors of each module in different ones",
    ),
    trial=Trial(prepare),
)
