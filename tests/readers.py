"""All readers of files from outside: how each gets a small whole file, and reads a damaged one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from cryptography.hazmat.primitives.asymmetric import ed25519
from PIL import Image
from torch import nn

import certiseg as cs
from certiseg.certificates import signature
from certiseg.certificates.commitment import Commitment, commitment_content
from certiseg.datasets.cloud_file import read_cloud
from certiseg.datasets.described import described
from certiseg.datasets.images import read_image
from certiseg.datasets.label_file import read_labels
from certiseg.datasets.own_clouds import own_clouds
from certiseg.datasets.volume_file import is_volume_file, read_volume
from certiseg.errors import InputError
from certiseg.files.folders import LIST, Outputs
from certiseg.hierarchies.files import load_hierarchy
from certiseg.models.checkpoint import check_fit, read_weights
from certiseg.models.networks import TrainedModel
from certiseg.models.serialization import CARD_FILE, KIND, WEIGHTS_FILE, to_bytes
from certiseg.runfolder.cells import Cell, CellStore, table_manifest
from certiseg.runfolder.run import read_run
from certiseg.runs.class_style import class_style
from certiseg.runs.commitment import Promise
from certiseg.runs.evaluate import write_results
from certiseg.runs.model import open_model, try_model
from certiseg.runs.output import read_lines
from certiseg.runs.settings import Settings
from certiseg.training.loop import TrainingContext, training_loop
from certiseg.training.settings import TrainSettings
from certiseg.training.state import STATE_FILE, StateFile
from certiseg.training.task import Figures
from damaged import Damage, bytewise, of_json, of_json_lines, of_yaml, of_zip
from forged import SOURCE, Parts, certificates, pem
from made_runs import made_run


@dataclass(frozen=True)
class Reader:
    """make: writes whole files into a folder, of which `name` is damaged. read: all that a command
    does with it."""

    name: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    damage: Damage = bytewise

    def try_damaged(self, whole: Path, number: int) -> None:
        """Damage the file in the folder by this number, and read it."""
        path = whole / self.name
        content = path.read_bytes()
        try:
            path.write_bytes(self.damage(content, Random(number)))
            self.read(path)
        finally:
            path.write_bytes(content)


def _content(content: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(content)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _png(mode: str = "RGB") -> bytes:
    values = np.random.default_rng(0).integers(0, 3, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(values).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _as(format: str, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(_png(mode))).save(buffer, format=format)
    return buffer.getvalue()


def _volume(path: Path) -> None:
    if is_volume_file(path):
        read_volume(path)


# Models: opened, tried on an input, shown.


def _use(spec: str) -> None:
    loaded = open_model(spec)
    smoothed = cs.Smoothed(loaded.model, cs.Gaussian(0.25), loaded.num_classes)
    channels = loaded.channels or 3
    try_model(smoothed, np.full((channels, 16, 16), 0.5, np.float32))
    class_style(loaded, smoothed.num_classes or 2)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()


def _card(folder: Path) -> None:
    card: dict[str, Any] = {
        "kind": KIND,
        "name": "small",
        "architecture": {
            "in_channels": 1,
            "num_classes": 3,
            "widths": [4, 6],
            "blocks": [0, 1],
            "mean": [0.5],
            "std": [0.25],
        },
        "classes": ["a", "b", "c"],
        "palette": [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
        "channels": 1,
    }
    torch.manual_seed(0)
    data = to_bytes(TrainedModel(card).network)
    card["weights"] = {"file": WEIGHTS_FILE, "sha256": hashlib.sha256(data).hexdigest()}
    (folder / WEIGHTS_FILE).write_bytes(data)
    (folder / CARD_FILE).write_text(json.dumps(card))


def _with_digest(path: Path) -> None:
    """The weights, beside a card that names what they are now."""
    card = json.loads((path.parent / CARD_FILE).read_text())
    card["weights"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (path.parent / CARD_FILE).write_text(json.dumps(card))
    _use(str(path.parent))


def _exported(folder: Path) -> None:
    program = torch.export.export(_network(), (torch.rand(2, 3, 16, 16),))
    torch.export.save(program, folder / "net.pt2")


def _onnx(folder: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    chance = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(chance.normal(size=shape).astype(np.float32), name)
        for name, shape in (("w", (3, 3, 3, 3)), ("b", (3,)))
    ]
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1])
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "h", "w_"])
        for name in ("x", "y")
    ]
    graph = helper.make_graph([node], "net", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"classes": '["a", "b", "c"]'})
    save(model, folder / "net.onnx")


def _checkpoint(path: Path) -> None:
    check_fit(_network(), read_weights(path), str(path), "the network")


# Records of runs, and what else certiseg writes.


def _run(path: Path) -> None:
    root = path.parent if path.parent.name == "out" else path.parent.parent
    run = read_run(root)
    for planned in run.manifest.samples:
        run.take(planned)
    run.finish()
    for line in (*run.broken, *run.refuted):
        raise InputError(line)


def _made_run(folder: Path) -> None:
    samples = made_run(folder / "out", ["a", "b"])
    run = read_run(folder / "out")
    for planned in run.manifest.samples:
        run.take(planned)
    write_results(folder / "out", run.pooled, samples, Settings(num_samples=200), "")


CELL = Cell(0, "a", "1", 0.25)


def _cells(folder: Path) -> None:
    cells = CellStore(folder)
    cells.begin(table_manifest({"seed": 3}, [CELL]), overwrite=True)
    line = {"scale": "1", "model": "m", "sigma": 0.25, "tau": None, "n": 1, "n0": 0, "alpha": 0.1}
    about = {"number": 0, "name": "a", "scale": "1", "sigma": 0.25}
    cells.write(0, {**about, "lines": [{"line": line}], "curve": None})


def _read_cells(path: Path) -> None:
    cells = CellStore(path.parent if path.name == "run.json" else path.parent.parent)
    cells.resume(table_manifest({"seed": 3}, [CELL]))
    record = cells.get(0)
    assert record is None or record["curve"] is None


class _Squares:
    """The least that can be trained: one batch an epoch."""

    check, steps_per_epoch, settings = "-", 1, TrainSettings(0.1, epochs=3)

    def losses(self, forward: Any, chance: Any) -> Any:
        yield (forward(torch.randn(3, 2, generator=chance.noise)) ** 2).mean()

    def validate(self, average: object) -> Figures:
        return Figures(0.5, 0.5)


def _train(folder: Path, *, resume: bool, stop: float = 9) -> None:
    torch.manual_seed(0)

    def report(done: int, epoch: float, loss: float, figures: object) -> None:
        if epoch > stop:
            raise KeyboardInterrupt

    kept = StateFile(folder, {"data": "made up"}, resume=resume, overwrite=False)
    kept._written = -1e9
    training_loop(nn.Linear(2, 2), _Squares(), report, TrainingContext(state=kept))


def _state(folder: Path) -> None:
    try:
        _train(folder, resume=False, stop=1)
    except KeyboardInterrupt:
        assert (folder / STATE_FILE).exists()


def _of_state(content: bytes, chance: Random) -> bytes:
    """Half of them with a digest that fits."""
    if chance.random() < 0.5:
        return bytewise(content, chance)
    inside = of_zip(content[32:], chance)
    return hashlib.sha256(inside).digest() + inside


def _signed(folder: Path) -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    (folder / "key.pem").write_bytes(pem(key))
    (folder / "public.pem").write_bytes(pem(key.public_key()))
    (folder / "a.npz.sig").write_bytes(signature.sign(b"content", key))


def _check_signature(path: Path) -> None:
    key = signature.public_key(path.parent / "public.pem")
    signature.check(b"content", path.parent / "a.npz", key)


def _committed(folder: Path) -> None:
    (folder / "c.json").write_bytes(commitment_content([certificates()["pooled"]], SOURCE.seed))
    secret = {"format": "certiseg-commitment-secret-1", "seed": SOURCE.seed}
    (folder / "c.json.secret").write_text(json.dumps(secret))


def _check_commitment(path: Path) -> None:
    Commitment.read(path).check(certificates()["pooled"])


def _certificate(path: Path) -> None:
    certificate = cs.Certificate.load(path)
    cs.verify(certificate)
    certificate.statement()


def _of_certificate(content: bytes, chance: Random) -> bytes:
    """Half of them with a digest that fits."""
    if chance.random() < 0.5:
        return of_zip(content, chance)
    parts = Parts.of(certificates()["pooled"])
    return Parts(
        of_json(parts.text.encode(), chance).decode("utf-8", "replace"), parts.arrays
    ).content()


def _yard(folder: Path) -> None:
    for part, content in (("images", _png()), ("labels", _png("L"))):
        (folder / part).mkdir()
        (folder / part / "a.png").write_bytes(content)
    (folder / "yard.yaml").write_text(YARD)


YARD = """\
name: yard
classes: [grass, path, shed]
palette: [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
channels: 3
splits:
  val: {images: images, labels: labels}
ignore: [9]
label_map: {0: grass, 1: path, 2: shed}
image_suffix: .png
orientation: stored
source: made up
"""

TREE = """\
name: street
classes: [road, sidewalk, sky, car, bus]
tree:
  - sky
  - flat: [road, sidewalk]
  - vehicle: [car, bus]
"""


def _read_yard(path: Path) -> None:
    pairs = described(path, "val")
    for number in range(len(pairs)):
        pairs[number]


_CLOUD = np.random.default_rng(0).normal(size=(40, 3))
_TEXT = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in _CLOUD).encode()
_VOLUME = np.random.default_rng(0).uniform(size=(4, 5, 6)).astype(np.float32)


def _nifti() -> bytes:
    content: bytes = import_module("nibabel").Nifti1Image(_VOLUME, np.eye(4)).to_bytes()
    return content


def _itk(path: Path) -> None:
    sitk = import_module("SimpleITK")
    sitk.WriteImage(sitk.GetImageFromArray(_VOLUME), path, True)


def _npz() -> bytes:
    held = io.BytesIO()
    np.savez_compressed(held, cloud=_CLOUD)
    return held.getvalue()


def _ply() -> bytes:
    plyfile = import_module("plyfile")
    points = np.array([tuple(row) for row in _CLOUD[:, :3]], dtype=[(n, "f4") for n in "xyz"])
    held = io.BytesIO()
    plyfile.PlyData([plyfile.PlyElement.describe(points, "vertex")]).write(held)
    return held.getvalue()


def _las(path: Path) -> None:
    laspy = import_module("laspy")
    made = laspy.LasData(laspy.LasHeader(point_format=3, version="1.2"))
    made.x, made.y, made.z = 100 * _CLOUD[:, :3].T
    made.write(path)


def _own_clouds(folder: Path) -> None:
    (folder / "clouds.yaml").write_text("name: a\nclasses: [b, c]\nnormalise: true\n")
    (folder / "test").mkdir(exist_ok=True)
    (folder / "test" / "a.txt").write_bytes(_TEXT)


def _file(name: str, content: Callable[[], bytes], read: Any, damage: Damage = bytewise) -> Reader:
    return Reader(name, lambda folder: (folder / name).write_bytes(content()), read, damage)


READERS: dict[str, Reader] = {
    "PNG": _file("a.png", _png, read_image),
    "JPEG": _file("a.jpg", lambda: _as("JPEG"), read_image),
    "TIFF": _file("a.tif", lambda: _as("TIFF"), read_image),
    "WebP": _file("a.webp", lambda: _as("WEBP"), read_image),
    "labels": _file("a.png", lambda: _png("L"), read_labels),
    "labels, TIFF": _file("a.tif", lambda: _as("TIFF", "L"), read_labels),
    "volume": _file("a.npy", lambda: _npy(_VOLUME), read_volume),
    "volume or cloud": _file("a.npy", lambda: _npy(_VOLUME), _volume),
    "NIfTI": _file("a.nii", _nifti, read_volume),
    "NIfTI, packed": _file("a.nii.gz", lambda: gzip.compress(_nifti()), read_volume),
    "MetaImage": Reader("a.mha", lambda folder: _itk(folder / "a.mha"), read_volume),
    "NRRD": Reader("a.nrrd", lambda folder: _itk(folder / "a.nrrd"), read_volume),
    "cloud": _file("a.txt", lambda: _TEXT, read_cloud),
    "cloud with a header": _file("a.csv", lambda: b"40\n# x y z\n" + _TEXT, read_cloud),
    "cloud, npy": _file("a.npy", lambda: _npy(_CLOUD), read_cloud),
    "cloud, npz": _file("a.npz", _npz, read_cloud, of_zip),
    "PLY": _file("a.ply", _ply, read_cloud),
    "LAS": Reader("a.las", lambda folder: _las(folder / "a.las"), read_cloud),
    "LAZ": Reader("a.laz", lambda folder: _las(folder / "a.laz"), read_cloud),
    "clouds": Reader("clouds.yaml", _own_clouds, lambda path: own_clouds(path.parent), of_yaml),
    "hierarchy": _file("a.yaml", TREE.encode, load_hierarchy, of_yaml),
    "data sheet": Reader("yard.yaml", _yard, _read_yard, of_yaml),
    "certificate": _file(
        "a.cert.npz",
        lambda: Parts.of(certificates()["pooled"]).content(),
        _certificate,
        _of_certificate,
    ),
    "signature": Reader("a.npz.sig", _signed, _check_signature, of_json),
    "public key": Reader("public.pem", _signed, _check_signature),
    "private key": Reader("key.pem", _signed, signature.private_key),
    "commitment": Reader("c.json", _committed, _check_commitment, of_json),
    "secret": Reader(
        "c.json.secret", _committed, lambda path: Promise.open(path.with_suffix("")), of_json
    ),
    "card": Reader(CARD_FILE, _card, lambda path: _use(str(path.parent)), of_json),
    "weights": Reader(WEIGHTS_FILE, _card, _with_digest),
    "torch.export": Reader("net.pt2", _exported, lambda path: _use(str(path)), of_zip),
    "ONNX": Reader("net.onnx", _onnx, lambda path: _use(str(path))),
    "checkpoint": Reader(
        "net.pth",
        lambda folder: torch.save(_network().state_dict(), folder / "net.pth"),
        _checkpoint,
        of_zip,
    ),
    "training state": Reader(
        STATE_FILE, _state, lambda path: _train(path.parent, resume=True), _of_state
    ),
    "run.json": Reader("out/run.json", _made_run, _run, of_json),
    "record": Reader("out/samples/0000-a.json", _made_run, _run, of_json),
    "results": Reader("out/results.json", _made_run, _run, of_json),
    "table of a run": Reader("out/table.csv", _made_run, _run),
    "view": Reader("out/views/0000-a.npz", _made_run, _run, of_zip),
    "lines": _file(
        "results.jsonl", lambda: b'{"name": "a", "seed": 1}\n' * 3, read_lines, of_json_lines
    ),
    "list of files": _file(
        LIST, lambda: b'["a", "b"]', lambda path: Outputs(path.parent).ours(), of_json
    ),
    "cells": Reader(f"cells/{CELL.stem}.json", _cells, _read_cells, of_json),
    "table": Reader("run.json", _cells, _read_cells, of_json),
}
