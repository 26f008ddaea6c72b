"""Smoothed: a base model under noise, its votes and its certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from certiseg.certify.certificate import Certificate
from certiseg.certify.joint import checked_labels
from certiseg.certify.segcertify import certify, check_options, check_plan
from certiseg.errors import InputError
from certiseg.models.outputs import Decision
from certiseg.noise import Gaussian
from certiseg.sampling.checks import check_evaluation_mode, check_input
from certiseg.sampling.draw import GENERATOR, fill
from certiseg.sampling.facts import first_parameter, known_classes, precision
from certiseg.sampling.fingerprint import input_fingerprint, model_fingerprint
from certiseg.sampling.forward import decisions, forward
from certiseg.sampling.keys import resolve_seed
from certiseg.sampling.progress import Progress, draws_bar
from certiseg.votes import Source, VoteCounts, counts_dtype


class Smoothed:
    """A base model under noise: votes and certificates for one input at a time.

    model: takes (B, *shape) and returns logits (B, C, *out), a mapping with "out", an object with
    ``.logits``, or integer labels (B, *out). An nn.Module must be in evaluation mode (checked at
    each call). Normalisation and resizing belong inside the model: noise is added to the input as
    it is given. num_classes: found from logits; needed where the model returns labels.
    device: where to run; default: that of the model's parameters, else of the input.
    value_range: domain of the input, (0, 1) for images; None for any values.
    Noise is added in float32 (to float64 inputs in float64) and cast to the model's precision.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        noise: Gaussian,
        num_classes: int | None = None,
        *,
        device: str | torch.device | None = None,
        value_range: tuple[float, float] | None = (0.0, 1.0),
    ) -> None:
        if not callable(model):
            raise InputError(
                f"expected a callable model, got {type(model).__name__}; "
                "pass an nn.Module or a function of a batch"
            )
        if num_classes is not None and num_classes < 1:
            raise InputError(f"expected num_classes >= 1, got {num_classes}; count the classes")
        if not isinstance(noise, Gaussian):
            raise InputError(
                f"expected a noise such as certiseg.Gaussian(0.25), got {noise!r}; wrap sigma in it"
            )
        check_evaluation_mode(model)
        self.model, self.noise = model, noise
        self.value_range = (
            None if value_range is None else (float(value_range[0]), float(value_range[1]))
        )
        self.num_classes = num_classes if num_classes is not None else known_classes(model)
        self._device = None if device is None else torch.device(device)

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
    ) -> VoteCounts:
        """Votes of draws ``first_draw .. first_draw + num_samples - 1`` at one input.

        The noise of a draw depends on (seed, key, draw number) alone, so any split of the draws
        over calls, batch sizes and machines adds up to the same votes (up to the last bits of the
        model's own arithmetic, which may depend on the batch size).
        x: (*shape), such as (3, H, W) in [0, 1]. batch_size: default fits the memory; halved
        where memory runs out. seed: None takes fresh entropy (theory T15). key: tells inputs
        apart under one seed; default: the input's fingerprint. progress: True for a bar, or a
        function called with the number of draws just done.
        Returns counts of shape (*out, C). Raises InputError for bad input or a model that does
        not fit it.
        """
        tensor, source = self._prepare(x, num_samples, seed, key, first_draw)
        return self._count(tensor, source, batch_size, progress)

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
        """Votes (2,) for ``certiseg.joint``: draws whose whole output equals candidates, others.

        candidates: labels (*out) chosen from other draws. The rest is as in ``vote``.
        """
        tensor, source = self._prepare(x, num_samples, seed, key, first_draw)
        labels = checked_labels(candidates).astype(np.int64)
        wanted = torch.as_tensor(labels, device=tensor.device)
        equal = 0
        with draws_bar(progress, num_samples) as advance:
            for decision in self._batches(tensor, source, batch_size):
                if decision.size != wanted.shape:
                    raise InputError(
                        f"expected candidates of shape {tuple(decision.size)}, got "
                        f"{tuple(wanted.shape)}; they must be labels of this model and input"
                    )
                agree = decision.equal(wanted)
                equal += int(agree.sum())
                advance(len(agree))
        draws = int(num_samples)
        return VoteCounts(np.array([equal, draws - equal]), draws, source)

    def certify(
        self,
        x: Tensor | ArrayLike,
        num_samples: int = 100,
        tau: float = 0.75,
        alpha: float = 1e-3,
        *,
        correction: str = "holm",
        selection: str = "pooled",
        selection_samples: int = 10,
        batch_size: int | None = None,
        seed: int | None = None,
        key: str | None = None,
        progress: Progress = False,
    ) -> Certificate:
        """Certify one input with num_samples test draws; ``certiseg.certify`` states the claim.

        selection="pooled": all draws choose and test (theory T3). "split": the paper's two
        stages, draws 0 .. selection_samples - 1 choose and the next num_samples test (T2).
        Parameters are checked before anything is drawn, and against the number of components as
        soon as the first draw shows it. The rest is as in ``vote``.
        """

        def check(components: int) -> None:
            check_plan(
                components,
                num_samples,
                tau=tau,
                alpha=alpha,
                correction=correction,
                selection=selection,
            )

        check_options(tau, alpha, correction, selection)
        num_samples = _checked_count(num_samples)
        extra = _checked_count(selection_samples) if selection == "split" else 0
        tensor, source = self._prepare(x, extra + num_samples, seed, key, 0)
        chosen = None
        if extra:
            stage = replace(source, draws=((0, extra),))
            chosen = self._count(tensor, stage, batch_size, progress, check)
        stage = replace(source, draws=((extra, extra + num_samples),))
        return certify(
            self._count(tensor, stage, batch_size, progress, check),
            noise=self.noise,
            tau=tau,
            alpha=alpha,
            correction=correction,
            selection_votes=chosen,
        )

    def predict_clean(self, x: Tensor | ArrayLike) -> NDArray[np.int64]:
        """The base model's labels (*out) on the input itself, without noise. No guarantee."""
        check_evaluation_mode(self.model)
        tensor = self._on_device(x)
        return self._predict(tensor, None)

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
        tensor, noise = self._one_draw(x, seed, key, draw)
        return self._predict(tensor, noise)

    def noisy(
        self,
        x: Tensor | ArrayLike,
        *,
        seed: int | None = None,
        key: str | None = None,
        draw: int = 0,
    ) -> Tensor:
        """The input (*shape) under one draw of noise: what the base model sees. Not clipped."""
        tensor, noise = self._one_draw(x, seed, key, draw)
        return tensor + torch.from_numpy(noise[0]).to(tensor.device)

    def _one_draw(
        self, x: Tensor | ArrayLike, seed: int | None, key: str | None, draw: int
    ) -> tuple[Tensor, NDArray[np.float32]]:
        """The checked input on its device, and the noise (1, *shape) of one draw."""
        ((number, _),) = _checked_draws(draw, 1)
        address, _ = resolve_seed(seed)
        tensor = self._on_device(x)
        noise = np.empty((1, *tensor.shape), dtype=np.float32)
        own = input_fingerprint(tensor) if key is None else key
        fill(noise[0], self.noise, address, own, number)
        return tensor, noise

    def _predict(self, x: Tensor, noise: NDArray[np.float32] | None) -> NDArray[np.int64]:
        decision = forward(self.model, x, noise, self._dtype(x), self.num_classes)
        self.num_classes = decision.num_classes
        return decision.labels()[0].cpu().numpy()

    def _count(
        self,
        x: Tensor,
        source: Source,
        batch_size: int | None,
        progress: Progress,
        check: Callable[[int], None] | None = None,
    ) -> VoteCounts:
        """Count on the device; memory does not depend on the number of draws."""
        ((start, stop),) = source.draws
        counts: Tensor | None = None
        # GPUs add atomically in 32 bits; narrow types save memory where that costs nothing.
        narrow = getattr(torch, counts_dtype(stop - start).name)
        dtype = narrow if x.device.type == "cpu" else torch.int32
        with draws_bar(progress, stop - start) as advance:
            for decision in self._batches(x, source, batch_size):
                if counts is None:
                    if check is not None:
                        check(decision.size.numel())
                    counts = decision.new_counts(dtype)
                decision.add_to(counts)
                advance(decision.draws)
        assert counts is not None
        votes = counts.movedim(0, -1).contiguous().cpu().numpy()
        return VoteCounts(
            votes.astype(counts_dtype(stop - start), copy=False), stop - start, source
        )

    def _batches(self, x: Tensor, source: Source, batch_size: int | None) -> Iterator[Decision]:
        check_evaluation_mode(self.model)
        batches = decisions(
            self.model,
            x,
            source,
            dtype=self._dtype(x),
            num_classes=self.num_classes,
            batch_size=None if batch_size is None else _checked_count(batch_size),
        )
        for decision in batches:
            self.num_classes = decision.num_classes
            yield decision

    def _prepare(
        self,
        x: Tensor | ArrayLike,
        num_samples: int,
        seed: int | None,
        key: str | None,
        first_draw: int,
    ) -> tuple[Tensor, Source]:
        """The checked input on its device, and the record of what will be drawn for it."""
        draws = _checked_draws(first_draw, num_samples)
        number, origin = resolve_seed(seed)
        tensor = self._on_device(x)
        print_of_input = input_fingerprint(tensor)
        model, name = model_fingerprint(self.model)
        source = Source(
            noise=self.noise,
            seed=number,
            seed_origin=origin,
            key=print_of_input if key is None else key,
            draws=draws,
            model=model,
            model_name=name,
            input=print_of_input,
            input_shape=tuple(tensor.shape),
            value_range=self.value_range,
            engine={
                "generator": GENERATOR,
                "torch": torch.__version__,
                "device": tensor.device.type,
                "precision": precision(self._dtype(tensor), tensor.device),
            },
        )
        return tensor, source

    def _on_device(self, x: Tensor | ArrayLike) -> Tensor:
        tensor = check_input(x, self.value_range)
        parameter = first_parameter(self.model)
        home = parameter.device if parameter is not None else tensor.device
        target = self._device or home
        if parameter is not None and parameter.device.type != target.type:
            raise InputError(
                f"expected a model on {target}, got its weights on {parameter.device}; "
                "move it first with model.to(device)"
            )
        return tensor.to(target)

    def _dtype(self, x: Tensor) -> torch.dtype:
        parameter = first_parameter(self.model)
        return x.dtype if parameter is None else parameter.dtype


def _checked_draws(first_draw: int, num_samples: int) -> tuple[tuple[int, int]]:
    """The half-open range of draws, as a source records it."""
    if isinstance(first_draw, bool) or not isinstance(first_draw, (int, np.integer)):
        raise InputError(f"expected a whole first_draw, got {first_draw!r}; draws count from 0")
    first, last = int(first_draw), int(first_draw) + _checked_count(num_samples)
    if first < 0 or last > 2**63:
        raise InputError(f"expected first_draw >= 0, got {first_draw}; draws count from 0")
    return ((first, last),)


def _checked_count(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"expected a whole number of at least 1, got {value!r}; check the counts")
    return int(value)
