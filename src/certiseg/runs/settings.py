"""What is fixed before the first draw: noise, test and randomness, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from certiseg.certify.segcertify import check_options, check_plan
from certiseg.errors import InputError
from certiseg.models.resolve import LoadedModel
from certiseg.noise import Gaussian
from certiseg.runs.device import usable_device
from certiseg.sampling.sampler import Smoothed


@dataclass(frozen=True)
class Settings:
    """Parameters of certification, fixed before sampling.

    sigma in the units of the input ([0, 1]); alpha is per image. selection_samples: draws that
    choose the candidates, used by selection="split" alone. batch_size None: sized to memory.
    seed None: fresh entropy for each image (theory T15).
    """

    sigma: float = 0.25
    tau: float = 0.75
    alpha: float = 1e-3
    num_samples: int = 100
    correction: str = "holm"
    selection: str = "pooled"
    selection_samples: int = 10
    batch_size: int | None = None
    seed: int | None = None
    device: str | None = None

    @property
    def noise(self) -> Gaussian:
        return Gaussian(self.sigma)

    def check(self, components: int) -> None:
        """Raise InputError unless these settings can certify an image of so many pixels."""
        self.check_options()
        check_plan(
            components,
            self.num_samples,
            tau=self.tau,
            alpha=self.alpha,
            correction=self.correction,
            selection=self.selection,
        )

    def check_options(self) -> None:
        """Raise InputError for settings that are wrong whatever the image."""
        _ = self.noise  # refuses a bad sigma
        check_options(self.tau, self.alpha, self.correction, self.selection)
        for option, value, lowest in (
            ("a number of samples", self.num_samples, 1),
            ("selection samples", self.selection_samples, 1),
            ("a batch size", self.batch_size, 1),
            ("a seed", self.seed, 0),
        ):
            if value is not None and value < lowest:
                raise InputError(f"expected {option} of at least {lowest}, got {value}; raise it")
        if self.device is not None:
            usable_device(self.device)

    @property
    def draws(self) -> int:
        """Draws an image takes in all."""
        return self.num_samples + (self.selection_samples if self.selection == "split" else 0)

    def smoothed(self, loaded: LoadedModel) -> Smoothed:
        """The loaded model under this noise, moved to this device."""
        if self.device is not None and isinstance(loaded.model, nn.Module):
            loaded.model.to(self.device)
        return Smoothed(loaded.model, self.noise, loaded.num_classes, device=self.device)

    def sampling(self) -> dict[str, Any]:
        """Keyword arguments for ``Smoothed.certify``."""
        return {
            "num_samples": self.num_samples,
            "tau": self.tau,
            "alpha": self.alpha,
            "correction": self.correction,
            "selection": self.selection,
            "selection_samples": self.selection_samples,
            "batch_size": self.batch_size,
            "seed": self.seed,
        }
