"""``Run``: a run read from its folder and checked, with lists of missing and invalid samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from certiseg.errors import ClaimError, InputError
from certiseg.runfolder.comparison import Row
from certiseg.runfolder.evidence import Kept, open_kept
from certiseg.runfolder.layout import MANIFEST, Layout
from certiseg.runfolder.manifest import Manifest, Planned, read_manifest
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.record import read_record
from certiseg.runfolder.results import check_results


@dataclass
class Run:
    """A run folder being read.

    done: numbers of samples with a record; after ``take`` of all, of those in ``pooled``. missing:
    names of samples without one. broken: a line for each unreadable file. refuted: a line for each
    value that contradicts others. left_out: by name of kept samples that are excluded, the reason.
    """

    root: Path
    manifest: Manifest
    pooled: Pooled
    done: set[int] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refuted: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.root.resolve().name

    def rows(self, *, draws: bool = False) -> list[Row]:
        """Rows of the comparison over the samples taken so far. draws: as in ``Pooled.rows``."""
        return self.pooled.rows(draws=draws)

    def take(self, planned: Planned) -> Kept | None:
        """Check a sample and pool it; returns its kept files, if any. To be called once for each.

        A sample with any broken or refuted file is excluded and listed.
        """
        if planned.number not in self.done:
            return None
        layout = Layout(self.root)
        path = layout.sample(planned.file)
        try:
            record = read_record(path, self.manifest, planned)
            kept = open_kept(layout, self.manifest, record) if planned.kept else None
        except (ClaimError, InputError, OSError) as error:
            line = _line(path, error)
            (self.refuted if isinstance(error, ClaimError) else self.broken).append(line)
            if planned.kept:
                self.left_out[planned.name] = line
            self.done.remove(planned.number)
            return None
        self.pooled.add(record)
        return kept

    def finish(self) -> None:
        """Final checks after the last sample: at least one certificate must support the run if any
        sample was refuted, and the tables of a finished run must follow from its records."""
        checked = [planned for planned in self.manifest.samples if planned.kept]
        if self.refuted and checked and not any(planned.number in self.done for planned in checked):
            self.refuted.append(
                f"{self.root}: no certificate bears out {MANIFEST}; nothing is pooled"
            )
            self.pooled, self.done = Pooled(self.manifest), set()
        layout = Layout(self.root)
        if len(self.done) == len(self.manifest.samples):
            self.refuted += check_results(layout, self.pooled)
        elif layout.results.exists():
            self.refuted.append(
                f"{layout.results}: states figures of {len(self.manifest.samples)} samples, those "
                f"of {len(self.done)} follow"
            )


def read_run(root: Path) -> Run:
    """Open a run folder, finished or not; samples are then read by ``Run.take``.

    Raises InputError if it is not a run folder or its manifest is invalid.
    """
    manifest = read_manifest(root)
    layout = Layout(root)
    run = Run(root, manifest, Pooled(manifest))
    run.refuted += [f"{layout.manifest}: {line}" for line in manifest.contradictions]
    seen: set[tuple[str, str]] = set()
    for planned in manifest.samples:
        if (known := (planned.name, planned.digest)) in seen:
            line = f"sample {planned.number} is {planned.name} again, one sample follows"
            run.refuted.append(f"{layout.manifest}: {line}")
            continue
        seen.add(known)
        if layout.sample(planned.file).exists():
            run.done.add(planned.number)
        else:
            run.missing.append(planned.name)
    return run


def _line(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if str(path.parent.parent) in text else f"{path}: {text}"
