"""``Smoothed``: the smoothed model of a base model, with its votes and certificates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from certiseg.binary import BinaryOutput
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import Method
from certiseg.certifiers.baselines import checked_labels
from certiseg.certifiers.segcertify import Budget, Correction, SegCertify
from certiseg.certifiers.sequential import Sequential
from certiseg.errors import InputError
from certiseg.models.binary import Binary
from certiseg.models.loaded import declared
from certiseg.noise import Noise
from certiseg.outputs.decide import decide
from certiseg.sampling.base_model import BaseModel, first_parameter, forward, known_classes
from certiseg.sampling.checks import (
    check_evaluation_mode,
    check_input,
    checked_count,
    checked_draws,
    checked_range,
    hint_at_unit,
)
from certiseg.sampling.engine import Engine
from certiseg.sampling.experiment import DrawSource, Experiment, LabelCallback, experiment_record
from certiseg.sampling.fingerprint import input_fingerprint
from certiseg.sampling.introspection import modules_inside
from certiseg.sampling.keys import Address, resolve_seed
from certiseg.sampling.keywords import Drawing, spelled_out
from certiseg.sampling.noise_samplers import sampler_at
from certiseg.sampling.progress import Progress, draws_bar
from certiseg.stats.spending import Spending
from certiseg.votes import Selection, VoteCounts

_drawing = spelled_out(
    Drawing,
    {"batch_size": None, "seed": None, "key": None, "progress": False, "watch": None},
    {
        "batch_size": "largest number of draws in a pass; default: as many as fit the memory.",
        "seed": "None takes fresh entropy (theory T15).",
        "key": "separates inputs under one seed; default: the input's fingerprint.",
        "progress": "True for a bar, or a function called with the number of draws just done.",
        "watch": "called with the labels (B, *out) of each batch of testing draws.",
    },
)


class Smoothed:
    """A base model under noise: votes and certificates for one input at a time.

    With ``Gaussian`` the model sees round_h(x + Z), the noisy input rounded exactly to multiples of
    ``noise.grid`` (theory T12); ``Rotation`` rotates point clouds (3, N) or (6, N) in float64. Both
    are cast to the model's dtype. Normalisation and resizing belong inside the model, since noise
    is added to the input as given.

    Args:
        model: takes (B, *shape) and returns logits (B, C, *out), a mapping with "out", an object
            with ``.logits``, or labels (B, *out) as integers or bools; tensors or NumPy arrays. An
            nn.Module must be in evaluation mode (checked at each call).
        noise: noise distribution, such as ``Gaussian(0.25)``.
        num_classes: inferred from logits; required if the model returns labels.
        device: device to run on; default: that of the model's parameters, else of the input.
        value_range: domain of the input, (0, 1) for images; None for any values. A sigma
            below 1 % of it gives a warning, since both have the same unit.
        output_grid: allow outputs on a grid (h, w) coarser than the image. Votes and certificates
            are then on that grid, and pixel (i, j) of (H, W) has the label of cell (i * h // H,
            j * w // W) (theory T14; ``certiseg.models.OnGrid`` makes such a model).
        engine: precision, memory layout, compilation, and place of noise generation.
        binary: for a model with one channel, (B, 1, *out) or (B, *out): "probability" if it ends in
            a sigmoid, "logit" if not. Class 1 is a probability above 0.5, or above the threshold in
            "probability:0.3". ``certiseg.Binary`` also declares overlapping maps.
        volumes: inputs are volumes (C, D, H, W), so that one of depth 3 is no batch of RGB images;
            default: whether the model's attribute ``kind`` is "volumes".

    Raises:
        InputError: for a model that is not callable or is in training mode, and for wrong types.

    Example:
        >>> import torch
        >>> import certiseg as cs
        >>> model = cs.Smoothed(lambda x: torch.cat([1 - x, x], dim=1), cs.Gaussian(0.25))
        >>> certificate = model.certify(torch.full((1, 2, 2), 0.9), num_samples=100, seed=0)
        >>> certificate.labels.tolist()
        [[1, 1], [1, 1]]

    Reference:
        Fischer, Baader, Vechev 2021, Scalable Certified Segmentation via Randomized Smoothing.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        noise: Noise,
        num_classes: int | None = None,
        *,
        device: str | torch.device | None = None,
        value_range: tuple[float, float] | None = (0.0, 1.0),
        output_grid: bool = False,
        engine: Engine | None = None,
        binary: str | None = None,
        volumes: bool | None = None,
    ) -> None:
        if not callable(model):
            raise InputError(
                f"expected a callable model, got {type(model).__name__}; "
                "pass an nn.Module or a function of a batch"
            )
        if num_classes is not None and num_classes < 2:
            raise InputError(
                f"expected num_classes >= 2, got {num_classes}; count the background too, and "
                "declare a model with one channel: binary='probability' or 'logit'"
            )
        if not isinstance(noise, Noise):
            raise InputError(
                f"expected a noise such as certiseg.Gaussian(0.25), got {noise!r}; wrap sigma in it"
            )
        stated = getattr(model, "kind", None) == "volumes"
        self.volumes = stated if volumes is None else volumes
        if binary is not None:
            output = BinaryOutput.parse(binary, stated=declared(model))
            model = Binary(model, output.output, output.threshold)
        check_evaluation_mode(model)
        self.model, self.noise = model, noise
        self.value_range = checked_range(value_range)
        hint_at_unit(noise, self.value_range)
        if engine is not None and not isinstance(engine, Engine):
            raise InputError(
                f"expected an engine such as certiseg.Engine(precision='bfloat16'), got {engine!r}"
                "; wrap its options in it"
            )
        classes = known_classes(model) if num_classes is None else num_classes
        self._base = BaseModel(model, classes, output_grid, engine or Engine())
        self._device = None if device is None else torch.device(device)

    @property
    def num_classes(self) -> int | None:
        """Number of classes, as given or found; None if unknown before the first output."""
        return self._base.num_classes

    @property
    def binary(self) -> BinaryOutput | None:
        """How a declared binary output is read; None before its first output."""
        return self._base.binary

    @property
    def engine(self) -> Engine:
        """How passes are run."""
        return self._base.engine

    @property
    def device(self) -> torch.device | None:
        """Device of the passes, as given; None for the model's device."""
        return self._device

    @property
    def output_grid(self) -> bool:
        """True if labels may lie on a grid coarser than the image."""
        return self._base.own_grid

    def vote(
        self,
        x: Tensor | ArrayLike,
        num_samples: int,
        *,
        batch_size: int | None = None,
        seed: int | None = None,
        key: str | None = None,
        first_draw: int = 0,
        progress: Progress = False,
        watch: LabelCallback | None = None,
    ) -> VoteCounts:
        """Vote counts of draws ``first_draw .. first_draw + num_samples - 1`` at one input.

        The noise of a draw depends on (seed, key, draw number) alone, so any split of the draws
        over calls, batch sizes and machines adds up to the same votes (up to rounding in the
        model, which may depend on the batch size).

        Args:
            x: (*shape), such as (3, H, W) in [0, 1].
            num_samples: number of draws.
            batch_size: largest number of draws in a pass; default: as many as fit the memory.
                Halved when memory runs out.
            seed: None takes fresh entropy (theory T15).
            key: separates inputs under one seed; default: the input's fingerprint.
            first_draw: number of the first draw.
            progress: True for a bar, or a function called with the number of draws just done.
            watch: called with the labels, int64 (B, *out), of each batch, in order of draws.

        Returns:
            Counts of shape (*out, C), with their provenance.

        Raises:
            InputError: for a bad input, for a model that does not accept it, and for one that mixes
                draws or changes during the run (theory T1), as two extra passes test.
        """
        start, stop = checked_draws(first_draw, num_samples)
        with draws_bar(progress, stop - start) as advance:
            experiment = self._experiment(x, seed, key, batch_size, advance)
            return experiment.votes(start, stop, watch=watch)

    def vote_joint(
        self,
        x: Tensor | ArrayLike,
        candidates: ArrayLike,
        num_samples: int,
        *,
        batch_size: int | None = None,
        seed: int | None = None,
        key: str | None = None,
        first_draw: int = 0,
        progress: Progress = False,
    ) -> VoteCounts:
        """Vote counts (2,) for ``certiseg.joint``: draws whose label map equals candidates, others.

        Args:
            x: as in ``vote``, like all parameters not listed.
            candidates: label map (*out) chosen by separate draws.
        """
        labels = checked_labels(candidates).astype(np.int64)
        start, stop = checked_draws(first_draw, num_samples)
        with draws_bar(progress, stop - start) as advance:
            experiment = self._experiment(x, seed, key, batch_size, advance)
            return experiment.equal(labels, start, stop)

    def source(
        self,
        x: Tensor | ArrayLike,
        *,
        batch_size: int | None = None,
        seed: int | None = None,
        key: str | None = None,
        progress: Callable[[int], None] = lambda done: None,
        watch: LabelCallback | None = None,
    ) -> DrawSource:
        """A source of draws at one input, made on demand (``certiseg.sequential``).

        Args:
            x: as in ``vote``, like all parameters not listed.
            progress: called with the number of draws just done.
        """
        return DrawSource(self._experiment(x, seed, key, batch_size, progress), watch)

    @_drawing
    def certify(
        self,
        x: Tensor | ArrayLike,
        num_samples: int = 100,
        tau: float = 0.75,
        alpha: float = 1e-3,
        *,
        correction: Correction = "holm",
        budget: Budget = None,
        selection: Selection = "pooled",
        selection_samples: int = 10,
        **drawing: Unpack[Drawing],
    ) -> Certificate:
        """Certify one input with num_samples testing draws; guarantee as in ``certiseg.certify``.

        Parameters are checked before the first draw, and against the number of components after it.

        Args:
            x: (*shape), such as (3, H, W) in [0, 1].
            num_samples: number of testing draws.
            tau: probability that a certified label exceeds under the noise.
            alpha: error probability of the whole certificate.
            correction: for multiple testing, as in ``certiseg.certify``.
            budget: k, of which k - 1 certified labels may be wrong (k-FWER, theory T5).
            selection: "pooled": the same draws choose and test the labels (theory T3); "split": as
                in the paper, draws 0 .. selection_samples - 1 choose, the next num_samples test
                (T2).
            selection_samples: number of selection draws, with "split".
            drawing: as in ``vote``.

        Raises:
            InputError: as ``vote``, and for parameters out of range.
        """
        method = SegCertify(
            tau=tau, alpha=alpha, correction=correction, budget=budget, selection=selection
        )
        return self.certify_with(
            x, method, num_samples, selection_samples=selection_samples, **drawing
        )

    @_drawing
    def certify_sequentially(
        self,
        x: Tensor | ArrayLike,
        num_samples: int = 1000,
        tau: float = 0.75,
        alpha: float = 1e-3,
        *,
        budget: Budget = None,
        looks: int = 5,
        spending: Spending = "late",
        min_gain: float | None = 0.001,
        target_coverage: float | None = None,
        **drawing: Unpack[Drawing],
    ) -> Certificate:
        """Certify one input with at most num_samples draws, stopping early (theory T7).

        Args:
            x: as in ``certify``, like all parameters not listed.
            num_samples: largest number of draws.
            looks: largest number of looks.
            spending: alpha spending rule, as in ``certiseg.sequential``.
            min_gain: stop when no remaining look is expected to certify this share of the
                components anew.
            target_coverage: stop when this share of the components is certified.
            drawing: as in ``vote``.

        Raises:
            InputError: as ``certify``.
        """
        method = Sequential(
            tau=tau,
            alpha=alpha,
            correction="holm" if budget is None else "k-fwer",
            budget=budget,
            looks=looks,
            spending=spending,
            min_gain=min_gain,
            target_coverage=target_coverage,
        )
        return self.certify_with(x, method, num_samples, **drawing)

    def certify_with(
        self,
        x: Tensor | ArrayLike,
        method: Method,
        num_samples: int = 100,
        *,
        selection_samples: int = 10,
        batch_size: int | None = None,
        seed: int | None = None,
        key: str | None = None,
        progress: Progress = False,
        watch: LabelCallback | None = None,
    ) -> Certificate:
        """Certify one input by any method, such as ``RadiusMap(alpha=0.01)``.

        num_samples: number of testing draws (at most, if the method stops early).
        selection_samples: number of selection draws made before them, with split selection. watch:
        called for testing draws only. Other parameters are as in ``vote``.
        """
        num_samples = checked_count(num_samples)
        extra = checked_count(selection_samples) if method.selection == "split" else 0
        with draws_bar(progress, extra + num_samples) as advance:
            experiment = self._experiment(x, seed, key, batch_size, advance)
            if not method.fixed_draws:
                source = DrawSource(experiment, watch)
                return method.ask(
                    source, noise=self.noise, num_samples=num_samples, selection_samples=extra
                )

            def check(components: int) -> None:
                method.check_draws(components, num_samples)

            chosen = experiment.votes(0, extra, check=check) if extra else None
            votes = experiment.votes(extra, extra + num_samples, check=check, watch=watch)
        return method.certify(votes, noise=self.noise, selection_votes=chosen)

    def predict_clean(self, x: Tensor | ArrayLike) -> NDArray[np.int64]:
        """The base model's labels (*out) on the input itself, without noise. No guarantee."""
        check_evaluation_mode(self.model)
        return self._predict(self._on_device(x)[None].clone())

    def predict_once(
        self,
        x: Tensor | ArrayLike,
        *,
        seed: int | None = None,
        key: str | None = None,
        draw: int = 0,
    ) -> NDArray[np.int64]:
        """The base model's labels (*out) under one draw of noise. No guarantee."""
        check_evaluation_mode(self.model)
        return self._predict(self._one_draw(x, seed, key, draw))

    def noisy(
        self,
        x: Tensor | ArrayLike,
        *,
        seed: int | None = None,
        key: str | None = None,
        draw: int = 0,
    ) -> Tensor:
        """The noisy input (*shape) of one draw, as the base model sees it. Not clipped."""
        return self._one_draw(x, seed, key, draw)[0]

    def _one_draw(
        self, x: Tensor | ArrayLike, seed: int | None, key: str | None, draw: int
    ) -> Tensor:
        """The noisy input of one draw on its device, as a batch (1, *shape)."""
        number, _ = checked_draws(draw, 1)
        address, _ = resolve_seed(seed)
        sampler = sampler_at(self.noise, self._on_device(x))
        key = input_fingerprint(sampler.x) if key is None else key
        batch = torch.empty((1, *sampler.x.shape), dtype=sampler.x.dtype)
        sampler.fill(batch[0].numpy(), Address.of(address, key, number))
        return batch.to(sampler.x.device)

    def _predict(self, batch: Tensor) -> NDArray[np.int64]:
        return forward(self._base, batch, decide).labels()[0].cpu().numpy()

    def _experiment(
        self,
        x: Tensor | ArrayLike,
        seed: int | None,
        key: str | None,
        batch_size: int | None,
        advance: Callable[[int], None],
    ) -> Experiment:
        """Check the input, move it to the device, and set up its experiment."""
        # A copy, since the caller may change x between calls of a source.
        sampler = sampler_at(self.noise, self._on_device(x).clone())
        record = experiment_record(
            self._base, self.noise, sampler, seed=seed, key=key, value_range=self.value_range
        )
        size = None if batch_size is None else checked_count(batch_size)
        return Experiment(self._base, sampler, record, size, advance)

    def _on_device(self, x: Tensor | ArrayLike) -> Tensor:
        tensor = check_input(x, self.value_range, volumes=self.volumes)
        parameter = first_parameter(self.model)
        home = parameter.device if parameter is not None else tensor.device
        target = self._device or home
        # Modules in a plain list are not moved with their model.
        found = modules_inside(self.model) if target.type != "cpu" else (self.model,)
        for weights in map(first_parameter, found if parameter is not None else ()):
            if weights is not None and weights.device.type != target.type:
                raise InputError(
                    f"expected a model on {target}, got weights on {weights.device}; move it "
                    "first with model.to(device), and keep modules in an nn.ModuleList"
                )
        self.engine.check_device(target)
        return tensor.to(target)
