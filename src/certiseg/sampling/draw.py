"""Batches of noisy inputs, made by threads on the host or on the device."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import torch
from torch import Tensor

from certiseg.sampling.engine import Engine
from certiseg.sampling.keys import Address, philox_key
from certiseg.sampling.noise_samplers import GaussianSampler, NoiseSampler
from certiseg.votes import Source


class Draws(ABC):
    """Noisy inputs of any range of draws. Use as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    @abstractmethod
    def get(self, draws: range, following: range | None = None) -> Tensor:
        """Noisy inputs (len(draws), *x.shape) on the device. following: draws needed next."""


class NoiseStream(Draws):
    """Draws made by threads on the host (NumPy releases the interpreter lock).

    ahead: prepare the next batch while the model runs, at the memory of two batches. None: unless
    the model runs on the CPU, whose cores it needs.
    """

    def __init__(
        self, sampler: NoiseSampler, seed: int, key: str, ahead: bool | None = None
    ) -> None:
        self._sampler, self._key = sampler, philox_key(seed, key)
        on_cpu = sampler.x.device.type == "cpu"
        workers = torch.get_num_threads() if on_cpu else min(8, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(workers)
        self._looks_ahead = not on_cpu if ahead is None else ahead
        self._pinned = sampler.x.device.type == "cuda"
        self._ahead: tuple[range, Tensor, list[Future[None]]] | None = None

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, draws: range, following: range | None = None) -> Tensor:
        if self._ahead is None or self._ahead[0] != draws:
            self._drain()
            self._ahead = self._start(draws)
        _, batch, pending = self._ahead
        for future in pending:
            future.result()
        self._ahead = self._start(following) if following and self._looks_ahead else None
        return batch.to(self._sampler.x.device, non_blocking=True)

    def _start(self, draws: range) -> tuple[range, Tensor, list[Future[None]]]:
        # Pinned memory is copied asynchronously; PyTorch does not reuse it before that is done.
        x = self._sampler.x
        batch = torch.empty((len(draws), *x.shape), dtype=x.dtype, pin_memory=self._pinned)
        pending = [
            self._pool.submit(self._sampler.fill, row, Address(self._key, draw))
            for row, draw in zip(batch.numpy(), draws, strict=True)
        ]
        return draws, batch, pending

    def _drain(self) -> None:
        """Cancel or await unused noise, so that its memory is free before more is allocated."""
        if self._ahead is not None:
            for future in self._ahead[2]:
                future.cancel() or future.result()
            self._ahead = None


class DeviceNoise(Draws):
    """Draws made on the model's device, bit for bit equal to those of the host."""

    def __init__(self, sampler: GaussianSampler, seed: int, key: str) -> None:
        self._sampler, self._key = sampler, philox_key(seed, key)

    def get(self, draws: range, following: range | None = None) -> Tensor:
        return self._sampler.on_device(self._key, draws)


def draws_of(engine: Engine, sampler: NoiseSampler, source: Source) -> Draws:
    """The draws of an experiment. Only Gaussian noise can be made on the device."""
    if engine.noise_on == "device" and isinstance(sampler, GaussianSampler):
        return DeviceNoise(sampler, source.seed, source.key)
    return NoiseStream(sampler, source.seed, source.key)
