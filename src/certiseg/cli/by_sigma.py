"""One model for all noises of a table, or one for each: SIGMA=MODEL after --model."""

from __future__ import annotations

from collections.abc import Sequence

from certiseg.errors import InputError


def by_sigma(specs: Sequence[str], sigmas: Sequence[float]) -> dict[float, str]:
    """The model of each sigma: SIGMA=MODEL where given, else the one without a sigma."""
    named: dict[float, str] = {}
    rest: list[str] = []
    for spec in specs:
        head, equals, tail = spec.partition("=")
        try:
            sigma = float(head) if equals else None
        except ValueError:
            sigma = None
        if sigma is None:
            rest.append(spec)
        elif sigma not in sigmas:
            raise InputError(
                f"expected --model for sigma {' or '.join(map(str, sigmas))}, got {spec!r}; "
                "the experiment has no other noise"
            )
        else:
            named[sigma] = tail
    missing = [sigma for sigma in sigmas if sigma not in named]
    if len(rest) > 1 or (missing and not rest):
        raise InputError(
            f"expected one --model for sigma {' and '.join(map(str, missing or sigmas))}, got "
            f"{len(rest)}; write SIGMA=MODEL for each"
        )
    return {sigma: named.get(sigma, rest[0] if rest else "") for sigma in sigmas}
