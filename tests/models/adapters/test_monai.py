"""MONAI: sliding windows in 2-D and 3-D, bundles read without running them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.certificates.windows import Sliding, layout_of
from certiseg.cli.main import run
from certiseg.errors import InputError
from certiseg.models.adapters.bundle import load_bundle
from certiseg.models.adapters.monai import SlidingWindow
from certiseg.models.resolve import load_model
from certiseg.models.windows import windows_of
from certiseg.sampling import fingerprint
from certiseg.sampling.fingerprint import model_fingerprint

inferers = pytest.importorskip("monai.inferers", reason="monai is not installed")
nets = pytest.importorskip("monai.networks.nets")

ARGUMENTS: dict[str, Any] = {
    "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2], "num_res_units": 1,
}  # fmt: skip
CLASSES = ("background", "liver", "tumour")


def unet(dimensions: int) -> nn.Module:
    torch.manual_seed(0)
    return nets.UNet(spatial_dims=dimensions, **ARGUMENTS).eval()


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize("size", [(20, 17), (12, 18, 15)])
def test_windows_are_monais_own(size: tuple[int, ...], mode: Any) -> None:
    roi, net = (8,) * len(size), unet(len(size))
    model = SlidingWindow(net, roi, overlap=0.5, mode=mode)
    x = torch.rand(2, 1, *size)
    with torch.inference_mode():
        direct = inferers.sliding_window_inference(x, roi, 4, net, overlap=0.5, mode=mode)
        torch.testing.assert_close(model(x), direct)
        # A draw's logits do not depend on what else is in the batch.
        torch.testing.assert_close(model(x)[:1], model(x[:1]), atol=1e-5, rtol=1e-4)


class Everything(nn.Module):
    """Global pooling: each output depends on all that the network is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x + x.mean(dim=tuple(range(1, x.ndim)), keepdim=True)], dim=1)


def _reached(model: SlidingWindow, size: tuple[int, ...], place: tuple[int, ...]) -> Any:
    """Labels that a NaN at this place reaches."""
    x = torch.rand(1, 1, *size)
    x[(0, 0, *place)] = torch.nan
    return model(x).isnan().any(dim=1)[0].numpy()


LAID = [
    ((11, 17), (4, 4), 0.25), ((11, 17), (5, 6), 0.5), ((13, 9), (6, 5), 0.8),
    ((5, 9), (8, 4), 0.25), ((8, 8), (8, 8), 0.5), ((6, 7, 5), (4, 3, 8), 0.5),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize(("size", "roi", "overlap"), LAID)
def test_a_value_reaches_just_the_labels_whose_windows_hold_it(
    size: tuple[int, ...], roi: tuple[int, ...], overlap: float, mode: Any
) -> None:
    model = SlidingWindow(Everything(), roi, overlap=overlap, mode=mode, sw_batch_size=1)
    recorded = windows_of(model, (1, *size))
    assert recorded is not None
    spans = layout_of(recorded, len(size)).spans(size)
    assert sum(np.prod([s.core.stop - s.core.start for s in span]) for span in spans) == np.prod(
        size
    )
    for place in np.ndindex(size):
        expected = np.zeros(size, dtype=bool)
        for span in spans:
            if all(s.seen.start <= at < s.seen.stop for s, at in zip(span, place, strict=True)):
                expected[tuple(s.core for s in span)] = True
        assert np.array_equal(_reached(model, size, place), expected)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("overlap", 1.0, r"overlap in \[0, 1\)"),
        ("overlap", "a quarter", "overlap in"),
        ("overlap", None, "overlap in"),
        ("overlap", float("nan"), "overlap in"),
        ("overlap", True, "overlap in"),
        ("roi_size", 96, "roi_size as 2 or 3 whole numbers, got 96"),
        ("roi_size", (8,), "roi_size as 2 or 3 whole numbers"),
        ("roi_size", (8, 0), "roi_size as 2 or 3 whole numbers"),
        ("roi_size", "8", "roi_size as 2 or 3 whole numbers"),
        ("roi_size", (8, 8.0), "roi_size as 2 or 3 whole numbers"),
        ("mode", "linear", "mode constant or gaussian"),
        ("mode", ["gaussian"], "mode constant or gaussian"),
        ("sw_batch_size", 0, "sw_batch_size as a whole number"),
        ("sw_batch_size", 1.0, "sw_batch_size as a whole number"),
        ("sw_batch_size", "4", "sw_batch_size as a whole number"),
    ],
)
def test_nonsense_is_one_line_whenever_it_is_set(name: str, value: Any, words: str) -> None:
    good: dict[str, Any] = {"roi_size": (8, 8), "sw_batch_size": 1}
    with pytest.raises(InputError, match=words):
        SlidingWindow(unet(2), **{**good, name: value})
    model = SlidingWindow(unet(2), **good)
    setattr(model, name, value)
    x = torch.rand(1, 12, 12)
    with pytest.raises(InputError, match=words):
        windows_of(model, (1, 12, 12))
    with pytest.raises(InputError, match=words):
        cs.Smoothed(model, cs.Gaussian(0.25)).vote(x, 4, seed=0)


