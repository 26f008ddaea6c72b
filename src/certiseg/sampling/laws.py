"""How a law perturbs an input: what is drawn for one draw, and what the model then sees."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from certiseg.noise import Gaussian, Noise, Rotation
from certiseg.noise.rotation import AXES
from certiseg.sampling.engine import Normals
from certiseg.sampling.normals import (
    TILE,
    chords,
    host_cells,
    normals_into,
    normals_of,
    table_name,
)
from certiseg.sampling.philox import philox_words

Drawn = NDArray[Any]
_WORDS_AT_ONCE = 2**23


class Law(Protocol):
    """One law at one input x, checked and on its device.

    shape, dtype: of the array that one draw fills. engine: how, in words, for the record.
    """

    x: Tensor
    shape: tuple[int, ...]
    dtype: DTypeLike

    @property
    def engine(self) -> str: ...

    def fill(self, out: Drawn, generator: np.random.Generator) -> None:
        """Write what one draw needs into out, a contiguous array (*shape) of dtype."""

    def batch(self, drawn: Tensor) -> Tensor:
        """The inputs (B, *x.shape) under the draws (B, *shape), on the device of x; may take over
        their memory."""


def law_at(noise: Noise, x: Tensor, normals: Normals = "table") -> Law:
    """The law at x. Raises InputError for inputs that it cannot perturb."""
    noise.check_shape(tuple(x.shape))
    if isinstance(noise, Rotation):
        return TurnedCloud(noise, x)
    return AddedNoise(noise, x) if normals == "table" else ZigguratNoise(noise, x)


class AddedNoise:
    """Gaussian noise in float32, read off a table, added in the precision of the input.

    The bits of the noise are the same on every device (``normals.py``).
    """

    dtype: DTypeLike = np.float32

    def __init__(self, noise: Gaussian, x: Tensor) -> None:
        self.x, self._sigma, self._channels = x, noise.sigma, noise.channels
        whole = tuple(x.shape)
        self.shape = whole if noise.channels is None else (noise.channels, *whole[1:])

    @property
    def engine(self) -> str:
        return f"Philox 4x64, normal quantiles in float32 by table {table_name()}"

    def fill(self, out: Drawn, generator: np.random.Generator) -> None:
        flat, table = out.reshape(-1), chords(self._sigma)
        # Piece by piece, so that the words are still in the cache when they are read.
        for start in range(0, len(flat), TILE):
            piece = flat[start : start + TILE]
            normals_into(piece, host_cells(generator, len(piece)), table)

    def on_device(self, key: tuple[int, int], draws: range) -> Tensor:
        """What ``fill`` writes for these draws (len(draws), *shape), made on the device of x."""
        device = self.x.device
        offsets, slopes = (torch.tensor(part, device=device) for part in chords(self._sigma))
        size = math.prod(self.shape)
        drawn = torch.empty((len(draws), size), device=device)
        # A few draws at once, so that the integers of a big batch need little memory.
        some = max(1, _WORDS_AT_ONCE // size)
        for first in range(0, len(draws), some):
            rows = drawn[first : first + some]
            words = philox_words(key, draws[first : first + some], -(-size // 2), device)
            cells = words.contiguous().view(torch.int32)[:, :size]
            rows.copy_(normals_of(cells, (offsets, slopes)))
        return drawn.view(len(draws), *self.shape)

    def batch(self, drawn: Tensor) -> Tensor:
        noise = drawn.to(self.x.device, non_blocking=True)
        if self._channels is None:
            # In place where types agree: the noise has served its turn.
            return noise.to(self.x.dtype).add_(self.x)
        batch = self.x.repeat(len(drawn), *[1] * self.x.ndim)
        batch[:, : self._channels] += noise
        return batch


class ZigguratNoise(AddedNoise):
    """Gaussian noise by NumPy's own normal numbers, as certificates before the table record it.

    NumPy does not promise these numbers for ever; they are made on the host alone.
    """

    @property
    def engine(self) -> str:
        return f"numpy {np.__version__} Philox, standard_normal in float32"

    def fill(self, out: Drawn, generator: np.random.Generator) -> None:
        generator.standard_normal(dtype=np.float32, out=out)
        single = np.float32(self._sigma)
        if float(single) == self._sigma:
            out *= single
        else:
            # In float64, rounded once: a rounded sigma would make all noise smaller than stated.
            np.multiply(out, np.float64(self._sigma), out=out, casting="same_kind")


class TurnedCloud:
    """A cloud rotated about its centroid in float64, rounded once; normals rotate along.

    Done while drawing, on the threads that draw, by products and sums of single numbers: so the
    result depends on neither the batch size nor the device.
    """

    engine = f"numpy {np.__version__} Philox, standard_normal in float64, rotated in float64"

    def __init__(self, noise: Rotation, x: Tensor) -> None:
        self.x, self._noise = x, noise
        given = x.cpu().numpy()
        self.shape: tuple[int, ...] = given.shape
        self.dtype: DTypeLike = given.dtype
        cloud = given.astype(np.float64)
        self._centroid = cloud[:3].mean(axis=1, keepdims=True)
        self._points, self._normals = cloud[:3] - self._centroid, cloud[3:]

    def fill(self, out: Drawn, generator: np.random.Generator) -> None:
        turn = drawn_rotation(self._noise, generator)
        out[:3] = _turned(turn, self._points) + self._centroid
        if len(self._normals):
            out[3:] = _turned(turn, self._normals)

    def batch(self, drawn: Tensor) -> Tensor:
        return drawn.to(self.x.device)


def drawn_rotation(noise: Rotation, generator: np.random.Generator) -> NDArray[np.float64]:
    """One rotation matrix of the law (theory T11), by Rodrigues' formula."""
    vector = np.zeros(3)
    if noise.axis is not None:
        vector[AXES.index(noise.axis)] = noise.sigma * generator.standard_normal()
    else:
        while True:
            vector = noise.sigma * generator.standard_normal(3)
            if math.hypot(*vector) <= math.pi:
                break
    angle = math.hypot(*vector)
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    half = math.sin(angle / 2.0)
    return np.asarray(
        np.eye(3) + math.sin(angle) * cross + 2.0 * half * half * _turned(cross, cross)
    )


def _turned(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The product (3, 3) x (3, N), without a library that sums in an order of its own."""
    first, second, third = (matrix[:, i : i + 1] * points[i] for i in range(3))
    return np.asarray(first + second + third)
