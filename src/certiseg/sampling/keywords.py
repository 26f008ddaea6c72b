"""Keyword arguments shared by several functions, declared once.

A function takes them as ``**NAME: Unpack[RECORD]`` with a TypedDict, for type checkers and editors;
``spelled_out`` lists them in the signature and docstring, for help().
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
    """Decorator that lists the record's arguments in the signature instead of ``**NAME``, and in
    the docstring instead of its line ``NAME: ...``. Unknown arguments raise TypeError.

    words: description of each argument.
    """
    hints = get_type_hints(record)

    def decorate(function: Function) -> Function:
        declared = signature(function)
        *rest, last = declared.parameters.values()
        assert last.kind is Parameter.VAR_KEYWORD, "the record comes last"
        merged = declared.replace(
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
    """The docstring with an entry for each argument instead of the record's line."""

    def lines(found: re.Match[str]) -> str:
        indent = found[1]
        entries = (
            textwrap.fill(
                f"{argument}: {description}",
                100,
                initial_indent=indent,
                subsequent_indent=f"{indent}    ",
            )
            for argument, description in words.items()
        )
        return "\n".join(entries)

    return re.sub(rf"^( +){name}: .*$", lines, text, flags=re.MULTILINE)
