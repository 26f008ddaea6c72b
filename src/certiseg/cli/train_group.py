"""`certiseg train`: what can be trained; pictures where nothing is named."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from certiseg.cli.train import train
from certiseg.cli.train_denoiser import train_denoiser

_DEFAULT = "pictures"
_HELP = ("-h", "--help")


class _WithDefault(TyperGroup):
    """Options that follow the group's name directly are those of its first command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in _HELP:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args or ["--help"])


app = typer.Typer(
    cls=_WithDefault,
    rich_markup_mode=None,
    help="Train a network on pictures under noise, or a denoiser. `certiseg train --data ...` is "
    "short for `certiseg train pictures --data ...`; point clouds: certiseg train-clouds.",
)
app.command(_DEFAULT)(train)
app.command("denoiser")(train_denoiser)
