"""Functions of NumPy arrays as base models: layouts, types, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import certiseg as cs

X = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
WEIGHTS = np.array([[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]])


def last(x: Any) -> Any:
    assert x.dtype == np.float32
    assert x.shape[-1] == 3
    return x @ WEIGHTS


def first(x: Any) -> Any:
    return np.einsum("bchw,ck->bkhw", x, WEIGHTS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8"])
def test_both_layouts_say_the_same(dtype: Any) -> None:
    wanted = torch.einsum("bchw,ck->bkhw", X.double(), torch.from_numpy(WEIGHTS))
    for function, channels_last in ((last, True), (first, False)):
        model = cs.NumpyModel(lambda x, f=function: f(x).astype(dtype), channels_last=channels_last)
        torch.testing.assert_close(model(X).double(), wanted, rtol=1e-2, atol=1e-2)


def test_labels_and_volumes() -> None:
    labels = cs.NumpyModel(lambda x: last(x).argmax(-1).astype(np.uint16), channels_last=True)
    assert torch.equal(labels(X), cs.NumpyModel(first)(X).argmax(1))
    volumes = cs.NumpyModel(lambda x: x @ np.ones((3, 2)), channels_last=True)
    assert tuple(volumes(torch.zeros(2, 3, 4, 5, 6)).shape) == (2, 2, 4, 5, 6)
    smoothed = cs.Smoothed(
        cs.NumpyModel(lambda x: (x[:, 0] > 0.5).astype(int), num_classes=2), cs.Gaussian(0.1)
    )
    found = smoothed.certify(torch.full((3, 4, 5), 0.9), 60, seed=1)
    assert (found.labels == 1).all()


def test_a_buffer_that_is_used_again_is_copied() -> None:
    buffer = np.zeros((1, 2, 4, 5), np.float32)

    def function(x: Any) -> Any:
        buffer[:] = x[:, :2]
        return buffer

    model = cs.NumpyModel(function)
    one, other = model(X[:1]), model(X[1:])
    assert torch.equal(one, X[:1, :2])
    assert torch.equal(other, X[1:, :2])


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: (x, x), "got tuple of 2; choose one"),
        (lambda x: {"a": x}, "got dict of 1"),
        (lambda x: x.astype(np.int8), "int8 of shape .*turn quantised scores"),
        (lambda x: x[:, 0] > 0, "bool of shape .*masks into integers"),
        (lambda x: None, "object"),
    ],
)
def test_what_is_refused(function: Callable[..., Any], word: str) -> None:
    with pytest.raises(cs.InputError, match=word):
        cs.NumpyModel(function)(X)


def test_what_the_fingerprint_sees_is_said() -> None:
    """Numbers and arrays in the function are covered, and so is the digest of a file beside it."""

    def votes(weights: Any) -> Any:
        model = cs.NumpyModel(lambda x: np.einsum("bchw,ck->bkhw", x, weights))
        return cs.Smoothed(model, cs.Gaussian(0.25)).vote(X[0], 10, seed=1).source

    assert votes(WEIGHTS).not_covered == ()
    assert votes(WEIGHTS).model == votes(WEIGHTS.copy()).model != votes(2 * WEIGHTS).model
    handle = (number for number in ())  # shows nothing of itself

    def function(x: Any, file: str = "digest") -> Any:
        assert handle is not None
        return first(x)

    smoothed = cs.Smoothed(cs.NumpyModel(function), cs.Gaussian(0.25))
    source = smoothed.vote(X[0], 10, seed=1).source
    assert source is not None
    assert any("handle" in name for name in source.not_covered)
    function.__defaults__ = ("another",)
    other = smoothed.vote(X[0], 10, seed=1).source
    assert other is not None
    assert other.model != source.model


def test_a_model_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    pixels = X.movedim(1, -1).reshape(-1, 3).numpy()
    classifier = linear.LogisticRegression().fit(pixels, pixels[:, 0] > 0.5)

    def function(x: Any) -> Any:
        return classifier.predict_proba(x.reshape(-1, 3)).reshape(*x.shape[:-1], 2)

    smoothed = cs.Smoothed(cs.NumpyModel(function, channels_last=True), cs.Gaussian(0.1))
    found = smoothed.certify(torch.full((3, 4, 5), 0.95), 100, seed=1)
    assert (found.labels == 1).all()
    source = found.votes.source
    assert source is not None
    classifier.coef_ = 2 * classifier.coef_
    other = smoothed.vote(torch.full((3, 4, 5), 0.95), 10, seed=1).source
    assert other is not None
    assert other.model != source.model