def test_steps_one_too_long_are_caught() -> None:
    """Negative control of the test above."""
    model = SlidingWindow(Everything(), (5, 6), overlap=0.5, sw_batch_size=1)
    spans = Sliding((5, 6), (3, 4)).spans((11, 17))
    wrong = 0
    for rows, columns in spans:
        place = (rows.seen.start, columns.seen.stop - 1)
        wrong += not _reached(model, (11, 17), place)[rows.core, columns.core].all()
    assert wrong


def test_a_network_that_writes_into_its_window_reaches_no_other() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x -= x.mean(dim=(1, 2, 3), keepdim=True)
            return torch.cat([-x, x], dim=1)

    model = SlidingWindow(InPlace(), (4, 4), overlap=0.5, sw_batch_size=1)
    x = torch.rand(1, 1, 4, 12)
    given = x.clone()
    before = model(x)
    assert torch.equal(x, given)
    x[..., :2] = 0
    # Columns from 4 on are held by windows from column 2 on alone.
    assert torch.equal(model(x)[..., 4:], before[..., 4:])


def test_windows_that_share_a_pass_or_a_hook_are_no_windows() -> None:
    for more in ({}, {"sw_batch_size": 2}):
        assert windows_of(SlidingWindow(unet(2), (8, 8), **more), (1, 20, 17)) is None
    alone = SlidingWindow(unet(2), (8, 8), sw_batch_size=1)
    assert windows_of(alone, (1, 20, 17)) == (8, 8, 6, 6)
    alone.register_forward_hook(lambda module, given, found: found)
    assert windows_of(alone, (1, 20, 17)) is None


def test_the_certificate_of_sliding_windows_states_and_stores_them(tmp_path: Path) -> None:
    model = SlidingWindow(unet(3), (8, 8, 8), overlap=0.5, sw_batch_size=1)
    certificate = cs.Smoothed(model, cs.Gaussian(0.1)).certify(
        torch.rand(1, 10, 12, 9), 60, tau=0.6, seed=1
    )
    words = "all windows of 8 x 8 x 8 that hold it, laid at steps of 4 x 4 x 4; T17"
    assert words in certificate.statement()
    certificate.save(tmp_path / "v.cert.npz")
    again = cs.Certificate.load(tmp_path / "v.cert.npz")
    cs.verify(again)
    assert again.statement() == certificate.statement()
    norms = [certificate.radius * f for f in (0.9, 1.0, 1.5)]
    lost = [again.lost_at_most(norm) for norm in norms]
    assert lost == sorted(lost)
    assert lost[0] == 0


def test_a_volume_is_certified_per_voxel(tmp_path: Path) -> None:
    x = torch.rand(1, 10, 12, 9)
    smoothed = cs.Smoothed(SlidingWindow(unet(3), (8, 8, 8)), cs.Gaussian(0.1))
    certificate = smoothed.certify(x, 60, tau=0.6, seed=1)
    assert certificate.votes.counts.shape == (10, 12, 9, 3)
    assert certificate.labels.shape == (10, 12, 9)
    assert "of 1080 voxels) is the majority label" in certificate.statement()
    assert "of shape 1 x 10 x 12 x 9 with values in [0, 1]" in certificate.statement()
    certificate.save(tmp_path / "v.cert.npz")
    again = cs.Certificate.load(tmp_path / "v.cert.npz")
    assert np.array_equal(again.labels, certificate.labels)
    assert cs.verify(again) is None
    radii = cs.radius_map(smoothed.vote(x, 60, seed=2), noise=cs.Gaussian(0.1)).radius
    assert radii.shape == (10, 12, 9)


def test_a_picture_is_certified_per_pixel() -> None:
    smoothed = cs.Smoothed(SlidingWindow(unet(2), (16, 16)), cs.Gaussian(0.1))
    certificate = smoothed.certify(torch.rand(1, 20, 25), 60, tau=0.6, seed=1)
    assert certificate.labels.shape == (20, 25)
    assert cs.verify(certificate) is None


