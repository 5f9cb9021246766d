"""Loads a checkpoint with the names of the model itself, where this release writes other ones, as older ones did."""

from collections.abc import Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Writes one checkpoint with the model's own names."""
    model, written = checkpoints.model, set(checkpoints.written)
    own = set(model.state_dict())
    if own <= written or written <= own:
        raise NotApplicableError("save_pretrained of this release writes the names that the model itself has")
    folder = checkpoints.folder("own-names")
    checkpoints.save(model, folder, save_original_format=False)
    if set(checkpoints.read(folder)) == written:
        raise NotApplicableError("save_pretrained of this release writes one kind of names only")
    return [Way("with the names of the model", folder)]


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading a checkpoint with other names",
        call="from_pretrained, of a checkpoint with other names",
        meaning="a checkpoint with the names of the model itself is loaded, where this release writes other names",
    ),
    trial=Trial(prepare),
)
