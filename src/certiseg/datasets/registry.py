"""The table of data sets by name, to which other packages can add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from certiseg.datasets.card import Samples
from certiseg.datasets.described import SUFFIXES, described
from certiseg.datasets.subset import even_categories
from certiseg.errors import InputError

GROUP = "certiseg.datasets"
"""Entry points of this group are data sets too: name -> a DataSet. Bundled names come first."""
POINTS = 2048
"""Points of each cloud, unless a run says otherwise."""


@dataclass(frozen=True)
class DataSet:
    """A data set that can be opened by name.

    Args:
        read: A function, or where it is, "module:function", which is then imported only when the
            data set is asked for. It is called as read(root, split), without a root as read(split);
            of clouds with points and normals as well, and with skip_bad where there is a root. It
            returns ``Samples``, of clouds such as tell their ``category(index)``, and raises
            InputError.
        kind: What the samples are.
        root: What to pass as the folder of the data, for the error that it is missing; None for a
            data set that needs none.
        origin: Where the data come from, if not from a folder.

    Example:
        >>> yard = DataSet("yard.data:yard", root="pass the unpacked yard.zip")
        >>> yard.kind
        'images'
    """

    read: str | Callable[..., Any]
    kind: Literal["images", "clouds"] = "images"
    root: str | None = "name its folder"
    origin: str = "it comes with a package"

    def open(self, name: str, root: Path | None, split: str, **options: Any) -> Any:
        """The samples of a split. Raises InputError for a missing or superfluous root."""
        if self.root is None and root is not None:
            raise InputError(f"expected no --root with --data {name}, got {root}; {self.origin}")
        if self.root is not None and root is None:
            raise InputError(f"expected --root with --data {name}, got none; {self.root}")
        read = self.read
        if isinstance(read, str):
            module, _, function = read.partition(":")
            read = getattr(import_module(module), function)
        return read(split, **options) if root is None else read(root, split, **options)


BUNDLED = {
    "camvid": DataSet("certiseg.datasets.camvid:camvid"),
    "cityscapes": DataSet("certiseg.datasets.cityscapes:cityscapes"),
    "pascal-context": DataSet("certiseg.datasets.pascal_context:pascal_context"),
    "voc": DataSet("certiseg.datasets.voc:voc"),
    "ade20k": DataSet("certiseg.datasets.ade20k:ade20k"),
    "coco-stuff": DataSet("certiseg.datasets.coco_stuff:coco_stuff"),
    "mni152": DataSet("certiseg.datasets.mni152:mni152", root=None),
    "nuclei": DataSet("certiseg.datasets.nuclei:nuclei", root=None, origin="it is generated"),
    "solids": DataSet(
        "certiseg.datasets.solids:solids", "clouds", root=None, origin="it is generated"
    ),
    "shapenet": DataSet(
        "certiseg.datasets.shapenet:shapenet",
        "clouds",
        "name the unpacked folder of "
        "shapenetcore_partanno_segmentation_benchmark_v0_normal.zip (Yi et al. 2016)",
    ),
    "clouds": DataSet(
        "certiseg.datasets.own_clouds:own_clouds",
        "clouds",
        "name the folder with clouds.yaml and a folder of files for each split",
    ),
}


@cache
def data_sets() -> dict[str, DataSet]:
    """All data sets by name: the bundled ones, then those of other packages.

    Raises:
        InputError: For an entry point that is not a DataSet.
    """
    found = dict(BUNDLED)
    for point in entry_points(group=GROUP):
        entry = point.load()
        if not isinstance(entry, DataSet):
            raise InputError(
                f"expected a certiseg.datasets.registry.DataSet at the entry point {point.name}, "
                f"got {type(entry).__name__} at {point.value}; correct or uninstall its package"
            )
        found.setdefault(point.name, entry)
    return found


def data_set(name: str, kind: str) -> DataSet | None:
    """The data set of that name and kind, if there is one."""
    entry = BUNDLED.get(name) or data_sets().get(name)
    return entry if entry is not None and entry.kind == kind else None


def names(kind: str) -> list[str]:
    """Names of the data sets of a kind."""
    return [name for name, entry in data_sets().items() if entry.kind == kind]


def cloud_set(name: str) -> DataSet:
    """The set of clouds of that name. Raises InputError for another name."""
    entry = data_set(name, "clouds")
    if entry is None:
        raise InputError(
            f"expected --data {' or '.join(names('clouds'))}, got {name!r}; choose one"
        )
    return entry


def is_described(data: str) -> bool:
    """Whether this is a YAML file rather than a name."""
    return data.lower().endswith(SUFFIXES)


def open_images(
    data: str, root: Path | None, split: str, others: str, also: str | None = None
) -> Samples:
    """Open the images of a data set, by its name or the YAML file that describes it. root: where
    its files
    lie. others: what else the command would take, also: other data sets that it would, by their
    kind; for the error.

    Raises InputError for an unknown name, a missing or superfluous root, and errors of the reader.
    """
    if is_described(data):
        if root is not None:
            raise InputError(
                f"expected no --root with --data {data}, got {root}; folders stand in the file"
            )
        return described(data, split)
    entry = data_set(data, "images")
    if entry is None:
        more = f"{' or '.join(names(also))} ({also}), " if also else ""
        raise InputError(
            f"expected --data {', '.join(names('images'))}, a .yaml file, {more}{others}, got "
            f"{data!r}; see docs/datasets.md"
        )
    samples: Samples = entry.open(data, root, split)
    return samples


def open_clouds(
    data: str,
    *,
    channels: int,
    root: Path | None = None,
    split: str = "test",
    points: int | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
) -> Samples:
    """Clouds of a data set by name, with 3 channels, or 6 with normals; at most limit of them,
    spread evenly over the categories. points: each is resampled to. skip_bad: leave out files that
    are absent or damaged.

    Raises InputError for an unknown name, other channels, a missing or superfluous root, skip_bad
    with generated clouds, and errors of the reader.
    """
    entry = cloud_set(data)
    if channels not in (3, 6):
        raise InputError(
            f"expected a model for 3 channels (x, y, z) or 6 (and normals), got one for "
            f"{channels}; {data} has point clouds"
        )
    options: dict[str, Any] = {"points": POINTS if points is None else points}
    options["normals"] = channels == 6
    if entry.root is not None:
        options["skip_bad"] = skip_bad
    elif skip_bad:
        raise InputError(f"expected no --skip-bad with --data {data}, got it; it has no files")
    return even_categories(entry.open(data, root, split, **options), limit)
