"""Noise samplers: the noisy input that the model sees in a given draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certiseg.compiled import compiled
from certiseg.errors import InputError
from certiseg.noise import Gaussian, Noise, Rotation, law_of
from certiseg.noise.rotation import AXES
from certiseg.sampling.keys import Address
from certiseg.sampling.noise_loop import rounded_sums
from certiseg.sampling.normals import TILE, chords, host_cells, normals_into, normals_of
from certiseg.sampling.philox import philox_words
from certiseg.sampling.rounded import brackets, exact_steps, unsure

Drawn = NDArray[Any]
_WORDS_AT_ONCE = 2**23
_FURTHER = 1
"""Stream of the lower halves of the 64-bit words; the upper halves are stream 0."""


class NoiseSampler(Protocol):
    """Sampler of a noise at one checked input x. engine: description of the generator."""

    x: Tensor

    @property
    def engine(self) -> str: ...

    def fill(self, out: Drawn, address: Address) -> None:
        """Write the noisy input of one draw to out, contiguous and of x's shape and dtype."""


def sampler_at(noise: Noise, x: Tensor) -> NoiseSampler:
    """The sampler of a noise at x. Raises InputError for an unsuitable input."""
    noise.check_shape(tuple(x.shape))
    sampler: NoiseSampler = law_of(noise)(noise, x)
    return sampler


