"""What a training on clouds is told: one frozen record, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from certiseg.datasets.card import Card
from certiseg.errors import InputError
from certiseg.models.pointnet.network import Plan, msg, small
from certiseg.training.checks import check_pace
from certiseg.training.cloud_noise import CloudNoise

PRESETS = {"small": small, "msg": msg}


@dataclass(frozen=True)
class CloudSettings:
    """noise: what each cloud is disturbed by, anew in each epoch. preset: the architecture."""

    epochs: int
    noise: CloudNoise = field(default_factory=CloudNoise)
    preset: str = "small"
    batch_size: int = 16
    lr: float = 2e-3
    seed: int = 0
    device: str = "cpu"
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise InputError(f"expected a preset among {', '.join(PRESETS)}, got {self.preset!r}")
        check_pace(self.epochs, self.batch_size, self.lr, self.seed, smallest=2)

    def plan(self, card: Card) -> Plan:
        """The architecture for the clouds of a card. InputError: a card of pictures."""
        if card.parts is None:
            raise InputError(
                f"expected point clouds with parts, got {card.name}; use certiseg train"
            )
        return PRESETS[self.preset](card.channels, len(card.parts), card.num_classes)
