"""`certiseg reproduce`: the paper's tables, of point clouds and of pictures."""

from __future__ import annotations

import typer

from certiseg.cli.reproduce_clouds import clouds
from certiseg.cli.reproduce_pictures import pictures

app = typer.Typer(
    help="The paper's tables, and beside them what this library makes of the same draws.",
    rich_markup_mode=None,
)
for table in ("cityscapes", "pascal-context", "camvid"):
    app.command(table)(pictures)
for table in ("shapenet", "shapenet-rotation"):
    app.command(table)(clouds)
