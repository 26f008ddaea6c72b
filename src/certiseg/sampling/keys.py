"""Random streams by address: the noise of draw j is a function of (seed, key, j) alone.

Uses NumPy's counter-based generator Philox. Seed and key are hashed to its 128-bit key, and the
draw number is part of its counter, so that draws of one input use disjoint parts of the stream,
independent of batch size, order and worker. PyTorch's CPU generator is unsuitable: it keeps 32 bits
of its seed, so that among some tens of thousands of draws two would have the same noise.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import numpy as np

from certiseg.errors import InputError
from certiseg.votes import SEED_BITS


class FreshSeed(int):
    """A seed from the operating system's entropy, drawn after input, model and settings were fixed
    (theory T15)."""


class RecordedSeed(int):
    """A fresh seed read back from the record of a resumed run, which is trusted on this (T15)."""


def fresh_seed() -> FreshSeed:
    """128 bits of the operating system's entropy."""
    return FreshSeed(secrets.randbits(SEED_BITS))


def resolve_seed(seed: int | None) -> tuple[int, str]:
    """The seed, or a fresh one for None, and its origin: "entropy", "record" or "caller".

    An adversary who knows the seed can choose an input that is certified wrongly with its draws, so
    the default is fresh (theory T15). Raises InputError for a seed outside [0, 2^128).
    """
    if seed is None or isinstance(seed, FreshSeed):
        return int(fresh_seed() if seed is None else seed), "entropy"
    if isinstance(seed, RecordedSeed):
        return int(seed), "record"
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) < 2**SEED_BITS:
        raise InputError(
            f"expected a seed that is an integer >= 0 of {SEED_BITS} bits or None, got {seed!r}; "
            "None takes fresh entropy"
        )
    return int(seed), "caller"


@dataclass(frozen=True)
class Address:
    """Address of a draw's random words: Philox key (a hash of seed and key) and draw number."""

    halves: tuple[int, int]
    draw: int

    @staticmethod
    def of(seed: int, key: str, draw: int) -> Address:
        """The address of draw number ``draw`` of an input under a seed."""
        return Address(philox_key(seed, key), draw)

    def generator(self, block: int = 0, stream: int = 0) -> np.random.Generator:
        """Generator of the draw from a block (of four words) and stream on.

        Streams are 2^64 blocks apart, and draws 2^128 blocks.
        """
        philox = np.random.Philox(
            key=np.array(self.halves, dtype=np.uint64),
            counter=np.array([block, stream, self.draw, 0], dtype=np.uint64),
        )
        return np.random.Generator(philox)


def philox_key(seed: int, key: str) -> tuple[int, int]:
    """The two 64-bit halves of Philox's key."""
    address = hashlib.blake2b(
        f"{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()
    return int.from_bytes(address[:8], "little"), int.from_bytes(address[8:], "little")


def generator(seed: int, key: str, draw: int) -> np.random.Generator:
    """The generator of one draw."""
    return Address.of(seed, key, draw).generator()
