"""Check a kept sample against its record, recomputing what follows from votes and truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.errors import ClaimError
from certiseg.noise import noise_record
from certiseg.runfolder.difference import Fact, check
from certiseg.runfolder.layout import Layout
from certiseg.runfolder.manifest import Manifest, Planned
from certiseg.runfolder.metrics import certified_record, model_record
from certiseg.runfolder.record import Record
from certiseg.runfolder.view import LABELS, View, array_digest, read_view


@dataclass(frozen=True)
class Kept:
    """A kept sample whose certificate was verified, and whose record was recomputed."""

    planned: Planned
    view: View
    certificate: Certificate


def open_kept(layout: Layout, manifest: Manifest, record: Record) -> Kept:
    """Read and check the kept files of a sample.

    Raises ClaimError if they contradict the record or the manifest, or if the certificate does not
    follow from its votes; InputError and OSError for damaged or missing files.
    """
    planned = record.planned
    path = layout.view(planned.file)
    try:
        view = read_view(path, manifest)
        check(_of_view(view, manifest, record))
        path = layout.certificate(planned.file)
        certificate = Certificate.load(path)
        verify(certificate)
        check(_of_certificate(certificate, view, manifest, record), after=" from run.json")
    except ClaimError as error:
        text = str(error)
        raise ClaimError(text if str(path) in text else f"{path}: {text}") from None
    path = layout.sample(planned.file)
    held = certified_record(certificate, view.truth, len(manifest.classes), read_at=manifest.radius)
    stated = {name: value for name, value in record.plain["certified"].items() if name != "seconds"}
    check([("certified", stated, held)], f"{path}: ", " from its certificate and truth")
    return Kept(planned, view, certificate)


def _of_view(view: View, manifest: Manifest, record: Record) -> Iterator[Fact]:
    planned = record.planned
    yield "the truth", array_digest(view.truth), planned.truth
    yield "the input as it is shown", array_digest(view.x), planned.shown
    for row, counts in record.plain["models"].items():
        again = model_record(view.labels[LABELS[row]], view.truth, len(manifest.classes))
        yield f"the labels of {row}", again["confusion"], counts["confusion"]
    yield "the whole file", view.digest, record.view


def _of_certificate(
    certificate: Certificate, view: View, manifest: Manifest, record: Record
) -> Iterator[Fact]:
    """Facts by which a certificate is of this input, run and parameters."""
    settings, votes, planned = manifest.settings, certificate.votes, record.planned
    method = manifest.certifier
    split = settings["selection"] == "split"
    first, chosen = certificate.selection_votes, settings["selection_samples"] if split else 0
    tree, source = certificate.hierarchy, votes.source
    yield "classes", votes.num_classes, len(manifest.classes)
    yield "shape", list(certificate.labels.shape), list(manifest.grid(planned))
    yield "method", certificate.method, manifest.method
    yield "noise", noise_record(certificate.noise), noise_record(manifest.noise)
    for name in ("alpha", "tau", "correction"):
        yield name, getattr(certificate, name), getattr(method, name, None)
    yield "budget", certificate.budget, manifest.budget(planned)
    yield "selection", certificate.selection, "split" if split else "pooled"
    yield "hierarchy", None if tree is None else tree.record(), settings["hierarchy"]
    yield "draws that choose", 0 if first is None else first.trials, chosen
    yield "a source of the votes", source is not None, True
    for of_votes, begin, draws in (
        (votes, chosen, votes.trials if method.stops_early else settings["num_samples"]),
        (first, 0, chosen),
    ):
        source = None if of_votes is None else of_votes.source
        if source is None:
            continue
        yield "draws", [list(part) for part in source.draws], [[begin, begin + draws]]
        yield "input", source.input, planned.input
        yield "key", source.key, planned.input
        yield "input shape", list(source.input_shape), list(view.x.shape)
        yield "seed", source.seed, manifest.seed
        # In a resumed run the seed was read from the record.
        known = "entropy" if source.seed_origin == "record" else source.seed_origin
        yield "origin of the seed", known, manifest.seed_origin
        yield "model", source.model, record.model
    if certificate.looks is not None:
        yield "planned looks", certificate.looks.shares, manifest.looks(planned)
