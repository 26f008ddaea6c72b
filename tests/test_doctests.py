"""The examples in the docstrings of public names run and print what they say."""

from __future__ import annotations

import doctest
import inspect
import sys

import pytest

import certiseg
from certiseg.noise.noise import Noise

PUBLIC = [*(getattr(certiseg, name) for name in certiseg.__all__), Noise]


@pytest.mark.parametrize(
    "public", [o for o in PUBLIC if inspect.isclass(o) or inspect.isfunction(o)], ids=repr
)
def test_examples(public: object) -> None:
    module = sys.modules[public.__module__]
    found = doctest.DocTestFinder().find(public, globs=vars(module).copy())
    for example in found:
        results = doctest.DocTestRunner(verbose=False).run(example)
        assert results.failed == 0
