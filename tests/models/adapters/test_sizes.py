"""Which expressions of sizes are evaluated: arithmetic, and none that would not end."""

from __future__ import annotations

import pytest

from certiseg.errors import InputError
from certiseg.models.adapters.sizes import Guards, is_arithmetic

HEIGHT = "Symbol('s53', positive=True, integer=True)"


@pytest.mark.parametrize(
    "text",
    [
        HEIGHT,
        "2*s0 + 1",
        f"Add(Mul(Integer(3), {HEIGHT}), Mod(FloorDiv(Symbol('s0'), Integer(3)), Integer(-5)))",
        f"Pow({HEIGHT}, Integer(2))",
        "s0**2*s1**3",
        f"Mul(Pow({HEIGHT}, Integer(-1)), Pow(s0, Rational(1, 2)))",
        "Max(1, s0 // 2) <= 512",
        "Piecewise((1, s0 > 2), (2, True))",
    ],
)
def test_what_export_writes_passes(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').mkdir('x')",
        "s0.__class__",
        "(lambda: 1)()",
        "[s0 for s0 in 'a']",
        "Symbol('s0', positive=print)",
        "Symbol('a b')",
        "evil(s0)",
        "s0[0]",
        "9**9**9**9",
        "((9**9)**9)**9",
        "Pow(9, Pow(9, Pow(9, 9)))",
        "Pow(9, Mul(99999, 99999))",
        "9**s0",
        "9**(10*10*10*10*10*10*10*10*10)",
        "1 << 99999999999",
        "9999999999!",
        "9" * 100,
        "(" * 5000 + "s0" + ")" * 5000,
        "+s0" * 10_000,
        "",
    ],
)
def test_nothing_else_does(text: str) -> None:
    assert not is_arithmetic(text)


def test_guards_hold_or_do_not() -> None:
    texts = [
        "math.ceil(0.1*torch.sym_float(L['x'].size()[2])) == 2",
        "L['args'][0].size()[3] % 4 == 0 and not (L['x'].size()[0] > 8)",
    ]
    guards = Guards(texts, "net.pt2")
    guards.check((1, 3, 20, 16))
    for shape in ((1, 3, 21, 16), (1, 3, 20, 15), (9, 3, 20, 16), (3, 20)):
        with pytest.raises(InputError, match=r"its guard .* does not hold"):
            guards.check(shape)


@pytest.mark.parametrize(
    "text",
    ["print(1)", "L['x'].device", "math.factorial(9**9)", "s0 == 'a'", "int.real", "eval('1')"],
)
def test_guards_are_arithmetic_on_sides(text: str) -> None:
    with pytest.raises(InputError, match="guards on the sides"):
        Guards([text], "net.pt2")
