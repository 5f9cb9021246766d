"""Loads a checkpoint into a model with a new head, as fine-tuning a classifier or a reward model does."""

from collections.abc import Iterator, Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way

TASKS = (
    *("SEQUENCE_CLASSIFICATION", "TOKEN_CLASSIFICATION", "IMAGE_CLASSIFICATION", "AUDIO_CLASSIFICATION"),
    *("VIDEO_CLASSIFICATION", "QUESTION_ANSWERING"),
)
"""The tasks of transformers' auto classes whose models have a head that a base checkpoint does not."""


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Finds a class with a head for the model's checkpoint; a classifier gets another number of labels as well."""
    own = type(checkpoints.model).__name__
    classes = dict.fromkeys(name for task in TASKS for name in checkpoints.class_names(task))
    others = [name for name in classes if name != own][:1]
    ways = [Way(f"a new head, {name}", class_name=name) for name in others]
    if own in classes:
        options = {"num_labels": checkpoints.model.config.num_labels + 1, "ignore_mismatched_sizes": True}
        ways = [*_without_head(checkpoints), Way("another number of labels", options=options)]
    if not ways:
        raise NotApplicableError("transformers has no class with a classification head for this model type")
    return ways


def _without_head(checkpoints: Checkpoints) -> Iterator[Way]:
    """Writes the checkpoint without what is not of the base model, where names tell that."""
    prefix, folder = checkpoints.model.base_model_prefix, checkpoints.folder("base")
    kept = {name: value for name, value in checkpoints.written.items() if name.startswith(f"{prefix}.")}
    if prefix and 0 < len(kept) < len(checkpoints.written):
        checkpoints.write(folder, [kept])
        yield Way("a base checkpoint", folder)


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading into a new head",
        call="from_pretrained, with a new head",
        meaning="a checkpoint is loaded into a class with a new head, which must be initialised as in one process",
    ),
    trial=Trial(prepare),
)
