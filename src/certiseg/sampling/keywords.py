"""Keyword arguments that several functions share, said once.

A function takes them as ``**NAME: Unpack[RECORD]``, a TypedDict, which type checkers and editors
read; ``spelled_out`` gives help() what it shows of arguments that are written out.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypedDict, TypeVar, get_type_hints

from certiseg.sampling.experiment import LabelCallback
from certiseg.sampling.progress import Progress

Function = TypeVar("Function", bound=Callable[..., Any])


class Drawing(TypedDict, total=False):
    """How draws are made; ``Smoothed.vote`` has the defaults."""

    batch_size: int | None
    seed: int | None
    key: str | None
    progress: Progress
    watch: LabelCallback | None


def spelled_out(
    record: type[Any], defaults: Mapping[str, Any], words: Mapping[str, str]
) -> Callable[[Function], Function]:
    """A decorator: the arguments of the record one by one, in the signature in place of ``**NAME``
    and in the docstring in place of its line ``NAME: ...``. Others are refused as Python does.

    words: what the docstring says of each.
    """
    hints = get_type_hints(record)

    def decorate(function: Function) -> Function:
        own = signature(function)
        *rest, last = own.parameters.values()
        assert last.kind is Parameter.VAR_KEYWORD, "the record comes last"
        merged = own.replace(
            parameters=[
                *rest,
                *(
                    Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
                    for name, default in defaults.items()
                ),
            ]
        )

        @wraps(function)
        def checked(*args: Any, **given: Any) -> Any:
            merged.bind(*args, **given)
            return function(*args, **given)

        checked.__signature__ = merged  # type: ignore[attr-defined]
        checked.__doc__ = _explained(function.__doc__ or "", last.name, words)
        return checked  # type: ignore[return-value]

    return decorate


def _explained(text: str, name: str, words: Mapping[str, str]) -> str:
    """The docstring with a line for each argument in place of that of the record."""

    def lines(found: re.Match[str]) -> str:
        indent = found[1]
        entries = (
            textwrap.fill(
                f"{own}: {said}", 100, initial_indent=indent, subsequent_indent=f"{indent}    "
            )
            for own, said in words.items()
        )
        return "\n".join(entries)

    return re.sub(rf"^( +){name}: .*$", lines, text, flags=re.MULTILINE)
