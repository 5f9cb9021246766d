"""Resizes the embeddings of a loaded model, as new tokens need it."""

from collections.abc import Sequence
from typing import Any

from matrix.check_protocol import CheckDescription, Checkpoints, CheckWords, Maker, NotApplicableError, Trial, Way

NEW_TOKENS = 5
"""Odd, so that the rows do not split evenly over two ranks."""


def prepare(checkpoints: Checkpoints) -> Sequence[Way]:
    """Needs a model with embeddings of tokens: tied to its head, and not, where the configuration has that choice."""
    model = checkpoints.model
    try:
        embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        embeddings = head = None
    if getattr(embeddings, "num_embeddings", None) is None:
        raise NotApplicableError("the model has no embeddings of tokens to resize")
    if head is None or not hasattr(model.config, "tie_word_embeddings"):
        return [Way()]
    names = {True: "tied", False: "not tied"}
    return [Way(name, options={"tie_word_embeddings": tied}) for tied, name in names.items()]


def make(maker: Maker, way: Way) -> Any:
    """Returns the model with some tokens more."""
    model = maker.load(way)
    model.resize_token_embeddings(model.get_input_embeddings().num_embeddings + NEW_TOKENS)
    return model


CHECK = CheckDescription(
    words=CheckWords(
        verb="resize",
        doing="resizing embeddings",
        call="resize_token_embeddings",
        meaning="embeddings get new rows: old rows must stay, new ones be written and alike on every rank, and ties hold",
    ),
    trial=Trial(prepare, make),
)
