"""``Experiment``: votes for any range of draws at one input, and the vote source made of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.certificates.windows import Tiling, layout_of, numbered
from certiseg.errors import InputError
from certiseg.models.windows import leaving_out, windows_of
from certiseg.noise import Noise
from certiseg.outputs.decide import decide, posterior
from certiseg.sampling.base_model import BaseModel, Read, Reader, forward
from certiseg.sampling.checks import check_evaluation_mode
from certiseg.sampling.fingerprint import input_fingerprint, model_fingerprint
from certiseg.sampling.keys import resolve_seed
from certiseg.sampling.noise_samplers import NoiseSampler
from certiseg.sampling.passes import Passes
from certiseg.votes import Source, VoteCounts, counts_dtype

LabelCallback = Callable[[NDArray[np.int64]], None]
"""Called with the labels (B, *out) of each batch, in order of draws."""


def experiment_record(
    model: BaseModel,
    noise: Noise,
    sampler: NoiseSampler,
    *,
    seed: int | None,
    key: str | None,
    value_range: tuple[float, float] | None,
) -> Source:
    """Source of the draws to come, with no draws yet.

    sampler: of the noise at the checked input. seed: None takes fresh entropy (theory T15). key:
    None takes the input's fingerprint.
    """
    x = sampler.x
    number, origin = resolve_seed(seed)
    fingerprint = input_fingerprint(x)
    found = model_fingerprint(model.call)
    return Source(
        noise=noise,
        seed=number,
        seed_origin=origin,
        key=fingerprint if key is None else key,
        draws=(),
        model=found.sha256,
        model_name=found.name,
        not_covered=found.not_covered,
        code=dict(found.code),
        input=fingerprint,
        input_shape=tuple(x.shape),
        value_range=value_range,
        windows=windows_of(model.call, x.shape),
        engine={
            "generator": sampler.engine,
            "torch": torch.__version__,
            "device": x.device.type,
            "precision": model.precision(x),
            **model.engine.record(),
        },
        binary=model.binary,
    )


class Experiment:
    """A base model at one input: votes for any range of draws.

    sampler: of the noise at a private copy of the checked input, on the device to run on. source:
    provenance, in which ``draws`` is replaced by those made. advance: called with the number of
    draws just done.
    """

    def __init__(
        self,
        model: BaseModel,
        sampler: NoiseSampler,
        source: Source,
        batch_size: int | None = None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.model, self.x, self.record = model, sampler.x, source
        self._sampler = sampler
        self._batch_size, self._advance = batch_size, advance
        self._one_size = 0

    def votes(
        self,
        start: int,
        stop: int,
        *,
        check: Callable[[int], None] | None = None,
        watch: LabelCallback | None = None,
        one_size: bool = False,
        left_out: Collection[int] = (),
    ) -> VoteCounts:
        """Votes (*out, C) of draws start .. stop - 1, in memory independent of their number.

        check: called with the number of components after the first pass. one_size: use the same
        batch size in all such calls. left_out: numbers of windows that are not passed and whose
        components get no votes.
        """
        counts: Tensor | None = None
        size = self._one_size if one_size else None
        run = self._run(start, stop, decide, check, size, left_out)
        narrow = getattr(torch, counts_dtype(stop - start).name)
        for decision in run:
            if counts is None:
                counts = decision.new_counts(narrow)
            decision.add_to(counts)
            if watch is not None:
                watch(decision.labels().cpu().numpy())
            self._advance(decision.draws)
            del decision
        assert counts is not None
        source = self._done(run)
        if one_size:
            self._one_size = run.size
        # A view, with classes first in memory as they were counted.
        votes = counts.cpu().movedim(0, -1).numpy()
        if left_out:
            cores = self.cores()
            assert cores is not None
            votes[..., np.isin(cores, list(left_out)), :] = 0
            source = replace(source, left_out=True)
        return VoteCounts(votes, stop - start, source)

    def cores(self) -> NDArray[np.int64] | None:
        """Number of the window that labels each component of a map; None for a model without
        ``Windows``."""
        size, windows = self.record.input_shape[1:], self.record.windows
        layout = None if windows is None else layout_of(windows, len(size))
        if not isinstance(layout, Tiling):
            return None
        return numbered([layout.axis(axis, length) for axis, length in enumerate(size)])

    def equal(self, candidates: NDArray[np.int64], start: int, stop: int) -> VoteCounts:
        """Votes (2,): number of draws whose label map equals candidates, and of the others."""
        run = self._run(start, stop, decide)
        wanted = torch.as_tensor(candidates, device=self.x.device)
        equal = 0
        for decision in run:
            if decision.size != wanted.shape:
                raise InputError(
                    f"expected candidates of shape {tuple(decision.size)}, got "
                    f"{tuple(wanted.shape)}; they must be labels of this model and input"
                )
            agree = decision.equal(wanted)
            equal += int(agree.sum())
            self._advance(len(agree))
        counts = np.array([equal, stop - start - equal])
        return VoteCounts(counts, stop - start, self._done(run))

    def posterior(self, start: int, stop: int) -> NDArray[np.float32]:
        """Mean softmax (*out, C) of draws start .. stop - 1. No guarantee."""
        run = self._run(start, stop, posterior)
        total: Tensor | None = None
        for output in run:
            for values in output.values:
                total = values.clone() if total is None else total.add_(values)
            # The next pass may have its memory.
            del output, values
        assert total is not None
        self._done(run)
        mean: NDArray[np.float32] = total.div_(stop - start).movedim(0, -1).cpu().numpy()
        return mean

    def _run(
        self,
        start: int,
        stop: int,
        read: Reader[Read],
        check: Callable[[int], None] | None = None,
        one_size: int | None = None,
        left_out: Collection[int] = (),
    ) -> Passes[Read]:
        check_evaluation_mode(self.model.call)
        recorded = self.record.engine["precision"]
        now = self.model.precision(self.x)
        if now != recorded:
            # The caller may have entered or left autocast since.
            raise InputError(
                f"expected passes in {recorded}, as the draws are recorded, got {now}; keep "
                "autocast and tf32 as they were when the source was made"
            )
        source = replace(self.record, draws=((start, stop),))
        model = self.model
        if left_out:
            assert isinstance(model.call, nn.Module)
            model = replace(model, call=leaving_out(model.call, left_out))
        return Passes(model, self._sampler, source, read, self._batch_size, one_size, check)

    def _done(self, run: Passes[Read]) -> Source:
        """Source of a finished run. Raises InputError if the model has changed since the first draw
        (theory T1)."""
        if model_fingerprint(self.model.call)[0] != self.record.model:
            raise InputError(
                "expected one model for all draws, got another after the last one (its weights, "
                "or what it keeps, changed on the way); start anew with a model that nothing "
                "changes, and name what it only writes to, such as a log: model.not_fingerprinted "
                "= ('log',)"
            )
        return run.source


class DrawSource:
    """A ``VoteSource`` (theory T7) that makes draws 0, 1, 2, ..., each once; for a model with
    ``Windows`` a ``WindowSource``.

    The input is a copy, and each call checks that the model has not changed. All batches of
    ``more`` have one size, as looks share draws (theory T1). watch: called with the labels (B,
    *out) of each batch of ``more``.
    """

    def __init__(self, experiment: Experiment, watch: LabelCallback | None = None) -> None:
        self._experiment, self._watch = experiment, watch
        self._next = 0

    @property
    def record(self) -> Source:
        """Provenance of the draws, with an empty ``draws``."""
        return self._experiment.record

    def sizes(self) -> tuple[int, int]:
        """Numbers of components and of classes, from one pass without noise."""
        experiment = self._experiment
        decision = forward(experiment.model, experiment.x[None].clone(), decide)
        return decision.size.numel(), decision.num_classes

    def windows(self) -> NDArray[np.int64] | None:
        """Number of the window that labels each component, for ``more``; None for a model without
        ``Windows``, for a compiled one, and if all labels are watched."""
        # Each set of windows would be compiled anew.
        if self._watch is not None or self._experiment.model.engine.compile:
            return None
        return self._experiment.cores()

    def more(self, draws: int, left_out: Collection[int] = ()) -> VoteCounts:
        """Votes (*out, C) of the next draws only, without those of the windows left out."""
        start, stop = self._advance(draws)
        return self._experiment.votes(
            start, stop, watch=self._watch, one_size=True, left_out=left_out
        )

    def select(self, draws: int) -> tuple[VoteCounts, NDArray[np.float32]]:
        """Votes (*out, C) of the next draws, and their mean softmax (*out, C).

        For selection draws (``certiseg.adaptive``). Needs two passes per draw, and a model that
        returns logits.
        """
        start, stop = self._advance(draws)
        posterior = self._experiment.posterior(start, stop)
        return self._experiment.votes(start, stop), posterior

    def _advance(self, draws: int) -> tuple[int, int]:
        start, self._next = self._next, self._next + draws
        return start, self._next
