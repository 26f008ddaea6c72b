"""A run read back from its folder: its figures, what is missing, what is broken."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from certiseg.certificates.certificate import Certificate
from certiseg.certify.verify import verify
from certiseg.errors import ClaimError, InputError
from certiseg.reading import RECORD, read_bounded
from certiseg.report.folder.layout import Layout
from certiseg.report.folder.manifest import Manifest, Planned, read_manifest
from certiseg.report.folder.pooled import Pooled
from certiseg.report.folder.view import View, read_view
from certiseg.report.tables import Row


@dataclass
class Run:
    """pooled: figures of the samples that are there, ``done`` of them by number. missing: names of
    those that are not. broken: one line a file that cannot be used. refuted: True where a
    certificate does not follow from its own counts."""

    root: Path
    manifest: Manifest
    pooled: Pooled = field(default_factory=Pooled)
    done: set[int] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refuted: bool = False

    @property
    def title(self) -> str:
        return self.root.resolve().name

    def rows(self, *, draws: bool = False) -> list[Row]:
        """The comparison over the samples that are there; none of a run that has not begun. draws:
        name their number even where it is a constant."""
        if not self.done:
            return []
        vary = draws or self.manifest.settings.get("stopping") is not None
        return self.pooled.rows(self.manifest.certified, self.manifest.radius, draws_vary=vary)


@dataclass(frozen=True)
class Kept:
    """A sample that can be shown: read, and its certificate recomputed from its votes."""

    planned: Planned
    view: View
    certificate: Certificate


def read_run(root: Path) -> Run:
    """The figures of a run, finished or not.

    A record of a sample that cannot be used is named in ``broken`` and its sample counts as
    missing. Raises InputError for a folder that is no run's, or whose manifest is broken.
    """
    run = Run(root, read_manifest(root))
    layout = Layout(root)
    for planned in run.manifest.samples:
        path = layout.sample(planned.file)
        if not path.exists():
            run.missing.append(planned.name)
            continue
        try:
            _add(run, path, planned)
        except (
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            OSError,
            RecursionError,
        ) as error:
            run.broken.append(_line(path, error))
            run.missing.append(planned.name)
        else:
            run.done.add(planned.number)
    return run


def _add(run: Run, path: Path, planned: Planned) -> None:
    record = json.loads(read_bounded(path, RECORD))
    if record["name"] != planned.name or record["number"] != planned.number:
        raise InputError(f"expected the record of {planned.name!r}, got {record['name']!r:.60}")
    if record["run"] != run.manifest.run:
        raise InputError(f"expected a record of run {run.manifest.run}, got {record['run']!r:.60}")
    for found in (*record["models"].values(), record["certified"]):
        if len(found["confusion"]["counts"]) != len(run.manifest.classes):
            raise InputError(f"expected counts of {len(run.manifest.classes)} classes, got others")
    run.pooled.add(record)


def open_kept(run: Run, planned: Planned) -> Kept | None:
    """The sample, or None where it was not kept or cannot be used, which ``broken`` then tells."""
    if not planned.kept or planned.number not in run.done:
        return None
    layout = Layout(run.root)
    path = layout.view(planned.file)
    try:
        view = read_view(path, run.manifest)
        path = layout.certificate(planned.file)
        certificate = Certificate.load(path)
        verify(certificate)
        view.check_certificate(certificate, run.manifest)
    except ClaimError as error:
        run.refuted = True
        run.broken.append(_line(path, error))
        return None
    except (InputError, OSError) as error:
        run.broken.append(_line(path, error))
        return None
    return Kept(planned, view, certificate)


def _line(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if str(path) in text else f"{path}: {text}"
