"""``Passes``: run one range of draws through the model, in sized batches, with the probe."""

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


class Passes(Generic[Read]):
    """Iterate once over the model's outputs for all draws of source, batch by batch.

    sampler: of the noise at the checked input. batch_size: largest number of draws in a batch;
    None: as many as fit. one_size: batch size of earlier looks, which this range must use too; 0 at
    the first look, None if there are no looks. check: called with the number of components after
    the first pass. Afterwards ``source`` records how the passes went, and ``size`` is the last
    batch size. Raises InputError for a model that does not treat each draw alone.
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
            # All batches of all looks have one size, which may be halved in the first batch only.
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
        """Largest batch size, from the memory of a pass with a single draw."""
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
        # Activations, noise, noisy input and output.
        x, components = self._sampler.x, output.size.numel()
        needed = activations() + 8 * x.nbytes + 16 * output.num_classes * components
        padded = self._one_size is not None
        return fitting_batch(needed, x.device, components=components, padded=padded)

    def _checked(self, output: Read) -> None:
        if self._check is not None:
            self._check(output.size.numel())
            self._check = None
