"""Checkpoints from elsewhere: no code in them runs, and they unpack to no more than they are."""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from certiseg.errors import InputError
from certiseg.models.checkpoint import fill, read_checkpoint, read_weights
from hostile import Files, Trap, two_tables


def saved(value: object) -> Files:
    """The files in what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_read(zipped: bool, tmp_path: Path) -> None:
    """By its default and in the form before 1.6, under several sizes."""
    for size in (1, 1000, 300_000):
        weights = {"a": torch.rand(size), "b": torch.arange(3)}
        torch.save(weights, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        found = read_checkpoint(tmp_path / "x.pth")
        assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_no_code_in_a_checkpoint_runs(tmp_path: Path) -> None:
    """In its own pickle, or in one that only torch's reader sees. With weights_only=False the same
    file runs it."""
    sprung, path = tmp_path / "sprung", tmp_path / "x.pth"
    hidden = saved({"a": Trap(sprung)})
    torch.save({"a": Trap(sprung)}, path)
    with pytest.raises(InputError, match="a checkpoint of weights alone"):
        read_checkpoint(path)
    path.write_bytes(two_tables(saved({"a": torch.ones(2)}), hidden))
    with pytest.raises(InputError, match="another end than torch"):
        read_checkpoint(path)
    assert not sprung.exists()
    with suppress(pickle.UnpicklingError):
        torch.load(path, weights_only=False)
    assert sprung.exists()


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    """torch itself unpacks ten kilobytes to ten megabytes."""
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in saved({"a": torch.zeros(2_500_000)}).items():
            archive.writestr(name, content)
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match="a compressed archive"):
        read_checkpoint(path)
    assert torch.load(path, weights_only=True)["a"].numel() == 2_500_000


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "module.model.", "net."]
)
def test_prefixes_that_all_weights_share_are_left_out(prefix: str, tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    weights = {f"{prefix}{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "x.pth")
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    fill(other, read_weights(tmp_path / "x.pth"), "x.pth", "a network")
    assert torch.equal(other[0].weight, network[0].weight)


def test_a_prefix_of_the_network_itself_is_kept(tmp_path: Path) -> None:
    network = torch.nn.ModuleDict({"model": torch.nn.Conv2d(3, 4, 3)})
    torch.save(network.state_dict(), tmp_path / "x.pth")
    fill(network, read_weights(tmp_path / "x.pth"), "x.pth", "a network")
    half = {name: value for name, value in network.state_dict().items() if "weight" in name}
    torch.save({**half, "module.model.bias": torch.zeros(4)}, tmp_path / "mixed.pth")
    with pytest.raises(InputError, match=r"1 missing \(model.bias\); 1 unknown"):
        fill(network, read_weights(tmp_path / "mixed.pth"), "mixed.pth", "a network")
