"""Randomness as an address: the noise of draw j is a function of (seed, key, j) alone.

NumPy's Philox is a counter-based generator. Seed and key are hashed into its 128-bit key, the draw
number is the upper half of its counter, so two draws of one input read disjoint stretches of the
stream whatever the batch size, the order or the worker. PyTorch's own CPU generator would not do:
it keeps 32 bits of its seed, so two draws in some tens of thousands would be the same noise.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import numpy as np

from certiseg.errors import InputError
from certiseg.votes import SEED_BITS


class FreshSeed(int):
    """A seed that came from the operating system for inputs, model and settings that were fixed
    before it (theory T15)."""


class RecordedSeed(int):
    """Such a seed read from the record of a run that goes on: the record says so, and nobody else
    (theory T15)."""


def fresh_seed() -> FreshSeed:
    """128 bits of the operating system's entropy."""
    return FreshSeed(secrets.randbits(SEED_BITS))


def resolve_seed(seed: int | None) -> tuple[int, str]:
    """The seed and where it came from: "caller", "entropy" for a fresh 128-bit one, or "record" for
    one that a run's record says was fresh.

    A seed that an adversary can foresee lets them choose an input that looks certified under just
    those draws, so the default is fresh (theory T15). Raises InputError for a seed outside
    [0, 2^128).
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
    """Where the words of one draw stand: Philox's key, from seed and key, and the draw's number."""

    halves: tuple[int, int]
    draw: int

    @staticmethod
    def of(seed: int, key: str, draw: int) -> Address:
        """The address of draw number ``draw`` of an input under a seed."""
        return Address(philox_key(seed, key), draw)

    def generator(self, block: int = 0, stream: int = 0) -> np.random.Generator:
        """From a block of four words on. 2^64 blocks lie between two streams, 2^128 between the
        starts of neighbouring draws."""
        philox = np.random.Philox(
            key=np.array(self.halves, dtype=np.uint64),
            counter=np.array([block, stream, self.draw, 0], dtype=np.uint64),
        )
        return np.random.Generator(philox)


def philox_key(seed: int, key: str) -> tuple[int, int]:
    """The two halves of Philox's key."""
    address = hashlib.blake2b(
        f"{seed}\0{key}".encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()
    return int.from_bytes(address[:8], "little"), int.from_bytes(address[8:], "little")


def generator(seed: int, key: str, draw: int) -> np.random.Generator:
    """The generator of one draw."""
    return Address.of(seed, key, draw).generator()
