"""The pictures a run is asked for: a data set by its name, or one that a YAML file describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from certiseg.datasets.ade20k import ade20k
from certiseg.datasets.camvid import camvid
from certiseg.datasets.card import Samples
from certiseg.datasets.cityscapes import cityscapes
from certiseg.datasets.coco_stuff import coco_stuff
from certiseg.datasets.described import SUFFIXES, described
from certiseg.datasets.mni152 import mni152
from certiseg.datasets.pascal_context import pascal_context
from certiseg.datasets.voc import voc
from certiseg.errors import InputError

ROOTED: Mapping[str, Callable[[Path, str], Samples]] = {
    "camvid": camvid,
    "cityscapes": cityscapes,
    "pascal-context": pascal_context,
    "voc": voc,
    "ade20k": ade20k,
    "coco-stuff": coco_stuff,
}
"""Name -> reader of (root, split)."""

PACKAGED: Mapping[str, Callable[[str], Samples]] = {"mni152": mni152}
"""Name -> reader of a split; these come with a Python package."""

PICTURES = (*ROOTED, *PACKAGED)


def is_described(data: str) -> bool:
    """Whether this is a YAML file rather than a name."""
    return data.lower().endswith(SUFFIXES)


def open_pictures(data: str, root: Path | None, split: str, others: str) -> Samples:
    """Data set `data`, a name or a YAML file, in its split; root: where its files lie.

    others: what else may be passed, for the error. Raises InputError.
    """
    if data in ROOTED:
        if root is None:
            raise InputError(f"expected --root with --data {data}, got none; name its folder")
        return ROOTED[data](root, split)
    if data not in PACKAGED and not is_described(data):
        raise InputError(
            f"expected --data {', '.join(PICTURES)}, a .yaml file, {others}, got {data!r}; "
            "see docs/datasets.md"
        )
    if root is not None:
        why = "folders stand in the file" if is_described(data) else "it comes with a package"
        raise InputError(f"expected no --root with --data {data}, got {root}; {why}")
    return PACKAGED[data](split) if data in PACKAGED else described(data, split)
