"""What ships: small, safe, described, and as good as its card says."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

import certiseg_weights
import pytest
import torch

import certiseg.models.serialization as module
from certiseg.datasets.registry import open_images
from certiseg.datasets.solids import solids
from certiseg.errors import InputError
from certiseg.models.pointnet.parts import TrainedClouds
from certiseg.models.serialization import bundled, load_bundled
from certiseg.training.cloud_noise import CloudNoise
from certiseg.training.clouds import read_clouds, validate_clouds
from certiseg.training.images import validate
from certiseg.training.loading import CachedSamples

PICTURES = ["camvid", "camvid-lite0", "camvid-lite2", "camvid-undefended", "mni152", "nuclei"]
DENOISERS = ["camvid-denoiser", "camvid-undefended-denoiser"]
CLOUDS = ["solids", "solids-gaussian", "solids-rotation"]
OWN, APART = Path(module.__file__).parent / "weights", Path(certiseg_weights.__file__).parent
MOST_OF_WHEEL = 5_000_000


def file_of(name: str, suffix: str) -> Path:
    return (APART if name in module.APART else OWN) / f"{name}.{suffix}"


def test_names() -> None:
    assert bundled() == sorted([*PICTURES, *DENOISERS, *CLOUDS])


def test_no_other_files_and_no_pickle() -> None:
    assert {path.suffix for path in OWN.iterdir()} == {".safetensors", ".json"}
    files = {path for path in APART.iterdir() if path.is_file()}
    assert {path.suffix for path in files - {APART / "__init__.py"}} == {".safetensors", ".json"}
    assert {path.stem for path in APART.glob("*.safetensors")} == set(module.APART)


def test_the_wheel_of_certiseg_is_small() -> None:
    """Its files compressed one by one, as a wheel holds them."""
    package = Path(module.__file__).parents[1]
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(len(zlib.compress(path.read_bytes())) for path in files) < MOST_OF_WHEEL


def test_without_certiseg_weights_its_models_are_refused_and_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not set(module.APART) & set(bundled())
    load_bundled("mni152")
    for name in module.APART:
        with pytest.raises(InputError, match="certiseg-weights") as caught:
            load_bundled(name)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [*PICTURES, *CLOUDS])
def test_small_and_described(name: str) -> None:
    short = dict.fromkeys(("camvid-lite0", "camvid-undefended"), 1_800_000)
    largest = {"camvid-lite2": 9_400_000, **short}.get(name, 1_500_000)
    assert file_of(name, "safetensors").stat().st_size <= largest
    model = load_bundled(name)
    card = model.card
    assert not model.training
    assert model.num_classes == len(card["classes"]) == len(card["palette"])
    noisy = name not in ("solids", "camvid-undefended")
    assert card["training"]["sigma"] == (0.25 if noisy else 0)
    train = "certiseg train" if name in PICTURES else "certiseg train-clouds"
    assert card["training"]["command"].startswith(f"{train} --data ")
    for key in ("seed", "epochs", "torch", "machine", "seconds"):
        assert key in card["training"]
    for key in ("source", "licence", "train", "choice"):
        assert card["data"][key]
    for figures in (card["figures"]["clean"], card["figures"]["one_draw"]):
        assert figures is not None or not noisy
        assert figures is None or 0.4 < figures["miou"] < figures["accuracy"] < 1
    text = file_of(name, "json").read_text()
    assert '"/' not in text  # no absolute path of the machine it was trained on


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_take_noise_out(name: str) -> None:
    assert file_of(name, "safetensors").stat().st_size <= 1_000_000
    denoiser = load_bundled(name)
    assert not denoiser.training
    figures, guided = denoiser.card["figures"], denoiser.card["training"]["for"] is not None
    for noisy, denoised in zip(figures["noisy"], figures["denoised"], strict=True):
        if guided:  # its network's labels count, not the likeness of images
            assert denoised["agreement"] > noisy["agreement"] + 0.4
        else:
            assert denoised["psnr"] > noisy["psnr"] + 5
    assert '"/' not in file_of(name, "json").read_text()
    if guided:
        return
    # Made-up streaks: the noise goes down on what it was not trained on, too.
    generator = torch.Generator().manual_seed(0)
    rows = torch.linspace(0.2, 0.8, 64)[None, None, :, None].expand(1, 3, 64, 96)
    noise = 0.25 * torch.randn(rows.shape, generator=generator)
    with torch.inference_mode():
        left = denoiser(rows + noise) - rows
    assert left.square().mean() < 0.2 * noise.square().mean()


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_are_small_and_know_their_categories(name: str) -> None:
    assert file_of(name, "safetensors").stat().st_size <= 700_000
    model = load_bundled(name)
    assert isinstance(model, TrainedClouds)
    assert model.categories == tuple(solids("test").card.parts or ())
    assert model.parts == solids("test").card.parts
    assert model.card["figures"]["test"]["clean"]["accuracy"] > 0.6
    for category, parts in model.parts.items():
        with torch.inference_mode():
            logits = model.of(category)(torch.randn(1, 3, 300))
        assert set(logits.argmax(1).unique().tolist()) <= set(parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_are_labelled_as_well_as_the_card_says(name: str) -> None:
    """25 test clouds: five of each category. Their mean accuracy lies within 0.05 of that of all
    500, on any machine; untrained weights fail by far."""
    model = load_bundled(name)
    held = read_clouds(solids("test", normals=False, count=25))
    run = model.card["training"]
    noise = CloudNoise(run["noise"], run["sigma"], run["axis"])
    stated = model.card["figures"]["test"]["one_draw" if run["sigma"] else "clean"]
    found = validate_clouds(model, held, noise, 1).accuracy
    assert found == pytest.approx(stated["accuracy"], abs=0.05)
    torch.manual_seed(0)
    assert validate_clouds(TrainedClouds(model.card), held, noise, 1).accuracy < found - 0.2


@pytest.mark.parametrize("name", PICTURES)
def test_runs_at_odd_sizes(name: str) -> None:
    model = load_bundled(name)
    with torch.inference_mode():
        logits = model(torch.rand(1, model.card["channels"], 37, 51))
    assert logits.shape == (1, model.num_classes, 37, 51)


def test_unknown_name() -> None:
    with pytest.raises(InputError, match=r"camvid, .*mni152, .*solids-rotation, got 'street'"):
        load_bundled("street")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            "mni152",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("nilearn") is None, reason="nilearn not installed"
            ),
        ),
        pytest.param("nuclei", marks=pytest.mark.slow),
    ],
)
def test_card_figures_are_what_the_weights_do(name: str) -> None:
    model = load_bundled(name)
    figures = model.card["figures"]
    seed = figures["one_draw"]["noise_seed"]
    held = CachedSamples(open_images(name, None, "val", ""), 1.0)
    for sigma, stated in ((0.0, figures["clean"]), (0.25, figures["one_draw"])):
        found = validate(model, held, sigma, seed)
        # Other CPUs sum in another order, which moves single pixels at class borders.
        assert found.accuracy == pytest.approx(stated["accuracy"], abs=5e-4)
        assert found.miou == pytest.approx(stated["miou"], abs=1e-3)
