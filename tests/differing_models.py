"""Pairs of models that differ in exactly one thing, for the tests of fingerprints.

Each text is executed twice with another value V, which only what it builds may keep.
Run as a script it prints the fingerprints of all, as another process sees them.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import fractions
import functools
import pathlib
import re
import sys
import textwrap
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn


def weights(value: float) -> nn.Module:
    layer = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer.eval()


class Holder:
    def __init__(self, kept: object) -> None:
        self.kept = kept

    def __call__(self, x: object) -> object:
        return x


class Slotted:
    __slots__ = ("kept",)

    def __init__(self, kept: object) -> None:
        self.kept = kept


@dataclasses.dataclass(frozen=True)
class Record:
    kept: object
    other: tuple[object, ...] = ()


class Net(nn.Module):
    def __init__(self, kept: object) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, x: object) -> object:
        return x


_KEPT = {
    "number": "V",
    "float": "V / 3",
    "sign of zero": "-0.0 if V == 2 else 0.0",
    "flag, not number": "1 if V == 2 else True",
    "text": "'abc'[V - 2]",
    "bytes": "bytes([V])",
    "none": "None if V == 2 else 0",
    "tensor": "torch.full((2, 3), float(V))",
    "shape of a tensor": "torch.zeros(V, 6 // V)",
    "type of a tensor": "torch.zeros(2, dtype=torch.int32 if V == 2 else torch.float32)",
    "sparse tensor": "torch.eye(3).mul(V).to_sparse()",
    "array": "np.full((2, 3), V)",
    "array of objects": "np.array([V, 'a'], dtype=object)",
    "array number": "np.float32(V)",
    "list": "[1, V]",
    "tuple": "(1, V)",
    "order of a dictionary": "{1: 2, 3: 4} if V == 2 else {3: 4, 1: 2}",
    "dictionary": "{'a': V}",
    "nested": "[{'a': (1, [Holder({'b': V})])}]",
    "set": "{'a', 'b', f'c{V}'}",
    "set of records": "{Record(1), Record(V), Record((V, (1, 2)))}",
    "deque": "collections.deque([V])",
    "default": "collections.defaultdict(functools.partial(int, V))",
    "named tuple": "collections.namedtuple('Pair', 'a b')(1, V)",
    "record": "Record(V)",
    "object": "Holder(V)",
    "slots": "Slotted(V)",
    "namespace": "types.SimpleNamespace(a=V)",
    "fraction": "fractions.Fraction(1, V)",
    "path": "pathlib.Path(f'{V}')",
    "pattern": "re.compile(f'{V}')",
    "member": "enum.Enum('Kind', {'A': V}).A",
    "number with a class": "type('Size', (int,), {})(V)",
    "list with a class": "type('Rows', (list,), {})([V])",
    "module in a list": "[weights(V)]",
    "module in a tuple": "(weights(V),)",
    "module in a dictionary": "{'a': weights(V)}",
    "module in a set": "{weights(V)}",
    "module in an object in a list": "[Holder(weights(V))]",
    "lambda": "lambda x, by=V: x",
    "partial": "functools.partial(torch.mul, V)",
    "method of a list": "[V].append",
    "reference": "{'weak': weakref.ref(keep)}",
}
_OTHER = {
    "attribute of the class": """
        class Own(Net):
            by = V
        model = Own(None)""",
    "attribute of a base class": """
        class Base(Net):
            by = [V]
        class Own(Base):
            pass
        model = Own(None)""",
    "training": "model = nn.Sequential(Net(1).train(V == 2), nn.ReLU())",
    "method in a closure": """
        def made(by):
            class Own(Net):
                def forward(self, x):
                    return x * by
            return Own(None)
        model = made(V)""",
    "global of a method": """
        BY = V
        class Own(Net):
            def forward(self, x):
                return x * BY
        model = Own(None)""",
    "global of a helper of a method": """
        BY = torch.full((3,), float(V))
        def deeper(x):
            return x * BY
        def helper(x):
            return deeper(x)
        class Own(Net):
            def forward(self, x):
                return helper(x)
        model = Own(None)""",
    "global of a property": """
        BY = V
        class Own(Net):
            @property
            def by(self):
                return BY
        model = Own(None)""",
    "global class": """
        class Times:
            by = V
            def __call__(self, x):
                return x * self.by
        class Own(Net):
            def forward(self, x):
                return Times()(x)
        model = Own(None)""",
    "module of a hook": """
        net = weights(V)
        model = weights(1)
        model.register_forward_hook(lambda layer, given, result: net(result))""",
    "global of a hook": """
        BY = V
        def hook(layer, given, result):
            return result * BY
        model = weights(1)
        model.register_forward_hook(hook)""",
    "hook before": """
        model = weights(1)
        model.register_forward_pre_hook(functools.partial(lambda by, layer, given: None, V))""",
    "forward put in place": """
        model = weights(1)
        model.forward = functools.partial(torch.mul, other=V)""",
    "method of a helper object": """
        class Times:
            def __init__(self, by):
                self.by = by
            def apply(self, x):
                return x * self.by
        model = Net(Times(V).apply)""",
    "cycle": """
        model = Net([V])
        model.kept.append(model.kept)
        model.parent = [model]""",
    "function over a module": """
        net = weights(V)
        def model(x):
            return net(x)""",
    "function over a number": """
        BY = V
        def model(x):
            return x * BY""",
    "function over a dictionary": """
        SETTINGS = {"by": [V]}
        def model(x):
            return x * SETTINGS["by"][0]""",
    "function inside a function": """
        BY = V
        def model(x):
            def inner(y):
                return [y * BY for _ in range(1)][0]
            return inner(x)""",
    "helpers": """
        BY = V
        def deeper(x):
            return x * BY
        def helper(x):
            return deeper(x)
        def model(x):
            return helper(x)""",
    "another file": """
        settings = types.ModuleType("settings")
        settings.inner = types.ModuleType("inner")
        settings.inner.BY = V
        def model(x):
            return x * settings.inner.BY""",
    "closure": """
        def made(by):
            return lambda x: x * by
        model = made(V)""",
    "closure in a closure": """
        def made(by):
            def inner(x):
                return x * by
            return lambda x: inner(x)
        model = made(V)""",
    "default of a function": """
        def made(by):
            def model(x, times=by):
                return x * times
            return model
        model = made(V)""",
    "keyword default": """
        def made(by):
            def model(x, *, times=by):
                return x * times
            return model
        model = made(V)""",
    "partial of a function": "model = functools.partial(lambda by, x: x * by, V)",
    "callable object": "model = Holder(V)",
    "method": "model = Holder(V).__call__",
    "wrapped": """
        def wrap(function):
            @functools.wraps(function)
            def outer(x):
                return function(x)
            return outer
        model = wrap(torch.no_grad()(functools.partial(torch.mul, V).__call__))""",
    "cached": """
        def made(by):
            @functools.lru_cache
            def times(x):
                return x * by
            return lambda x: times(x)
        model = made(V)""",
    "compiled": "model = torch.compile(Net([V]), backend='eager')",
    "compiled function": """
        BY = V
        @torch.compile(backend="eager")
        def model(x):
            return x * BY""",
    "traced": "model = torch.fx.symbolic_trace(weights(1)); model.kept = [V]",
}
TEXTS = {
    **{f"kept: {name}": f"keep = Holder(V); model = Net({how})" for name, how in _KEPT.items()},
    **_OTHER,
}

_NAMES: dict[str, Any] = {
    **{m.__name__: m for m in (collections, enum, fractions, functools, pathlib, re, torch)},
    "types": types,
    "weakref": weakref,
    "np": np,
    "nn": nn,
    "__name__": "made",
    "Holder": Holder,
    "Slotted": Slotted,
    "Record": Record,
    "Net": Net,
    "weights": weights,
}


def made(name: str, value: int) -> Callable[..., Any]:
    """The model of this name, as one of a pair (value 2) or the other (3)."""
    names: dict[str, Any] = {**_NAMES, "V": value}
    exec(textwrap.dedent(TEXTS[name]), names)
    del names["V"]
    model: Callable[..., Any] = names["model"]
    KEEP.append(names.get("keep"))
    return model


KEEP: list[object] = []
"""What models refer to weakly."""


if __name__ == "__main__":
    from certiseg.sampling.fingerprint import model_fingerprint

    for name in sys.argv[1:] or TEXTS:
        print(name, *(model_fingerprint(made(name, value))[0] for value in (2, 3)), sep="\t")
