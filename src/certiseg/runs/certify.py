"""Certify files of images, point clouds or volumes: for each a certificate, images of it, and a
record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.commitment import Commitment
from certiseg.datasets.card import in_few_lines
from certiseg.datasets.images import PLAIN, Reading
from certiseg.datasets.volume_file import Window, volume_stem
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, check_names
from certiseg.files.folders import locked
from certiseg.models.loaded import LoadedModel
from certiseg.report.panel import Tile, panel
from certiseg.runs.again import replaced
from certiseg.runs.class_style import ClassStyle, certificate_style, map_names
from certiseg.runs.commitment import Promise, commit, rehearsed
from certiseg.runs.input_kinds import input_files, inputs_of
from certiseg.runs.inputs import CloudOptions, Inputs, Read
from certiseg.runs.model import check_order, try_model
from certiseg.runs.output import RESULTS, read_lines, write_lines, write_picture
from certiseg.runs.progress import RunBar
from certiseg.runs.record import certificate_record
from certiseg.runs.settings import Settings
from certiseg.sampling.sampler import Smoothed
from certiseg.votes import VoteCounts

_CERTIFICATE = "cert.npz"
_PICTURES = ("overlay.png", "cloud.png", "legend.png", "radius.png")
_ARRAYS = ("labels.nii.gz", "radius.nii.gz")


def certify_images(
    paths: Sequence[Path],
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    clouds: CloudOptions | None = None,
    window: Window | None = None,
    reading: Reading = PLAIN,
    promise: Promise | None = None,
    overwrite: bool = False,
    progress: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[str, Any]]:
    """Certify each image, point cloud or volume; yields its record once its files are written.

    Writes, each file atomically, OUT/STEM.cert.npz, OUT/STEM.overlay.png (for a cloud
    STEM.cloud.png), OUT/STEM.legend.png, for a radius map OUT/STEM.radius.png, for NIfTI inputs
    OUT/STEM.labels.nii.gz (and radius.nii.gz), and the record in OUT/results.jsonl.

    The call itself checks every file, the settings for its size, the model by one pass for every
    size, earlier results and the folder, before anything is drawn or written.

    paths: files, folders, and patterns. clouds, window, reading: how files are read, as their
    records say. promise: a commitment that must hold, and whose seed is used. note: callback for
    non-fatal warnings.

    Raises InputError.
    """
    paths = input_files(paths, loaded)
    stems = _stems(paths)
    places = [_outputs(out, stem) for stem in stems]
    names = [path.name for found in places for path in found.values()]
    check_names(out, names)
    inputs, smoothed, notes = _prepared(paths, loaded, settings, clouds, window, reading)
    if promise is not None:
        for path in paths:
            promise.check_plan(path, rehearsed(smoothed, inputs.read(path).x, settings))
        settings = replace(settings, seed=promise.seed)
    with ExitStack() as held:
        outputs = held.enter_context(locked(out))
        outputs.claim(names, overwrite)
        outputs.claim((RESULTS,), overwrite=True)
        earlier = read_lines(out / RESULTS)
        again = replaced([r.get("seed") for r in earlier if r["name"] in stems], settings.seed)
        records = [r for r in earlier if r["name"] not in stems]
        for text in [*notes, *filter(None, [again])]:
            note(text)
        lock = held.pop_all()

    def results() -> Iterator[dict[str, Any]]:
        with lock, RunBar(progress, len(paths), settings.draws) as bar:
            for index, (path, stem) in enumerate(zip(paths, stems, strict=True)):
                bar.start(index)
                given = inputs.read(path)
                started = time.perf_counter()
                certificate = settings.certify(smoothed, given.x, progress=bar.draws)
                seconds = time.perf_counter() - started
                if promise is not None:
                    # A file or the model may have changed since the check.
                    promise.commitment.check(certificate, promise.challenge)
                plain = inputs.class_style(certificate.votes.num_classes)
                style = certificate_style(plain, certificate)
                maps = None if certificate.maps is None else map_names(loaded, certificate.maps)
                shown = _pictures(inputs, given, certificate, style, maps)
                _write(places[index], shown, inputs.arrays(given, certificate), certificate)
                record = certificate_record(
                    stem, certificate, style.classes, seconds, loaded.name, maps
                )
                record.update(given.facts)
                records.append(record)
                write_lines(out / RESULTS, records)
                yield record

    return results()


def commit_images(
    paths: Sequence[Path],
    loaded: LoadedModel,
    settings: Settings,
    file: Path,
    *,
    clouds: CloudOptions | None = None,
    window: Window | None = None,
    reading: Reading = PLAIN,
) -> Commitment:
    """Commit to a call of ``certify_images`` (theory T15): write the commitment to FILE and its
    seed to FILE.secret. Checks as much as that call; nothing is drawn. Raises InputError."""
    paths = input_files(paths, loaded)
    _stems(paths)
    inputs, smoothed, _ = _prepared(paths, loaded, settings, clouds, window, reading)
    return commit(file, [rehearsed(smoothed, inputs.read(path).x, settings) for path in paths])


def _pictures(
    inputs: Inputs,
    given: Read,
    certificate: Certificate,
    style: ClassStyle,
    maps: Sequence[str] | None,
) -> dict[str, Image.Image]:
    """Images that show the certificate; overlapping maps stand side by side under their names."""
    if maps is None:
        return inputs.pictures(given.x, certificate, style)
    each = [
        inputs.pictures(given.x, _map_of(certificate, number), style) for number in range(len(maps))
    ]
    shown = {}
    for kind, first in each[0].items():
        tiles = [Tile(own[kind], name) for own, name in zip(each, maps, strict=True)]
        classes = style if kind != "radius.png" else ClassStyle((), ())
        legend = kind == "legend.png"
        shown[kind] = first if legend else panel(tiles, classes.classes, classes.palette)
    return shown


def _map_of(certificate: Certificate, number: int) -> Certificate:
    """One of the overlapping maps, for display only: alone it is not a certificate."""
    votes, radius = certificate.votes, certificate.radius
    source = votes.source
    assert source is not None
    assert source.binary is not None
    alone = replace(source, binary=replace(source.binary, multi_label=False))
    return replace(
        certificate,
        labels=certificate.labels[number],
        radius=radius[number] if isinstance(radius, np.ndarray) else radius,
        votes=VoteCounts(votes.counts[number], votes.trials, alone),
    )


def _write(
    places: dict[str, Path],
    pictures: Mapping[str, Image.Image],
    arrays: Mapping[str, bytes],
    certificate: Certificate,
) -> None:
    """Write the certificate and the images of it; remove other files of an earlier run."""
    certificate.save(places[_CERTIFICATE])
    for kind in (*_PICTURES, *_ARRAYS):
        if kind in pictures:
            write_picture(places[kind], pictures[kind])
        elif kind in arrays:
            atomic_write(places[kind], arrays[kind])
        else:
            places[kind].unlink(missing_ok=True)


def _outputs(out: Path, stem: str) -> dict[str, Path]:
    """All files that a run may write for an input, by suffix."""
    return {kind: out / f"{stem}.{kind}" for kind in (_CERTIFICATE, *_PICTURES, *_ARRAYS)}


def _stems(paths: Sequence[Path]) -> list[str]:
    if not paths:
        raise InputError(
            "expected at least one image, point cloud or volume, got none; name PNG, JPEG, TIFF "
            "or WebP files, clouds in text or npy, or NIfTI"
        )
    seen: dict[str, Path] = {}
    for path in paths:
        stem = volume_stem(path)
        if stem in seen:
            raise InputError(
                f"expected inputs of different names, got {seen[stem]} and {path}; "
                f"both would write {stem}.cert.npz, use two output folders"
            )
        seen[stem] = path
    return list(seen)


def _prepared(
    paths: Sequence[Path],
    loaded: LoadedModel,
    settings: Settings,
    clouds: CloudOptions | None,
    window: Window | None,
    reading: Reading,
) -> tuple[Inputs, Smoothed, list[str]]:
    """The inputs, the smoothed model, and notes on the files.

    Raises InputError unless all inputs can be certified.
    """
    inputs = inputs_of(paths, loaded, clouds, window, reading)
    smoothed = settings.smoothed(loaded, inputs.category, kind=inputs.kind)
    if settings.hierarchy is not None:
        check_order(settings.hierarchy, loaded.classes, loaded.name)
    # Each input is read here and again when it is certified: one at a time is in memory.
    tried: set[tuple[int, ...]] = set()
    remarks: dict[str, Mapping[str, str]] = {}
    for path in paths:
        given = inputs.read(path)
        settings.check(settings.components(*given.x.shape[1:]), loaded.num_classes)
        if given.x.shape not in tried:
            # One pass finds a model that does not fit.
            logits = settings.certifier.needs_logits
            found = try_model(smoothed, given.x, settings.hierarchy, logits=logits, maps=True)
            settings.check(found, smoothed.num_classes)
            if loaded.maps is not None and found != len(loaded.maps) * given.x[0].size:
                raise InputError(
                    f"expected a name for each of {found // given.x[0].size} overlapping maps, got "
                    f"{len(loaded.maps)}; correct --names"
                )
            tried.add(given.x.shape)
        remarks[str(path)] = given.notes
    return inputs, smoothed, in_few_lines(remarks)
