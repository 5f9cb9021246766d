"""A model folder as transformers has hundreds: classes with buffers that are easy to get wrong, one oddity each."""

from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel


class OddConfig(PretrainedConfig):
    model_type = "odd"

    def __init__(self, hidden_size: int = 768, **kwargs: Any) -> None:
        self.hidden_size = hidden_size
        super().__init__(**kwargs)


class OddPreTrainedModel(PreTrainedModel):
    config_class = OddConfig
    base_model_prefix = "model"

    def __init__(self, config: OddConfig) -> None:
        super().__init__(config)
        self.linear = nn.Linear(config.hidden_size, 3, bias=False)
        self.odd()
        self.post_init()

    def odd(self) -> None:
        """Register what is odd about it."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.linear(values)


class OddFlagModel(OddPreTrainedModel):
    """A bool without dimensions."""

    def odd(self) -> None:
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))


class OddSharedModel(OddPreTrainedModel):
    """One tensor that two modules hold, and that is said to be so."""

    _tied_weights_keys: ClassVar[dict[str, str]] = {"second.scale": "first.scale"}

    def odd(self) -> None:
        shared = torch.zeros(self.config.hidden_size)
        self.first, self.second = nn.Identity(), nn.Identity()
        self.first.register_buffer("scale", shared)
        self.second.register_buffer("scale", shared)


class OddSecretModel(OddSharedModel):
    """One tensor that two modules hold, and nothing says so."""

    _tied_weights_keys = None  # type: ignore[assignment]


class OddNothingModel(OddPreTrainedModel):
    """A buffer that is None beside one that is not."""

    def odd(self) -> None:
        self.register_buffer("later", None)
        self.register_buffer("now", torch.zeros(5))


class OddParentModel(OddPreTrainedModel):
    """A buffer that a module gets from outside of its class."""

    def odd(self) -> None:
        self.linear.register_buffer("scale", torch.zeros(7))


class OddViewModel(OddPreTrainedModel):
    """A buffer that shows a part of another one's memory."""

    def odd(self) -> None:
        self.register_buffer("whole", torch.zeros(9))
        self.register_buffer("part", self.whole[2:5])


class OddComplexModel(OddPreTrainedModel):
    """Complex numbers."""

    def odd(self) -> None:
        self.register_buffer("phase", torch.zeros(5, dtype=torch.complex64))


class OddIndexModel(OddPreTrainedModel):
    """Indices that are looked up whenever the model changes its mode."""

    def odd(self) -> None:
        self.register_buffer("places", torch.tensor([0, 3, 1, 4, 2]))

    def train(self, mode: bool = True) -> "OddIndexModel":  # noqa: FBT001, FBT002
        self.looked_up = torch.arange(5)[self.places] if self.places.device.type != "meta" else None
        return super().train(mode)


class OddUnreadableModel(OddPreTrainedModel):
    """One that cannot be loaded."""

    def odd(self) -> None:
        self.register_buffer("mark", torch.zeros(5))

    @classmethod
    def from_pretrained(cls, *_: Any, **__: Any) -> Any:
        raise ValueError("nobody can read this")


class OddGreedyConfig(PretrainedConfig):
    """Takes apart what it is given, as grounding-dino's did up to 5.0."""

    model_type = "odd_greedy"

    def __init__(self, parts: dict[str, str] | None = None, **kwargs: Any) -> None:
        self.kind = (parts or {}).pop("kind", "plain") if parts is not None else "plain"
        super().__init__(**kwargs)


class OddGreedyModel(PreTrainedModel):
    """Bears a buffer only where its configuration was told so."""

    config_class = OddGreedyConfig

    def __init__(self, config: OddGreedyConfig) -> None:
        super().__init__(config)
        self.linear = nn.Linear(3, 3)
        if config.kind == "special":
            self.register_buffer("special", torch.zeros(3))
        self.post_init()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.linear(values)
