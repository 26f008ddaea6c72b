"""Expressions of sizes in a torch.export program: checks, and evaluation of guards."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Sequence
from types import CodeType
from typing import Any

from certiseg.errors import InputError

_LONGEST = 16 * 1024
_LARGEST_POWER = 64
_SYMPY = (
    *("Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "IntTrueDiv", "FloatTrueDiv"),
    *("CeilToInt", "FloorToInt", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat"),
    *("Add", "Mul", "Pow", "PowByNatural", "FloatPow", "Abs", "Max", "Min", "ModularIndexing"),
    *("Where", "Piecewise", "And", "Or", "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Identity"),
    *("Equality", "Unequality", "StrictLessThan", "StrictGreaterThan", "LessThan"),
    *("GreaterThan", "Integer", "Rational", "Float", "true", "false", "True", "False"),
    *("oo", "int_oo"),
)
"""Words that expressions are made of."""
_PYTHON: dict[str, Callable[..., Any]] = {
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.trunc": math.trunc,
    "torch.sym_float": float,
    "torch.sym_int": int,
    "torch.sym_not": operator.not_,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "max": max,
    "min": min,
    "abs": abs,
    "float": float,
    "int": int,
}
"""Functions that guards call."""
_POWERS = ("Pow", "PowByNatural", "FloatPow")
_SYMBOL = re.compile(r"[suz]\w{0,3}\d+")
_SIDE = re.compile(r"L\['\w+'\](?:\[\d+\])*\.size\(\)\[(\d+)\]")
_ASSUMED = ("positive", "nonnegative", "integer", "real", "evaluate")
_NODES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Tuple, ast.Load),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr),
    *(ast.UAdd, ast.USub, ast.Invert, ast.Not, ast.And, ast.Or),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)


def is_symbol(text: str) -> bool:
    """Whether a value is the name of a size."""
    return _SYMBOL.fullmatch(text) is not None


def is_arithmetic(text: str, functions: Collection[str] = _SYMPY) -> bool:
    """Whether a text is only arithmetic on sizes, and bounded: numbers of 64 bits, exponents with a
    product of at most 64."""
    try:
        tree = ast.parse(text, mode="eval") if len(text) <= _LONGEST else None
        return tree is not None and _powers(tree, functions) <= _LARGEST_POWER
    except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return False


class Guards:
    """Assumptions of a program on the sides of its input, as Python comparisons (its guards_code).

    name: of the program, in errors. Raises InputError for guards other than arithmetic on the

    sides.
    """

    def __init__(self, texts: Sequence[str], name: str) -> None:
        self._codes: dict[str, CodeType] = {}
        for text in texts:
            plain = _SIDE.sub(r"s\1", str(text))
            if not is_arithmetic(plain, _PYTHON):
                raise InputError(
                    f"{name}: expected guards on the sides of its input, got {str(text)[:80]!r}; "
                    "export it with fixed sizes, without dynamic_shapes"
                )
            for function in _PYTHON:
                plain = plain.replace(f"{function}(", f"{function.replace('.', '_')}(")
            self._codes[str(text)] = compile(plain, "<guard>", "eval")

    def check(self, shape: Sequence[int]) -> None:
        """Raise InputError for an input of a shape for which a guard does not hold."""
        values: dict[str, Any] = {f"s{axis}": int(side) for axis, side in enumerate(shape)}
        values |= {name.replace(".", "_"): function for name, function in _PYTHON.items()}
        for text, code in self._codes.items():
            try:
                held = bool(eval(code, {"__builtins__": {}}, values))
            except (NameError, TypeError, ArithmeticError, ValueError):
                held = False
            if not held:
                raise InputError(
                    f"expected a size that the program was exported for, got {tuple(shape)}, for "
                    f"which its guard {text[:120]} does not hold; resize the input, or export the "
                    "program at this size"
                )


def _powers(node: ast.AST, functions: Collection[str]) -> int:
    """Upper bound on the product of the exponents in a node. Raises ValueError for other nodes."""
    inner = max([1, *(_powers(part, functions) for part in _parts(node, functions))])
    exponent = _exponent(node)
    return inner if exponent is None else inner * max(1, exponent)


def _parts(node: ast.AST, functions: Collection[str]) -> list[ast.AST]:
    """The parts of a node that are still to be checked."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, (int, float)) and abs(node.value) < 2**63:
            return []
    elif isinstance(node, ast.Name):
        if node.id in functions or is_symbol(node.id):
            return []
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        plain = all(k.arg in _ASSUMED and isinstance(k.value, ast.Constant) for k in node.keywords)
        if plain and name == "Symbol" and len(node.args) == 1 and functions is _SYMPY:
            if isinstance(node.args[0], ast.Constant) and is_symbol(str(node.args[0].value)):
                return []
        elif plain and name in functions:
            return [*node.args]
    elif isinstance(node, _NODES):
        return [*ast.iter_child_nodes(node)]
    raise ValueError(f"{type(node).__name__} in an expression of sizes")


def _exponent(node: ast.AST) -> int | None:
    """The exponent of a power. Raises ValueError unless it is a literal number."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        value: ast.AST = node.right
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in _POWERS:
        value = node.args[1]
    else:
        return None
    parts = [*ast.walk(value)]
    called = {ast.unparse(part.func) for part in parts if isinstance(part, ast.Call)}
    numbers = [part.value for part in parts if isinstance(part, ast.Constant)]
    whole = [abs(number) for number in numbers if isinstance(number, int)]
    if (
        any(isinstance(part, ast.BinOp) for part in parts)
        or not called <= {"Integer", "Rational"}
        or not len(whole) == len(numbers) > 0
    ):
        raise ValueError("an exponent that is no number")
    return max(whole)
