"""`certiseg certify`: certificates of images, clouds or volumes, and figures of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from certiseg.cli import options
from certiseg.cli.method import with_settings
from certiseg.cli.model_options import ModelOptions, with_model
from certiseg.cli.run_log import with_run_log
from certiseg.errors import InputError
from certiseg.screen import Screen, remark


@with_run_log
@with_settings
@with_model()
def certify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="PNG, JPEG, TIFF or WebP files; point clouds: .txt, .xyz, .pts, .csv, .npy, .ply, "
            ".las; or volumes: .nii, .nii.gz, .nrrd, .mha, .npy. A folder, or a pattern in "
            "quotation marks.",
            show_default=False,
        ),
    ],
    model: ModelOptions,
    settings: Any,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")] = None,
    category: options.Category = None,
    normalise: options.Normalise = False,
    points: options.Points = None,
    columns: options.Columns = None,
    window: options.Window = None,
    window_percentiles: options.WindowPercentiles = None,
    exif: options.Exif = None,
    convert: options.Convert = False,
    commit: Annotated[
        Path | None,
        typer.Option(
            help="Draw nothing: write all that is fixed beforehand to this file, for publication."
        ),
    ] = None,
    commitment: Annotated[
        Path | None,
        typer.Option(
            help="A file written by --commit: draw under its seed if everything matches it."
        ),
    ] = None,
    challenge: Annotated[
        str | None,
        typer.Option(
            help="With --commitment: a text published after it, which determines the seed."
        ),
    ] = None,
    overwrite: options.Again = False,
    json_lines: options.Json = False,
) -> None:
    """Certify images, point clouds or volumes: a certificate, an image (abstentions white) and a
    JSON line each."""
    _check_commitment(out, commit, commitment, challenge, settings.seed)
    from certiseg.datasets.cloud_table import stated_columns
    from certiseg.datasets.volume_file import window_of
    from certiseg.report.certified import certified_table
    from certiseg.runs.certify import certify_images, commit_images
    from certiseg.runs.commitment import Promise, secret_file
    from certiseg.runs.inputs import CloudOptions
    from certiseg.runs.malloc import keep_freed_memory

    keep_freed_memory()
    promise = None if commitment is None else Promise.open(commitment, challenge)
    loaded = model.load()
    reading: dict[str, Any] = {
        "clouds": CloudOptions(category, normalise, points, stated_columns(columns)),
        "window": window_of(window, window_percentiles),
        "reading": options.reading_of(exif, convert),
    }
    if commit is not None:
        made = commit_images(files, loaded, settings, commit, **reading)
        record = {
            "commitment": made.name,
            "sha256": made.digest,
            "secret": f"{secret_file(commit)}",
        }
        print(json.dumps(record) if json_lines else _COMMITTED.format(**record))
        return
    assert out is not None
    results = certify_images(
        files,
        loaded,
        settings,
        out,
        **reading,
        promise=promise,
        overwrite=overwrite,
        progress=not json_lines,
        note=lambda text: remark(f"note: {text}"),
    )
    if json_lines:
        for record in results:
            print(json.dumps(record), flush=True)
        return
    records = list(results)
    console = Screen()
    console.print(certified_table(records))
    console.print(records[0]["statement"], soft_wrap=True)
    console.print(f"certificates and images: {out}")


_COMMITTED = (
    "{commitment}: SHA-256 {sha256}\nPublish this line, or have the file time-stamped, before "
    "certify --commitment {commitment}; until then keep {secret} to yourself."
)


def _check_commitment(
    out: Path | None,
    commit: Path | None,
    commitment: Path | None,
    challenge: str | None,
    seed: int | None,
) -> None:
    """Raise InputError for options that do not go together."""
    if (out is None) == (commit is None):
        got = "neither" if out is None else "both"
        raise InputError(
            f"expected --out FOLDER to certify or --commit FILE to draw nothing, got {got}; "
            "pass one"
        )
    if commit is not None and commitment is not None:
        raise InputError("expected --commit or --commitment, got both; commit first, then certify")
    if challenge is not None and commitment is None:
        raise InputError("expected --commitment with --challenge, got none; name its file")
    if seed is not None and (commit is not None or commitment is not None):
        raise InputError(
            f"expected no --seed with a commitment, got {seed}; a commitment has a seed of its own"
        )
