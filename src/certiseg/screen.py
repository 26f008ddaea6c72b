"""Printing of untrusted text: markup and control characters are shown, never interpreted."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Unicode characters that change the direction of text, and so can disguise it."""
_SHOWN = {code: ascii(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), *_DIRECTIONS)}
_KEPT = {code: shown for code, shown in _SHOWN.items() if code not in (0x09, 0x0A)}


def harmless(text: str) -> str:
    """Text on one line, with control characters escaped as \\x1b."""
    return text.translate(_SHOWN)


def literal(text: str) -> Text:
    """Rich text without markup, for tables and lines."""
    return Text(text.translate(_KEPT))


def say(text: str) -> None:
    """Print one line to standard output and flush."""
    print(harmless(text), flush=True)


def remark(text: str) -> None:
    """Print one line to standard error."""
    print(harmless(text), file=sys.stderr, flush=True)


class Screen(Console):
    """A console for untrusted text: no markup, emoji codes or highlighting, and control characters
    are escaped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(text.translate(_KEPT), **options)
