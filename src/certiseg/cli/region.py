"""`certiseg region`: a lower bound on the number of labels in a region that hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certiseg.cli import options
from certiseg.errors import InputError
from certiseg.rounding import confidence, down
from certiseg.screen import say

if TYPE_CHECKING:
    from certiseg.certificates.certificate import Certificate


def region(
    file: Annotated[Path, typer.Argument(help="A certificate.", show_default=False)],
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="PNG of the labels' size: the region is where it is not 0."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="TOP,LEFT,BOTTOM,RIGHT in rows and columns from 0.")
    ] = None,
    label: Annotated[
        list[int] | None,
        typer.Option("--class", help="Id of a class or node: the region where it is the label."),
    ] = None,
    json_lines: options.Json = False,
) -> None:
    """Bound how many labels hold in regions chosen afterwards, after recomputing the certificate.
    All answers hold jointly; certificates of certify --regions give the best bounds."""
    import numpy as np

    from certiseg.certificates.storage import parse, read
    from certiseg.certifiers.verify import verify

    certificate = parse(read(file), file).certificate
    verify(certificate)
    asked: dict[str, Any] = {f"mask {path}": _of_mask(path, certificate) for path in mask or ()}
    asked |= {f"box {text}": _of_box(text, certificate) for text in box or ()}
    asked |= {f"class {number}": _of_class(number, certificate) for number in label or ()}
    if not asked:
        asked["everything"] = np.ones(certificate.labels.shape, dtype=bool)
    for name, inside in asked.items():
        sure, confident = certificate.at_least(inside), confidence(certificate.alpha)
        size, given = int(inside.sum()), int((certificate.certified & inside).sum())
        if json_lines:
            record = {"region": name, "components": size, "labels": given, "at_least": sure}
            print(json.dumps(record), flush=True)
        else:
            say(
                f"{name}: at least {sure} of its {size} components keep their label "
                f"({given} have one), {_within(certificate)}, confidence {confident} for "
                "all regions at once"
            )


def _within(certificate: Certificate) -> str:
    import numpy as np

    if isinstance(certificate.radius, np.ndarray):
        return "each within its own radius"
    return f"{certificate.noise.radius_name} {down(float(certificate.radius))}"


def _of_mask(path: Path, certificate: Certificate) -> Any:
    from certiseg.datasets.label_file import read_labels

    if len(certificate.labels.shape) != 2:
        raise InputError(
            f"{path}: expected a certificate of labels (H, W) with --mask, got labels of shape "
            f"{certificate.labels.shape}; use Certificate.at_least in Python"
        )
    inside = read_labels(path) != 0
    if inside.shape != certificate.labels.shape:
        raise InputError(
            f"{path}: expected a mask of the labels' size {certificate.labels.shape}, got "
            f"{inside.shape}; draw it at that size"
        )
    return inside


def _of_box(text: str, certificate: Certificate) -> Any:
    import numpy as np

    shape = certificate.labels.shape
    try:
        top, left, bottom, right = map(int, text.split(","))
    except ValueError:
        top = left = bottom = right = -1
    if len(shape) != 2 or not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise InputError(
            f"expected --box TOP,LEFT,BOTTOM,RIGHT within labels of shape {shape}, got {text!r}; "
            "rows and columns count from 0, BOTTOM and RIGHT are exclusive"
        )
    inside = np.zeros(shape, dtype=bool)
    inside[top:bottom, left:right] = True
    return inside


def _of_class(number: int, certificate: Certificate) -> Any:
    tree = certificate.hierarchy
    labels = certificate.votes.num_classes if tree is None else tree.num_nodes
    if not 0 <= number < labels:
        raise InputError(
            f"expected --class of 0 to {labels - 1}, got {number}; name a class of the model"
            + ("" if tree is None else f", or a node of the hierarchy {tree.name}")
        )
    return certificate.labels == number
