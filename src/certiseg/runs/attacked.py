"""Attacks in an evaluation: accuracy of every model on attacked inputs, beside what is certified.

Certified accuracy is a lower bound on the smoothed model's accuracy under the worst attack, and
accuracy under an attack that was found an upper one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.attacks.attack import DEFAULT_LOSSES, Attack, FlatLossError, attack, check_attack
from certiseg.attacks.losses import Loss
from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import IGNORE, Sample
from certiseg.errors import InputError
from certiseg.noise import Gaussian
from certiseg.runfolder.metrics import model_record
from certiseg.runfolder.under_attack import BASE, CLEAN, MOST_NORMS, PLAIN, SMOOTHED
from certiseg.runs.experiment import Prediction
from certiseg.runs.settings import Settings
from certiseg.sampling.checks import checked_count
from certiseg.sampling.sampler import Smoothed


@dataclass(frozen=True)
class Attacks:
    """Attacks on every model of an evaluation, each on the right labels of an input.

    Args:
        epsilons: l2 norms, ascending.
        steps: gradients of each run.
        draws: draws for each gradient of the smoothed model.
        losses: one run for each, the strongest counts.
        restarts: runs of each loss.

    Raises:
        InputError: for other values.
    """

    epsilons: Sequence[float]
    steps: int = 100
    draws: int = 4
    losses: Sequence[Loss] = DEFAULT_LOSSES
    restarts: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilons", tuple(check_attack(self.epsilons, self.losses)))
        object.__setattr__(self, "losses", tuple(self.losses))
        if len(self.epsilons) > MOST_NORMS:
            raise InputError(
                f"expected at most {MOST_NORMS} norms, got {len(self.epsilons)}; choose some"
            )
        for number in (self.steps, self.draws, self.restarts):
            checked_count(number)

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    def check(self, settings: Settings) -> None:
        """Raise InputError for settings under which attacks are not offered."""
        noise = settings.noise
        if not isinstance(noise, Gaussian):
            raise InputError(
                f"expected Gaussian noise with --attack, got {noise!r}; leave --attack out"
            )
        if settings.grid is not None:
            raise InputError(
                "expected labels of single pixels with --attack, got --grid; leave one out"
            )

    def units(self, settings: Settings, models: int) -> int:
        """Passes for one input, as ``attacked_records`` reports them to ``progress``."""
        gradients = len(self.epsilons) * len(self.losses) * self.restarts * self.steps
        votes = 2 * len(self.epsilons) * settings.num_samples
        return gradients * (models + self.draws) + votes


def check_gradient(smoothed: Smoothed, x: NDArray[Any], attacks: Attacks) -> None:
    """Raise InputError unless the model has gradients at x."""
    for model in (smoothed.model, smoothed):
        attack(model, x, epsilon=1.0, loss=attacks.losses, steps=1, draws=1, **_limits(smoothed))


def _limits(smoothed: Smoothed) -> dict[str, Any]:
    """What inputs are, and what an attack may change: as the noise does."""
    channels = getattr(smoothed.noise, "channels", None)
    return {
        "value_range": smoothed.value_range,
        "channels": channels,
        "volumes": smoothed.volumes,
    }


def attacked_records(
    sample: Sample,
    models: Mapping[str, Smoothed],
    predictions: Mapping[str, Prediction],
    certificate: Certificate,
    attacks: Attacks,
    settings: Settings,
    num_classes: int,
    progress: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Counts of each model at the input and at its strongest attack for each epsilon.

    The smoothed model's labels are those with most of ``settings.num_samples`` votes, at the worst
    of the attacks within that norm on itself and on the base model. models: "base" and optionally
    "non-robust". predictions: of ``baseline_predictions``.
    """
    truth, x = sample.labels, sample.x
    found: list[dict[str, Any]] = []

    def add(model: str, epsilon: float, norm: float, labels: NDArray[Any]) -> None:
        counts = model_record(labels, truth, num_classes)
        found.append({"model": model, "epsilon": epsilon, "norm": norm, **counts})

    def run(model: Callable[..., Any] | Smoothed, each: int) -> list[Attack]:
        try:
            return attack(
                model,
                x,
                truth if np.any(truth != IGNORE) else None,
                epsilon=list(attacks.epsilons),
                loss=attacks.losses,
                steps=attacks.steps,
                restarts=attacks.restarts,
                draws=attacks.draws,
                **_limits(models["base"]),
                seed=settings.seed,
                progress=lambda done: progress(done * each),
            )
        except FlatLossError:
            # No attack by gradient is known at this input.
            return []

    base = models["base"]
    of_base: list[Attack] = []
    for name, role in ((PLAIN, "non-robust"), (BASE, "base")):
        if role in models:
            clean = predictions[CLEAN[name]].labels
            add(name, 0.0, 0.0, clean)
            of_base = run(models[role].model, 1)
            for place, epsilon in enumerate(attacks.epsilons):
                if of_base:
                    add(name, epsilon, float(of_base[place].norm), of_base[place].labels)
                else:
                    add(name, epsilon, 0.0, clean)
    # No change, and a change within a smaller norm, are within each norm too.
    worst, norm = certificate.votes.top()[0], 0.0
    add(SMOOTHED, 0.0, norm, worst)
    own = run(base, attacks.draws)
    for place, epsilon in enumerate(attacks.epsilons):
        for one in (each[place] for each in (own, of_base) if each):
            votes = base.vote(
                one.attacked,
                settings.num_samples,
                batch_size=settings.batch_size,
                seed=settings.seed,
                progress=progress,
            )
            labels = votes.top()[0]
            if _right(labels, truth) < _right(worst, truth):
                worst, norm = labels, float(one.norm)
        add(SMOOTHED, epsilon, norm, worst)
    return found


def _right(labels: NDArray[Any], truth: NDArray[Any]) -> int:
    return int(np.count_nonzero((labels == truth) & (truth != IGNORE)))