def test_windows_are_part_of_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of this process is."""
    model = SlidingWindow(unet(2), (16, 16))
    first, _, not_covered, _ = model_fingerprint(model)
    assert not_covered == ()
    for draws in (1, 3):
        model(torch.rand(draws, 1, 20, 25))
    assert model_fingerprint(model)[0] == first
    assert model_fingerprint(SlidingWindow(unet(2), (16, 8)))[0] != first
    assert model_fingerprint(SlidingWindow(unet(2), (16, 16), overlap=0.5))[0] != first
    assert model_fingerprint(SlidingWindow(unet(2), (16, 16), mode="gaussian"))[0] != first
    monkeypatch.setattr(fingerprint, "_PROCESS", "another")
    assert model_fingerprint(SlidingWindow(unet(2), (16, 16)))[0] == first


def test_other_axes_and_a_model_that_trains_are_refused() -> None:
    model = SlidingWindow(unet(3), (8, 8, 8))
    with pytest.raises(InputError, match=r"for windows of \(8, 8, 8\), got shape"):
        model(torch.rand(1, 1, 8, 8))
    flat = SlidingWindow(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Dropout()), (8, 8))
    cs.Smoothed(flat, cs.Gaussian(0.1))
    flat.train()
    with pytest.raises(InputError, match="evaluation mode, got Dropout"):
        cs.Smoothed(flat, cs.Gaussian(0.1))


def test_labels_of_a_volume_as_floats_are_refused() -> None:
    """(B, D, H, W) would otherwise pass for logits of D classes."""
    smoothed = cs.Smoothed(lambda x: x[:, 0], cs.Gaussian(0.1))
    with pytest.raises(InputError, match=r"logits \(B, C, D, H, W\) or integer labels"):
        smoothed.vote(torch.rand(1, 5, 6, 7), 2)
    with pytest.raises(InputError, match="one label per voxel"):
        cs.Smoothed(lambda x: x[..., ::2], cs.Gaussian(0.1)).vote(torch.rand(2, 5, 6, 7), 2)


def bundle(path: Path, dimensions: int = 3, **changes: Any) -> Path:
    (path / "configs").mkdir(parents=True)
    (path / "models").mkdir()
    outputs = {"channel_def": {str(label): name for label, name in enumerate(CLASSES)}}
    metadata = {
        "network_data_format": {
            "inputs": {"image": {"num_channels": 1}},
            "outputs": {"pred": outputs},
        }
    }
    inference = {
        "imports": ["$import os"],
        "classes": 3,
        "network_def": {
            "_target_": "UNet", "spatial_dims": dimensions, **ARGUMENTS, "out_channels": "@classes",
        },
        "network": "$@network_def.to(@device)",
        "inferer": {
            "_target_": "SlidingWindowInferer", "roi_size": [8] * dimensions, "sw_batch_size": 2,
            "overlap": 0.5,
        },
        **changes,
    }  # fmt: skip
    (path / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (path / "configs" / "inference.json").write_text(json.dumps(inference))
    torch.save(unet(dimensions).state_dict(), path / "models" / "model.pt")
    return path


def test_a_bundle_is_its_network_in_its_windows(tmp_path: Path) -> None:
    loaded = load_model(str(bundle(tmp_path / "spleen")))
    assert (loaded.kind, loaded.channels, loaded.classes) == ("volumes", 1, CLASSES)
    x = torch.rand(1, 1, 12, 10, 9)
    with torch.inference_mode():
        direct = inferers.sliding_window_inference(x, (8, 8, 8), 2, unet(3), overlap=0.5)
        torch.testing.assert_close(loaded.model(x), direct)
    flat = load_bundle(bundle(tmp_path / "flat", 2, inferer={"_target_": "SimpleInferer"}))
    assert flat.kind == "images"
    assert flat.model(torch.rand(1, 1, 8, 8)).shape == (1, 3, 8, 8)


def network_def(**changes: Any) -> dict[str, Any]:
    return {"network_def": {"_target_": "UNet", "spatial_dims": 3, **ARGUMENTS, **changes}}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (network_def(_target_="os.system"), r"_target_ in monai\.networks\.nets, got 'os\.system'"),
        (network_def(_target_="warnings"), "_target_ in monai"),
        (network_def(act="$__import__('os').mkdir('SPRUNG')"), "a plain value as network_def act"),
        (network_def(act={"_target_": "os.mkdir", "path": "SPRUNG"}), "a plain value as"),
        (network_def(act="@network"), "a plain value as network_def act"),
        (network_def(act="@nowhere"), "a plain value as network_def act"),
        (network_def(no_such=1), "arguments that UNet takes"),
        (network_def(channels=[4, 4]), "weights of network_def, got .* of another shape"),
        ({"inferer": {"_target_": "os.mkdir", "path": "SPRUNG"}}, "SlidingWindowInferer or Simple"),
        (
            {"inferer": {"_target_": "SlidingWindowInferer", "roi_size": [8] * 3, "cval": 1}},
            "expected an inferer with",
        ),
    ],
)
def test_a_bundle_runs_nothing(
    changes: dict[str, Any], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=word) as caught:
        load_bundle(bundle(tmp_path / "bundle", **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "SPRUNG").exists()


def test_a_bundle_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether by default, by a switch or from a place that the file names."""
    fetched: list[str] = []

    def fetch(*given: Any, **named: Any) -> None:
        fetched.append(str(given))
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    monkeypatch.setattr("urllib.request.urlretrieve", fetch)
    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    flat = {"spatial_dims": 2, "in_channels": 3, "num_classes": 3}
    hover = {"_target_": "HoVerNet", "pretrained_url": "http://127.0.0.1:9/spy.pth"}
    vision = {"_target_": "TorchVisionFCModel", "num_classes": 3, "weights": "DEFAULT"}
    for definition, word in (
        (
            {"_target_": "EfficientNetBN", "model_name": "efficientnet-b0", **flat},
            "expected the weights of network_def, got",
        ),
        (
            {"_target_": "ResNetEncoder", "model_name": "resnet10", "pretrained": True},
            "expected the weights of network_def, got",
        ),
        (hover, "fetches no weights, got HoVerNet"),
        (vision, "fetches no weights, got TorchVisionFCModel"),
    ):
        path = bundle(tmp_path / definition["_target_"], network_def=definition)
        with pytest.raises(InputError, match=word):
            load_bundle(path)
    assert fetched == []


