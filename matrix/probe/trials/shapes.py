"""What each input of a `forward` may be shaped like, from the sizes in the configuration."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from transformers import PretrainedConfig

BATCH: Final = 2
LENGTH: Final = 8
"""Tokens of a text. Some models take blocks of `BLOCK` only."""
BLOCK: Final = 32
SAMPLES: Final = 4000
"""Samples of a sound, enough for the strides of every feature encoder."""

Shape = tuple[int, ...]
Shapes = Sequence[Shape]


def _find_all(config: PretrainedConfig, name: str) -> Iterator[int]:
    """Yields the sizes of that name: of the configuration, then of those inside it."""
    values = vars(config)
    value = values.get(name, getattr(config, name, None) if name in getattr(config, "attribute_map", {}) else None)
    value = value[0] if isinstance(value, list | tuple) and value else value
    if isinstance(value, int) and value > 0:
        yield value
    for inner in values.values():
        if isinstance(inner, PretrainedConfig):
            yield from _find_all(inner, name)


def find_sizes(config: PretrainedConfig, names: str, default: int) -> list[int]:
    """Returns the sizes of these names, without repeats, and the default behind them."""
    found = [size for name in names.split() for size in _find_all(config, name)]
    return list(dict.fromkeys([*found, default]))


def _texts(config: PretrainedConfig) -> Shapes:
    books = find_sizes(config, "num_codebooks num_quantizers", 1)[0]
    several = [(BATCH, LENGTH, books), (BATCH, LENGTH, books + 1), (BATCH, books + 1, LENGTH), (BATCH * books, LENGTH)]
    return [(BATCH, LENGTH), (BATCH, BLOCK), *(several if books > 1 else ())]


def _answers(config: PretrainedConfig) -> Shapes:
    books = find_sizes(config, "num_codebooks", 1)[0]
    return [(BATCH * books, LENGTH), (BATCH * books, BLOCK)]


def _images(config: PretrainedConfig) -> Shapes:
    channels = find_sizes(config, "num_channels in_channels in_chans", 3)
    sides = list(dict.fromkeys([*find_sizes(config, "image_size", 32), 64, 128, 224]))
    plain = [(BATCH, channel, side, side) for side in sides for channel in channels]
    return [*plain, *((BATCH, 2, channels[-1], side, side) for side in sides[:2])]


def _videos(config: PretrainedConfig) -> Shapes:
    frames = find_sizes(config, "num_frames", 2)
    return [(BATCH, number, *shape[1:]) for number in frames for shape in _images(config) if len(shape) == 4]


def _spectra(config: PretrainedConfig) -> Shapes:
    names = "num_mel_bins feature_size n_mels n_mel_channels input_feat_per_channel feature_projection_input_dim input_dim input_size num_chroma"
    lengths = [2 * size for size in find_sizes(config, "max_source_positions", BLOCK)]
    sizes = dict.fromkeys([*find_sizes(config, names, 80), 128, 16])
    shapes = [(bins, length) for bins in sizes for length in [*lengths, 100]]
    flat = [shape for bins, length in shapes for shape in ((BATCH, length, bins), (BATCH, bins, length))]
    return [*flat, *((BATCH, channels, 2 * bins, bins) for channels in (1, 4) for bins in sizes)]


def _sounds(config: PretrainedConfig) -> Shapes:
    channels = find_sizes(config, "audio_channels", 1)[0]
    return [(BATCH, SAMPLES), (BATCH, channels, SAMPLES), (BATCH, 16 * SAMPLES)]


def _boxes(_config: PretrainedConfig) -> Shapes:
    return [(BATCH, LENGTH, 4), (BATCH, LENGTH, 8)]


def _flags(_config: PretrainedConfig) -> Shapes:
    return [(BATCH, 1)]


def _masks(_config: PretrainedConfig) -> Shapes:
    return [(BATCH, BLOCK)]


def _times(config: PretrainedConfig) -> Shapes:
    return [(BATCH, _series(config)[0][1], features) for features in (0, 1)]


def _states(config: PretrainedConfig) -> Shapes:
    return [
        (BATCH, BLOCK, size)
        for size in find_sizes(config, "input_size input_dim model_in_dim upsample_in_dim hidden_size", 32)
    ]


def _series(config: PretrainedConfig) -> Shapes:
    length = find_sizes(config, "context_length", BLOCK)[0]
    lags = max(getattr(config, "lags_sequence", None) or [0])
    channels = find_sizes(config, "num_input_channels", 1)[0]
    return [(BATCH, length + lags), (BATCH, length, channels), (BATCH, length + lags, channels)]


SHAPES: Final[Mapping[str, Callable[[PretrainedConfig], Shapes]]] = {
    "input_ids": _texts,
    "decoder_input_ids": _answers,
    "qformer_input_ids": _texts,
    "pixel_values": _images,
    "pixel_values_videos": _videos,
    "input_features": _spectra,
    "input_values": _sounds,
    "hidden_states": _states,
    "spectrogram": _states,
    "past_values": _series,
    "past_observed_mask": _series,
    "past_time_features": _times,
    "decoder_input_values": _spectra,
    "bbox": _boxes,
    "is_longer": _flags,
    "mask": _masks,
    "task_inputs": _texts,
}
"""What an input may be shaped like, the likeliest first."""
