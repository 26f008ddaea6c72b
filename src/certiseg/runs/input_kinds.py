"""The kind of a run's input files, checked against the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path

from certiseg.datasets.card import KINDS
from certiseg.datasets.cloud_file import CLOUD_SUFFIXES
from certiseg.datasets.dicom import DICOM_SUFFIXES, is_series
from certiseg.datasets.image_file import IMAGE_SUFFIXES
from certiseg.datasets.images import PLAIN, Reading
from certiseg.datasets.volume_file import VOLUME_SUFFIXES, Window, is_volume_file
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runs.inputs import CloudOptions, Clouds, Pictures
from certiseg.runs.volumes import Volumes


def inputs_of(
    paths: Sequence[Path],
    loaded: LoadedModel,
    options: CloudOptions | None,
    window: Window | None = None,
    reading: Reading = PLAIN,
) -> Pictures | Clouds | Volumes:
    """The reader of these files for this model; suffixes tell clouds, volumes and images apart.

    window: for volumes and images. reading: for images, without a window.

    Raises InputError for files of several kinds or of another kind than the model's, for options
    of another kind, and for a category that is unknown or missing.
    """
    if dicom := [path for path in paths if path.suffix.lower() in DICOM_SUFFIXES]:
        raise InputError(
            f"{dicom[0]}: expected a whole DICOM series, got one slice of it; name the folder that "
            "holds the series"
        )
    volumes = [path for path in paths if is_volume_file(path)]
    if volumes or loaded.kind == "volumes":
        _check_no_images(reading, "volumes")
        return _volumes(paths, volumes, loaded, options, window)
    clouds = [path for path in paths if path.suffix.lower() in CLOUD_SUFFIXES]
    others = [path for path in paths if path.suffix.lower() not in CLOUD_SUFFIXES]
    endings = f"{', '.join(CLOUD_SUFFIXES[:-1])} or {CLOUD_SUFFIXES[-1]}"
    if others and (clouds or loaded.kind == "clouds"):
        which = "alone" if clouds else f"for {loaded.name}"
        raise InputError(
            f"expected point clouds ({endings}) {which}, got {others[0]}; "
            "a run takes one kind of file"
        )
    if clouds and loaded.kind == "images":
        raise InputError(
            f"expected images for {loaded.name}, got the point cloud {clouds[0]}; "
            "choose a model of clouds"
        )
    given = options or CloudOptions()
    if clouds:
        _check_no_images(reading, "point clouds")
        if window is not None:
            raise InputError(
                "expected a window with volumes or images, got point clouds; leave it out"
            )
        _check_category(loaded, given.category)
        return Clouds(loaded, given)
    for option, value in (
        ("--category", given.category is not None),
        ("--points", given.points is not None),
        ("--normalise", given.normalise),
        ("--columns", given.columns is not None),
    ):
        if value:
            raise InputError(
                f"expected {option} with point clouds ({endings}), got images; leave it out"
            )
    return Pictures(loaded, replace(reading, window=window))


def input_files(paths: Sequence[Path], loaded: LoadedModel) -> list[Path]:
    """The files of these paths, sorted within a folder or a pattern such as scans/*.png.

    A folder stands for the files in it that fit the model, except a DICOM series, which is one
    volume. Hidden files are skipped.

    Raises InputError for a folder or a pattern without such a file.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and not is_series(path):
            found += _in_folder(path, loaded)
        elif path.exists() or not has_magic(str(path)):
            found.append(path)
        else:
            matches = [Path(name) for name in sorted(glob(str(path), recursive=True))]
            files = [match for match in matches if not match.is_dir()]
            if not files:
                raise InputError(
                    f"{path}: expected files that match this pattern, got none; check the path"
                )
            found += files
    return found


def _in_folder(folder: Path, loaded: LoadedModel) -> list[Path]:
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    kinds = {
        "images": [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES],
        "volumes": [path for path in files if is_volume_file(path)],
        "clouds": [path for path in files if path.suffix.lower() in CLOUD_SUFFIXES],
    }
    of_model = kinds if loaded.kind is None else {loaded.kind: kinds[loaded.kind]}
    found = next(filter(None, of_model.values()), [])
    if not found:
        words = {
            "images": f"images ({', '.join(IMAGE_SUFFIXES)})",
            "volumes": f"volumes ({', '.join(VOLUME_SUFFIXES)})",
            "clouds": f"point clouds ({', '.join(CLOUD_SUFFIXES)})",
        }
        raise InputError(
            f"{folder}: expected a folder with {' or '.join(words[kind] for kind in of_model)}, "
            "got none; name the files, or a pattern in quotation marks"
        )
    return found


def _check_no_images(reading: Reading, what: str) -> None:
    if reading != PLAIN:
        raise InputError(f"expected --exif and --convert with images, got {what}; leave them out")


def _volumes(
    paths: Sequence[Path],
    volumes: Sequence[Path],
    loaded: LoadedModel,
    options: CloudOptions | None,
    window: Window | None,
) -> Volumes:
    others = [path for path in paths if path not in volumes]
    if others:
        which = "alone" if volumes else f"for {loaded.name}"
        raise InputError(
            f"expected volumes ({', '.join(VOLUME_SUFFIXES)} of 3 or 4 axes) {which}, got "
            f"{others[0]}; a run takes one kind of file"
        )
    if loaded.kind not in (None, "volumes"):
        raise InputError(
            f"expected {KINDS[loaded.kind][0]}s for {loaded.name}, got the volume {volumes[0]}; "
            "choose a model of volumes"
        )
    if options not in (None, CloudOptions()):
        raise InputError(
            "expected no --category, --points, --normalise or --columns with volumes, got one; "
            "they are for point clouds"
        )
    return Volumes(loaded, window)


def _check_category(loaded: LoadedModel, category: str | None) -> None:
    if not callable(getattr(loaded.model, "of", None)):
        if category is not None:
            raise InputError(
                f"expected no --category for {loaded.name}, which knows none, got {category!r}; "
                "leave it out"
            )
        return
    parts = loaded.parts if isinstance(loaded.parts, Mapping) else None
    if category is None or (parts is not None and category not in parts):
        among = "" if parts is None else f" among {', '.join(parts)}"
        raise InputError(
            f"expected --category{among} for {loaded.name}, got "
            f"{'none' if category is None else repr(category)}; it labels the parts of one category"
        )
