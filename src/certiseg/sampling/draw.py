"""Noise of a range of draws, made ahead of the model on a few threads."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from certiseg.noise import Noise
from certiseg.sampling.keys import generator

GENERATOR = f"numpy {np.__version__} Philox, standard_normal in float32"


def fill(out: NDArray[np.float32], noise: Noise, seed: int, key: str, draw: int) -> None:
    """Write the noise of one draw into out, a contiguous float32 array of the input's shape."""
    generator(seed, key, draw).standard_normal(dtype=np.float32, out=out)
    single = np.float32(noise.sigma)
    if float(single) == noise.sigma:
        out *= single
    else:
        # In float64, rounded once: a rounded sigma would make all noise smaller than stated.
        np.multiply(out, np.float64(noise.sigma), out=out, casting="same_kind")


class NoiseStream:
    """Noise of draws as batches, the next one being filled while the caller uses the last.

    NumPy releases the interpreter lock while it fills an array, so threads do help. Two batches
    are held at a time. Use as a context manager.
    """

    def __init__(self, noise: Noise, shape: tuple[int, ...], seed: int, key: str) -> None:
        self._noise, self._shape, self._seed, self._key = noise, shape, seed, key
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        self._ahead: tuple[range, NDArray[np.float32], list[Future[None]]] | None = None

    def __enter__(self) -> NoiseStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, draws: range, following: range | None = None) -> NDArray[np.float32]:
        """Noise (len(draws), *shape) of the given draws; starts on those that follow."""
        if self._ahead is None or self._ahead[0] != draws:
            self._drain()
            self._ahead = self._start(draws)
        _, batch, pending = self._ahead
        for future in pending:
            future.result()
        self._ahead = self._start(following) if following else None
        return batch

    def _start(self, draws: range) -> tuple[range, NDArray[np.float32], list[Future[None]]]:
        batch = np.empty((len(draws), *self._shape), dtype=np.float32)
        pending = [
            self._pool.submit(fill, row, self._noise, self._seed, self._key, draw)
            for row, draw in zip(batch, draws, strict=True)
        ]
        return draws, batch, pending

    def _drain(self) -> None:
        """Wait for noise nobody will use, so that its memory is free before more is asked for."""
        if self._ahead is not None:
            for future in self._ahead[2]:
                future.cancel() or future.result()
            self._ahead = None
