"""Certify picture files: certificate, overlay and a line of results for each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.images import read_image
from certiseg.errors import InputError
from certiseg.files import output_folder
from certiseg.models.resolve import LoadedModel
from certiseg.report.heat import heat
from certiseg.report.overlay import overlay
from certiseg.report.panel import legend
from certiseg.runs.appearance import Appearance, appearance, of_certificate
from certiseg.runs.methods import certify_image
from certiseg.runs.model import channels_of, check_order, try_model
from certiseg.runs.output import RESULTS, read_lines, refuse_existing, write_lines, write_picture
from certiseg.runs.progress import RunBar
from certiseg.runs.record import certificate_record
from certiseg.runs.settings import Settings
from certiseg.runs.tally import at_size
from certiseg.sampling.sampler import Smoothed

_LEGEND_WIDTH = 480


def certify_images(
    paths: Sequence[Path],
    loaded: LoadedModel,
    settings: Settings,
    out: Path,
    *,
    overwrite: bool = False,
    progress: bool = False,
) -> Iterator[dict[str, Any]]:
    """Certify each picture; yields its record once its files are written.

    Writes OUT/STEM.cert.npz, OUT/STEM.overlay.png with OUT/STEM.legend.png, of a radius map
    OUT/STEM.radius.png, and the record to OUT/results.jsonl, each atomically, image after image.
    Everything that can be wrong is checked by the call itself, before anything is drawn or
    written: every picture, the settings for its size, one pass of the model for every size,
    earlier results, the folder. Raises InputError.
    """
    stems = _stems(paths)
    smoothed = settings.smoothed(loaded)
    _check_inputs(paths, loaded, settings, smoothed)
    outputs = [_outputs(out, stem) for stem in stems]
    refuse_existing([path for files in outputs for path in files], overwrite)
    earlier = [r for r in read_lines(out / RESULTS) if r["name"] not in stems]
    output_folder(out)
    return _certify(paths, stems, loaded, settings, smoothed, out, earlier, progress)


def _certify(
    paths: Sequence[Path],
    stems: Sequence[str],
    loaded: LoadedModel,
    settings: Settings,
    smoothed: Smoothed,
    out: Path,
    records: list[dict[str, Any]],
    progress: bool,
) -> Iterator[dict[str, Any]]:
    with RunBar(progress, len(paths), settings.draws) as bar:
        for index, (path, stem) in enumerate(zip(paths, stems, strict=True)):
            bar.start(index)
            image = read_image(path, channels_of(loaded))
            started = time.perf_counter()
            certificate = certify_image(smoothed, image, settings, progress=bar.draws)
            seconds = time.perf_counter() - started
            look = of_certificate(appearance(loaded, certificate.votes.num_classes), certificate)
            pictures = _pictures(image, certificate, look)
            file, *places = _outputs(out, stem)
            certificate.save(file)
            for place, picture in zip(places, pictures, strict=True):
                if picture is None:
                    # Of an earlier run that is being replaced: it shows another certificate.
                    place.unlink(missing_ok=True)
                else:
                    write_picture(place, picture)
            record = certificate_record(stem, certificate, look.classes, seconds, loaded.name)
            records = [*records, record]
            write_lines(out / RESULTS, records)
            yield record


def _pictures(
    image: NDArray[np.float32], certificate: Certificate, look: Appearance
) -> tuple[Image.Image, Image.Image, Image.Image | None]:
    """Overlay, its legend, and the heat picture of a radius map."""
    heated = None
    if isinstance(certificate.radius, np.ndarray):
        radius = at_size(certificate.radius, image.shape[1:])
        heated = heat(radius, float(radius.max()), certificate.noise.radius_name)
    shown = overlay(image, certificate.full_size(), look.palette)
    return shown, legend(look.classes, look.palette, width=_LEGEND_WIDTH), heated


def _outputs(out: Path, stem: str) -> list[Path]:
    """Certificate, overlay, its legend, heat picture."""
    kinds = ("cert.npz", "overlay.png", "legend.png", "radius.png")
    return [out / f"{stem}.{kind}" for kind in kinds]


def _stems(paths: Sequence[Path]) -> list[str]:
    if not paths:
        raise InputError("expected at least one picture, got none; name PNG or JPEG files")
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise InputError(
                f"expected pictures of different names, got {seen[path.stem]} and {path}; "
                f"both would write {path.stem}.cert.npz, use two output folders"
            )
        seen[path.stem] = path
    return list(seen)


def _check_inputs(
    paths: Sequence[Path], loaded: LoadedModel, settings: Settings, smoothed: Smoothed
) -> None:
    if settings.hierarchy is not None:
        check_order(settings.hierarchy, loaded.classes, loaded.name)
    # Read twice, here and when its turn comes, so that memory holds one picture at a time.
    tried: set[tuple[int, ...]] = set()
    for path in paths:
        image = read_image(path, channels_of(loaded))
        settings.check(settings.components(*image.shape[1:]), loaded.num_classes)
        if image.shape not in tried:
            # One pass finds a model that does not fit, at a hundredth of the cost.
            try_model(smoothed, image, settings.hierarchy, logits=settings.method == "adaptive")
            tried.add(image.shape)
