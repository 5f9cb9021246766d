"""Loads checkpoints with other names than this release writes: the model's own, and those that older releases saved."""

from collections.abc import Iterator, Sequence

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, NotApplicableError, Trial, Way
from matrix.saved_names import SavedNames


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Writes a checkpoint with the model's own names, and one for each list of names that only older releases saved."""
    own = list(_use_own_names(checkpoints))
    seen = {frozenset(checkpoints.written), *(frozenset(checkpoints.read(way.folder)) for way in own)}
    ways = [*own, *_use_older_names(checkpoints, seen)]
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
    names = set(checkpoints.read(folder))
    if names != written:
        same = [f", as transformers {one.last} saved it" for one in checkpoints.older if names == set(one.tensors)]
        yield Way("".join(["with the names of the model", *same[-1:]]), folder)


def _use_older_names(checkpoints: Checkpoints, seen: set[frozenset[str]]) -> Iterator[Way]:
    """Yields the way of each list that is not `seen`; of lists that have the same names, that of the newest."""
    for names in reversed(checkpoints.older):
        if frozenset(names.tensors) not in seen:
            seen.add(frozenset(names.tensors))
            yield _use_list(checkpoints, names)


def _use_list(checkpoints: Checkpoints, names: SavedNames) -> Way:
    """Returns the way of one list, in the sizes of the recipe that it was made with."""
    folder, words = checkpoints.folder(f"names-{names.last}"), f"with the names that transformers {names.last} saved"
    checkpoints.write(folder, [checkpoints.give_values(names.tensors)])
    if config := checkpoints.make_other_config(names.recipe):
        checkpoints.save_config(config, folder)
        words += ", in the sizes of the catalog"
    return Way(words, folder, borrowed=True)


CHECK = CheckDescription(
    words=CheckWords(
        verb="load",
        doing="loading a checkpoint with other names",
        call="from_pretrained, of a checkpoint with other names",
        meaning="checkpoints with other names than this release writes are loaded: the model's own, and those that older releases saved",
    ),
    trial=Trial(prepare),
)