def test_weights_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    path = bundle(tmp_path / "bundle")
    torch.save(unet(3), path / "models" / "model.pt")
    with pytest.raises(InputError, match="expected a checkpoint of weights alone") as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)
    (path / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match=r"expected a checkpoint at .* No such file"):
        load_bundle(path)


def test_certifies_a_volume_from_the_command_line(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    rng = np.random.default_rng(0)
    affine = np.array([[2.0, 0, 0, -9], [0, 1.5, 0, 4], [0, 0, 3, 1], [0, 0, 0, 1]])
    scan = rng.normal(40, 120, (12, 10, 9)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(scan, affine), tmp_path / "ct.nii.gz")
    model, out = bundle(tmp_path / "spleen"), tmp_path / "out"
    command = ["certify", str(tmp_path / "ct.nii.gz"), "--model", str(model), "-o", str(out)]
    assert run([*command, "-n", "60"]) == 2  # no window is guessed
    assert not out.exists()
    options = ["--sigma", "0.1", "-n", "60", "--radius-map", "--window", "-160", "240"]
    assert run([*command, *options]) == 0
    names = {path.name.removeprefix("ct.") for path in out.glob("[!.]*")}
    assert names == {
        "cert.npz", "overlay.png", "legend.png", "radius.png", "labels.nii.gz", "radius.nii.gz",
        "results.jsonl", "status.json",
    }  # fmt: skip
    record = json.loads((out / "results.jsonl").read_text())
    assert (record["size"], record["window"]) == ([12, 10, 9], [-160, 240])
    assert 0 < record["clipped"] < 0.2
    certificate = cs.Certificate.load(out / "ct.cert.npz")
    assert cs.verify(certificate) is None
    labels = nibabel.load(out / "ct.labels.nii.gz")
    assert np.array_equal(np.asarray(labels.dataobj), certificate.labels)
    assert np.allclose(labels.affine, affine)
    written = np.asarray(nibabel.load(out / "ct.radius.nii.gz").dataobj)
    assert (written <= certificate.radius).all()
    assert np.allclose(written, certificate.radius, rtol=1e-6)


def test_a_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.inferers", None)
    with pytest.raises(InputError, match=r"pip install 'certiseg\[monai\]'"):
        SlidingWindow(nn.Identity(), (8, 8))


@pytest.mark.timeout(60)
def test_aliases_that_unfold_to_gigabytes_are_refused(tmp_path: Path) -> None:
    """A billion laughs: nine lines, each ten times the one above."""
    path = bundle(tmp_path / "bundle")
    (path / "configs" / "inference.json").unlink()
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for n in range(1, 10):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    (path / "configs" / "inference.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"got an alias \(\*\); write the names out"):
        load_bundle(path)


def test_sizes_beyond_the_weights_are_refused(tmp_path: Path) -> None:
    path = bundle(
        tmp_path / "bundle", network_def=network_def(channels=[4, 4294967296])["network_def"]
    )
    with pytest.raises(InputError, match="expected a network as large as the weights beside it"):
        load_bundle(path)
