"""Trains a loaded model for one step, and compares what it computed and what it became."""

from collections.abc import Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, Trial, Way


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Writes a checkpoint of finite values, and a batch that the model takes."""
    folder = checkpoints.folder("trainable")
    return [Way(folder=folder, note=checkpoints.save_trainable(folder))]


CHECK = CheckDescription(
    words=CheckWords(
        verb="train",
        doing="training for one step",
        call="one forward and one step of SGD",
        meaning="a model does one forward and one step of SGD: outputs and new values must be those of one process",
    ),
    trial=Trial(prepare, trains=True),
)
