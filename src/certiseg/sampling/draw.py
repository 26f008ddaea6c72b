"""What a range of draws needs, made ahead of the model on a few threads."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from certiseg.sampling.keys import generator
from certiseg.sampling.laws import Drawn, Law


def fill(out: Drawn, law: Law, seed: int, key: str, draw: int) -> None:
    """Write what the draw at this address needs into out, a contiguous array of the law's shape."""
    law.fill(out, generator(seed, key, draw))


class NoiseStream:
    """Noise of draws as batches, the next one being filled while the caller uses the last.

    NumPy releases the interpreter lock while it fills an array, so threads do help. Two batches
    are held at a time. Use as a context manager.
    """

    def __init__(self, law: Law, seed: int, key: str) -> None:
        self._law, self._seed, self._key = law, seed, key
        self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        self._ahead: tuple[range, Drawn, list[Future[None]]] | None = None

    def __enter__(self) -> NoiseStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, draws: range, following: range | None = None) -> Drawn:
        """What the given draws need (len(draws), *shape); starts on those that follow."""
        if self._ahead is None or self._ahead[0] != draws:
            self._drain()
            self._ahead = self._start(draws)
        _, batch, pending = self._ahead
        for future in pending:
            future.result()
        self._ahead = self._start(following) if following else None
        return batch

    def _start(self, draws: range) -> tuple[range, Drawn, list[Future[None]]]:
        batch = np.empty((len(draws), *self._law.shape), dtype=self._law.dtype)
        pending = [
            self._pool.submit(fill, row, self._law, self._seed, self._key, draw)
            for row, draw in zip(batch, draws, strict=True)
        ]
        return draws, batch, pending

    def _drain(self) -> None:
        """Wait for noise nobody will use, so that its memory is free before more is asked for."""
        if self._ahead is not None:
            for future in self._ahead[2]:
                future.cancel() or future.result()
            self._ahead = None