class GaussianSampler:
    """``round_h(x + Z)``: Gaussian noise is added, and the sum rounded to the grid (theory T12).

    x / h is split into an integer and a residual in [-1/2, 1/2], both exact in float64; the sampler
    draws the rounded sum of residual and noise, in steps of h.
    """

    def __init__(self, noise: Gaussian, x: Tensor) -> None:
        self.x, self._step, self._scale = x, noise.grid, noise.sigma / noise.grid
        given = np.ascontiguousarray(x.cpu().numpy())
        moved = given[: noise.channels]
        self._kept = given[len(moved) :]
        self._flat = moved.reshape(-1)
        _check_size(given.dtype, float(np.abs(self._flat).max()) / self._step, noise)
        self._sure = np.float32(0.5 - unsure(self._scale))
        known = given.dtype in (np.float32, np.float64)
        self._loop: Callable[..., int] | None = compiled(rounded_sums) if known else None
        if self._loop is None:
            _ = self._split  # before threads need it

    @cached_property
    def _split(self) -> tuple[Drawn, NDArray[np.float32]]:
        """Integer part and residual of x / h, in steps."""
        steps = self._flat.astype(np.float64) / self._step
        whole = np.rint(steps)
        # Adding 0.0 turns -0.0 into 0.0, so that a sum of 0 does not carry the sign of x.
        kind = self._flat.dtype.type
        return whole.astype(kind) + kind(0.0), (steps - whole).astype(np.float32)

    @property
    def engine(self) -> str:
        steps = f"2^{round(math.log2(self._step))}"
        return f"Philox 4x64, 64 bits a value, sums rounded to multiples of {steps}"

    def fill(self, out: Drawn, address: Address) -> None:
        out[len(out) - len(self._kept) :] = self._kept
        flat = out.reshape(-1)[: len(self._flat)]
        places, cells = self._filled(flat, address)
        whole, residual = self._exact(places)
        settled = exact_steps(
            cells, residual, self._scale, lambda some: lower_words(address, places[some])
        )
        flat[places] = (settled + whole) * self._step

    def _filled(self, flat: Drawn, address: Address) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Fill flat, except for the values that float32 does not decide: their places and cells."""
        left: list[tuple[NDArray[np.intp], NDArray[np.int32]]] = []
        # In tiles that fit the cache.
        tiles = [slice(first, first + TILE) for first in range(0, len(flat), TILE)]
        if self._loop is None:
            generator = address.generator()
            sums, steps = np.empty((2, TILE), np.float32)
            for tile in tiles:
                left.append(self._fill_tile(flat, tile, generator, sums, steps))
        else:
            places, cells = np.empty(TILE, np.intp), np.empty(TILE, np.int32)
            key, draw = np.array(address.halves, np.uint64), np.uint64(address.draw)
            for tile in tiles:
                found = self._loop(
                    *(key, draw, tile.start, min(tile.stop, len(flat)), *chords(self._scale)),
                    *(self._flat, self._step, self._sure, flat, places, cells),
                )
                left.append((places[:found].copy(), cells[:found].copy()))
        all_places, all_cells = zip(*left, strict=True)
        return np.concatenate(all_places), np.concatenate(all_cells)

    def _fill_tile(
        self,
        flat: Drawn,
        tile: slice,
        generator: np.random.Generator,
        sums: NDArray[np.float32],
        steps: NDArray[np.float32],
    ) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """The next tile of ``_filled`` with NumPy."""
        out = flat[tile]
        near, step = sums[: len(out)], steps[: len(out)]
        cells = host_cells(generator, len(out))
        normals_into(near, cells, chords(self._scale))
        whole, residual = self._split
        near += residual[tile]
        np.rint(near, out=step)
        near -= step
        np.abs(near, out=near)
        # "not <=": NaN from the table is undecided too.
        places = np.flatnonzero(~(near <= self._sure))
        np.add(step, whole[tile], out=out)
        out *= out.dtype.type(self._step)
        return places + tile.start, cells[places]

    def on_device(self, key: tuple[int, int], draws: range) -> Tensor:
        """The same as ``fill`` for several draws, (len(draws), *x.shape), made on x's device."""
        device, size = self.x.device, len(self._flat)
        table = tuple(torch.tensor(part, device=device) for part in chords(self._scale))
        whole, residual = (torch.from_numpy(part).to(device) for part in self._split)
        out = self.x.repeat(len(draws), *[1] * self.x.ndim).view(len(draws), -1)
        # A few draws at a time, to bound the memory for words.
        some = max(1, _WORDS_AT_ONCE // size)
        for first in range(0, len(draws), some):
            numbers = draws[first : first + some]
            words = philox_words(key, numbers, -(-size // 2), device)
            cells = words.contiguous().view(torch.int32)[:, :size]
            near = normals_of(cells, (table[0], table[1])).add_(residual)
            steps = near.round()
            left = ~(near.sub_(steps).abs_() <= float(self._sure))
            rows, places = (part.cpu() for part in left.nonzero(as_tuple=True))
            steps[left] = self._settled(cells[left], rows, places, key, numbers).to(steps.dtype)
            out[first : first + some, :size] = steps.to(out.dtype).add_(whole).mul_(self._step)
        return out.view(len(draws), *self.x.shape)

    def _settled(
        self, cells: Tensor, rows: Tensor, places: Tensor, key: tuple[int, int], numbers: range
    ) -> Tensor:
        """Steps, float64, of the values (rows, places) that float32 did not decide: by float64 on
        the device, and for the few that this does not decide, on the host."""
        residual = torch.from_numpy(self._exact(places.numpy())[1]).to(cells.device)
        low: Tensor
        low, high = brackets(
            cells.double(), 2.0**-32, residual, self._scale, torch.special.ndtri, torch.floor
        )
        for index in (low != high).nonzero()[:, 0].tolist():
            address = Address(key, numbers[int(rows[index])])
            place = places[index : index + 1].numpy()
            low[index] = exact_steps(
                cells[index : index + 1].cpu().numpy(),
                self._exact(place)[1],
                self._scale,
                lambda _, address=address, place=place: lower_words(address, place),  # type: ignore[misc]
            )[0]
        return low

    def _exact(self, places: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Integer parts and residuals in float64, exact since a residual is at most 1/2."""
        steps = self._flat[places].astype(np.float64) / self._step
        whole = np.rint(steps) + 0.0  # no -0.0
        return whole, steps - whole


def _check_size(dtype: np.dtype[Any], largest: float, noise: Gaussian) -> None:
    """Raise InputError if multiples of h would not be exact in the dtype of the input."""
    most = 2.0 ** (np.finfo(dtype).nmant + 1) - 10.0 * noise.sigma / noise.grid
    if largest > most:
        raise InputError(
            f"expected values of at most {most * noise.grid:g} with sigma = {noise.sigma:g} in "
            f"{dtype}, got {largest * noise.grid:g}; rescale the input, or pass it as float64"
        )


def lower_words(address: Address, places: NDArray[np.intp]) -> NDArray[np.uint32]:
    """The lower halves of the words of these values; about one value in a million needs them."""
    found = np.empty(len(places), np.uint32)
    for index, place in enumerate(places.tolist()):
        word, half = divmod(place, 2)
        words = address.generator(word // 4, _FURTHER).bit_generator.random_raw(4)
        found[index] = words.astype("<u8").view("<u4")[2 * (word % 4) + half]
    return found


class RotationSampler:
    """Rotates a cloud, and its normals, about its centroid in float64, rounded once to x's dtype.

    Uses elementwise products and sums on the host, so that the result does not depend on batch
    size, device or BLAS.
    """

    engine = f"numpy {np.__version__} Philox, standard_normal in float64, rotated in float64"

    def __init__(self, noise: Rotation, x: Tensor) -> None:
        self.x, self._noise = x, noise
        cloud = x.cpu().numpy().astype(np.float64)
        self._centroid = cloud[:3].mean(axis=1, keepdims=True)
        self._points, self._normals = cloud[:3] - self._centroid, cloud[3:]

    def fill(self, out: Drawn, address: Address) -> None:
        rotation = drawn_rotation(self._noise, address.generator())
        out[:3] = _product(rotation, self._points) + self._centroid
        if len(self._normals):
            out[3:] = _product(rotation, self._normals)


def drawn_rotation(noise: Rotation, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw a rotation matrix (theory T11)."""
    vector = np.zeros(3)
    if noise.axis is not None:
        vector[AXES.index(noise.axis)] = noise.sigma * generator.standard_normal()
    else:
        while True:
            vector = noise.sigma * generator.standard_normal(3)
            if math.hypot(*vector) <= math.pi:
                break
    return rotation_by(vector)


def rotation_by(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation matrix exp(vector), around this axis by its length, by Rodrigues' formula."""
    angle = math.hypot(*vector)
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    half = math.sin(angle / 2.0)
    return np.asarray(
        np.eye(3) + math.sin(angle) * cross + 2.0 * half * half * _product(cross, cross)
    )


def _product(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix product (3, 3) x (3, N), summed in a fixed order unlike in BLAS."""
    first, second, third = (matrix[:, i : i + 1] * points[i] for i in range(3))
    return np.asarray(first + second + third)
