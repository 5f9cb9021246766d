"""Loads checkpoints with other names than this release writes: the model's own, and those that older releases saved."""

from collections.abc import Iterator, Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way
from matrix.saved_names import SavedNames


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Writes a checkpoint with the model's own names, and one for each list of names that only older releases saved."""
    ways = [*_use_own_names(checkpoints), *_use_older_names(checkpoints)]
    if not ways:
        raise NotApplicableError(
            "save_pretrained of this release writes the names that the model itself has, and no other names of older releases are known"
        )
    return ways


def _use_own_names(checkpoints: Checkpoints) -> Iterator[Way]:
    model, written = checkpoints.model, set(checkpoints.written)
    own = set(model.state_dict())
    if own <= written or written <= own:
        return
    folder = checkpoints.folder("own-names")
    checkpoints.save(model, folder, save_original_format=False)
    if set(checkpoints.read(folder)) != written:
        yield Way("with the names of the model", folder)


def _use_older_names(checkpoints: Checkpoints) -> Iterator[Way]:
    """Yields the ways of each list once; of lists that have the same names, those of the newest."""
    seen = {frozenset(checkpoints.written)}
    for names in reversed(checkpoints.older):
        if frozenset(names.tensors) not in seen:
            seen.add(frozenset(names.tensors))
            yield from _use_list(checkpoints, names)


def _use_list(checkpoints: Checkpoints, names: SavedNames) -> Iterator[Way]:
    """Yields the list for the model in its own sizes, and in the sizes of the recipe that made the list, if they are others."""
    words = f"with the names that transformers {names.last} saved"
    values = checkpoints.give_values(names.tensors)
    folder = checkpoints.folder(f"names-{names.last}")
    checkpoints.write(folder, [values])
    yield Way(words, folder, borrowed=True)
    if config := checkpoints.make_other_config(names.recipe):
        folder = checkpoints.folder(f"sizes-{names.last}")
        checkpoints.write(folder, [values])
        checkpoints.save_config(config, folder)
        yield Way(f"{words}, in the sizes of the catalog", folder, borrowed=True)


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading a checkpoint with other names",
        call="from_pretrained, of a checkpoint with other names",
        meaning="checkpoints with other names than this release writes are loaded: the model's own, and those that older releases saved",
    ),
    trial=Trial(prepare),
)
