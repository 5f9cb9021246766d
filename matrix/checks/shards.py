"""Loads a checkpoint of several files, in which the tensors of a module are apart, as large checkpoints are."""

from collections.abc import Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way

FILES = 3


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Deals the tensors out, so that those next to each other are in different files."""
    written = checkpoints.written
    if len(written) < 2:
        raise NotApplicableError("the checkpoint has a single tensor, which cannot be in several files")
    folder, files = checkpoints.folder("dealt"), min(FILES, len(written))
    # By name, so that a buffer and the parameters of its module are next to each other.
    names = sorted(written)
    checkpoints.write(folder, [{name: written[name] for name in names[file::files]} for file in range(files)])
    return [Way(folder=folder)]


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading several files",
        call="from_pretrained, of several files",
        meaning="a checkpoint in several files is loaded, with the tensors of each module in different ones",
    ),
    trial=Trial(prepare),
)
