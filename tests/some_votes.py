"""Made-up votes and provenance for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import certiseg as cs
from certiseg.votes import Source


def made_up_source(start: int = 0, stop: int = 100, **changes: Any) -> Source:
    """Provenance of draws start .. stop - 1 of an image (3, 2, 3), with other fields as given."""
    source = Source(
        noise=cs.Gaussian(0.25),
        seed=2**100 + 1,
        seed_origin="entropy",
        key="street",
        draws=((start, stop),),
        model="ab" * 32,
        model_name="Net",
        input="cd" * 32,
        input_shape=(3, 2, 3),
        value_range=(0.0, 1.0),
    )
    return replace(source, **changes)


def some_votes(rng: np.random.Generator, shape: tuple[int, ...], classes: int, trials: int):
    """Votes of independent components whose favoured label has a probability of 0.3 to 1."""
    sharpness = rng.uniform(0.3, 1.0, size=shape)
    rest = rng.dirichlet(np.ones(classes - 1), size=shape) * (1 - sharpness)[..., None]
    p = np.concatenate([sharpness[..., None], rest], axis=-1)
    p = rng.permuted(p, axis=-1)
    return cs.VoteCounts(rng.multinomial(trials, p / p.sum(-1, keepdims=True)), trials)


@st.composite
def random_votes(draw):
    """Votes of 1 to 60 components, 2 to 6 classes, 40 to 120 draws."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    trials = draw(st.integers(40, 120))
    return some_votes(rng, (draw(st.integers(1, 60)),), draw(st.integers(2, 6)), trials)


class Written:
    """Gives the votes written down for it, one part after the other: counts (*components, C)."""

    def __init__(self, parts):
        self.parts = [np.asarray(part) for part in parts]

    def sizes(self):
        return self.parts[0][..., 0].size, self.parts[0].shape[-1]

    def more(self, draws):
        return cs.VoteCounts(self.parts.pop(0), draws)
