"""One range of draws through the model: its batches sized, its passes probed and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Generic

from certiseg.errors import InputError
from certiseg.sampling.base_model import BaseModel, Read, Reader
from certiseg.sampling.batching import (
    batches,
    even_batch,
    fitting_batch,
    is_out_of_memory,
    measured_activations,
    out_of_memory,
)
from certiseg.sampling.draw import draws_of
from certiseg.sampling.noise_samplers import NoiseSampler
from certiseg.sampling.probe import Probe
from certiseg.votes import Source

# Where more draws will be asked for in batches of the same size, the last one of each look is
# filled up.
_MOST_FOR_LOOKS = 32


class Passes(Generic[Read]):
    """Iterate once over what the model says to all draws of source, batch by batch.

    sampler: of the noise at the checked input. batch_size: the most draws in a batch; None: as
    many as fit. one_size: of an earlier range, which this one must keep to; 0 for a size that later
    ranges will keep to, None where there are no others. check: called with the number of components
    as soon as the first pass shows it. Afterwards source tells how the passes went, and size the
    size of the last batch. Raises InputError for a model that does not treat each draw alone.
    """

    def __init__(
        self,
        model: BaseModel,
        sampler: NoiseSampler,
        source: Source,
        read: Reader[Read],
        batch_size: int | None = None,
        one_size: int | None = None,
        check: Callable[[int], None] | None = None,
    ) -> None:
        self.source, self.size = source, one_size or 0
        self._read: Reader[Read] = read
        self._model, self._sampler, self._check = model, sampler, check
        self._batch_size, self._one_size = batch_size, one_size

    def __iter__(self) -> Iterator[Read]:
        ((start, stop),) = self.source.draws
        with draws_of(self._model.engine, self._sampler, self.source) as stream:
            model, precision = self._model, self.source.engine["precision"]
            probe = Probe(model, stream, range(start, stop), self._read, precision)
            most = 1 if stop - start == 1 else self._most(probe)
            self.size = self._one_size or even_batch(stop - start, most)
            # Later looks build on these draws: their batches are halved before they count or never.
            halve = stop if self._one_size is None else start + (self._one_size == 0)
            sizes = set()
            passes = batches(model, stream, self.source, self._read, self.size, halve)
            for draws, output, self.size in passes:
                self._checked(output)
                sizes.add(self.size)
                probe.seen(draws, output, self.size)
                yield output
                del output
            probe.finish(self.size)
        self.source = replace(
            self.source,
            batch_sizes=tuple(sorted(sizes)),
            own_randomness=probe.own_randomness,
            binary=self._model.binary,
        )

    def _most(self, probe: Probe[Read]) -> int:
        """The most draws in a batch, after a draw alone, which tells how many fit."""
        measure = self._batch_size is None and not self._one_size
        try:
            with measured_activations(probe.copy.call if measure else None) as activations:
                output = probe.alone()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(out_of_memory(1, self.source.input_shape)) from None
        self._checked(output)
        if not measure:
            return self._batch_size or self.size
        # Noise, sum and output count beside the activations.
        x, size_of_output = self._sampler.x, output.num_classes * output.size.numel()
        most = fitting_batch(activations() + 8 * x.nbytes + 16 * size_of_output, x.device)
        return most if self._one_size is None else min(most, _MOST_FOR_LOOKS)

    def _checked(self, output: Read) -> None:
        if self._check is not None:
            self._check(output.size.numel())
            self._check = None
