"""`evaluate` and `certify_all` of what a Python program brings, and what they refuse."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import certiseg as cs
from certiseg.certifiers.radius_map import RadiusMap
from certiseg.certifiers.segcertify import SegCertify
from certiseg.certifiers.sequential import Sequential
from certiseg.cli.main import run
from certiseg.errors import Hint
from certiseg.models.loaded import LoadedModel
from certiseg.runs.options import Options, settings_of
from certiseg.runs.parameters import PARAMETERS
from certiseg.runs.samples import open_samples
from certiseg.runs.settings import Settings, Stopping

FEW = {"sigma": 0.1, "num_samples": 60, "seed": 1}
IMAGES = torch.rand(5, 3, 8, 10, generator=torch.Generator().manual_seed(0))
LABELS = (IMAGES[:, 0] > 0.5).long()
LABELS[:, 0, 0] = 255
PAIRS = list(zip(IMAGES, LABELS, strict=True))


def model(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([1 - x[:, 0], x[:, 0]], 1)


class MapStyle(Dataset[Any]):
    def __len__(self) -> int:
        return len(PAIRS)

    def __getitem__(self, index: int) -> Any:
        return PAIRS[index]


class Streamed(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from PAIRS


class Named(Dataset[Any]):
    """As MONAI and Hugging Face give them, arrays of NumPy."""

    def __len__(self) -> int:
        return len(PAIRS)

    def __getitem__(self, index: int) -> Any:
        image, labels = PAIRS[index]
        return {"img": image.numpy(), "seg": labels[None].numpy(), "id": f"no {index}"}


class ReadAgain:
    """An iterable without a length."""

    def __iter__(self) -> Iterator[Any]:
        yield from PAIRS


def _figures(found: Any) -> Any:
    return [counts.counts.tolist() for counts in found.confusions.values()]


@pytest.fixture(scope="module")
def expected() -> Any:
    return _figures(cs.evaluate(model, PAIRS, **FEW))


def _as_items(batch: list[Any]) -> list[Any]:
    return batch


def _transposed(batch: list[Any]) -> Any:
    return tuple(zip(*batch, strict=True))


@pytest.mark.parametrize(
    "data",
    [
        MapStyle(),
        Streamed(),
        ReadAgain(),
        TensorDataset(IMAGES, LABELS),
        DataLoader(MapStyle(), batch_size=2),
        DataLoader(MapStyle(), batch_size=5),
        DataLoader(MapStyle(), batch_size=1),
        DataLoader(MapStyle(), batch_size=None),
        DataLoader(Streamed(), batch_size=3),
        DataLoader(MapStyle(), batch_size=2, collate_fn=_as_items),
        DataLoader(MapStyle(), batch_size=2, collate_fn=_transposed),
        [(x.double().numpy(), y.to(torch.uint8).numpy()) for x, y in PAIRS],
        [(x, y[None]) for x, y in PAIRS],
    ],
    ids=lambda data: type(data).__name__,
)
@pytest.mark.slow
def test_all_kinds_of_data_give_the_same_figures(data: Any, expected: Any) -> None:
    assert _figures(cs.evaluate(model, data, **FEW)) == expected


@pytest.mark.parametrize(
    "data", [Named(), DataLoader(Named(), batch_size=2)], ids=["set", "loader"]
)
def test_keys_say_where_image_labels_and_name_are(data: Any, expected: Any) -> None:
    found = cs.evaluate(model, data, keys=("img", "seg", "id"), **FEW)
    assert _figures(found) == expected
    assert [image["name"] for image in found.images] == [f"no {n}" for n in range(5)]


def test_a_smoothed_model_brings_its_noise(expected: Any) -> None:
    smooth = cs.Smoothed(model, cs.Gaussian(0.1))
    assert _figures(cs.evaluate(smooth, PAIRS, num_samples=60, seed=1)) == expected
    with pytest.raises(cs.InputError, match="no sigma with a Smoothed"):
        cs.evaluate(smooth, PAIRS, **FEW)
    for wide in ({"value_range": None}, {"output_grid": True}):
        with pytest.raises(cs.InputError, match="pass the model"):
            cs.evaluate(cs.Smoothed(model, cs.Gaussian(0.1), **wide), PAIRS)


def test_the_figures_are_those_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the same images under the same seed, results.json is equal but for names and times."""
    pixels = (IMAGES * 255).round().to(torch.uint8)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for number, (x, y) in enumerate(zip(pixels, LABELS, strict=True)):
        Image.fromarray(x.permute(1, 2, 0).numpy()).save(tmp_path / f"images/{number}.png")
        Image.fromarray(y.numpy().astype(np.uint8)).save(tmp_path / f"labels/{number}.png")
    (tmp_path / "tiny_python_models.py").write_text(
        "import torch\n\n\ndef build():\n"
        "    return lambda x: torch.stack([1 - x[:, 0], x[:, 0]], 1)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    spec = "python:tiny_python_models:build"
    options = ("--sigma", "0.1", "-n", "60", "--seed", "1", "--limit", "4", "--radius-map")
    typed = ("--images", "images", "--labels", "labels", "--model", spec, "--num-classes", "2")
    assert run(["evaluate", *typed, *options, "-o", "typed", "--no-report"]) == 0, (
        capsys.readouterr()
    )
    pairs = [
        (x.float() / 255, y, str(n)) for n, (x, y) in enumerate(zip(pixels, LABELS, strict=True))
    ]
    found = cs.evaluate(
        spec,
        pairs,
        keys=(0, 1, 2),
        name="images",
        num_classes=2,
        limit=4,
        out="called",
        radius_map=True,
        **FEW,
    )
    assert _plain(Path("called")) == _plain(Path("typed"))
    assert len(found.images) == 4
    assert found.report("report.html").exists()
    with pytest.raises(cs.InputError, match="no earlier results"):
        cs.evaluate(spec, pairs, keys=(0, 1, 2), num_classes=2, out="called", **FEW)


def _plain(folder: Path) -> Any:
    record = json.loads((folder / "results.json").read_text())
    for one in (*record["rows"], *record["images"]):
        del one["seconds"]
    del record["made_with"], record["run"], record["reading"]
    return record


def test_samples_of_a_data_set_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = cs.load_model("certiseg:mni152")
    samples = open_samples(loaded, data="mni152", limit=1)
    found = cs.evaluate("certiseg:mni152", samples, num_samples=60, seed=1)
    assert [image["name"] for image in found.images] == [samples[0].name]
    with pytest.raises(cs.InputError, match="samples that have a card"):
        cs.evaluate("certiseg:mni152", samples, name="mine")


def test_a_run_is_resumed(tmp_path: Path, expected: Any) -> None:
    cs.evaluate(model, PAIRS, out=tmp_path, **FEW)
    (tmp_path / "results.json").unlink()
    done = sorted((tmp_path / "samples").iterdir())
    done[0].unlink()
    loader = DataLoader(MapStyle(), batch_size=2)
    again = cs.evaluate(model, loader, name="list", out=tmp_path, resume=True, **FEW)
    assert _figures(again) == expected
    other = [(1 - x, y) for x, y in PAIRS]
    with pytest.raises(cs.InputError, match="other content of sample"):
        cs.evaluate(model, other, name="list", out=tmp_path, resume=True, **FEW)


def test_a_temporary_run_goes_with_its_result() -> None:
    found = cs.evaluate(model, PAIRS, limit=1, **FEW)
    folder = found.out
    assert (folder / "results.json").exists()
    del found
    assert not folder.exists()


def test_masks_of_0_and_255_are_noted_at_the_callers_line() -> None:
    masks = [(IMAGES[0], 255 * (IMAGES[0, 0] > 0.5).long())]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Hint)
        cs.evaluate(model, masks, **FEW)
    assert any("pass labels > 0" in str(each.message) for each in caught)
    assert {Path(each.filename) for each in caught} == {Path(__file__)}


def test_labels_to_ignore_have_a_name() -> None:
    for void in (-100, -1, 7):
        data = [(x, torch.where(y == 255, void, y)) for x, y in PAIRS]
        found = cs.evaluate(model, data, ignore_index=void, **FEW)
        assert found.confusions["certified"].unlabelled == 5
        with pytest.raises(cs.InputError, match=rf"sample 0: .* got {void}; .* ignore_index"):
            cs.evaluate(model, data, **FEW)
    for several in ([-1, -100], np.int64(-1), None):
        mixed = [(x, torch.where(y == 255, 255 if several is None else -1, y)) for x, y in PAIRS]
        found = cs.evaluate(model, [*mixed, PAIRS[0]], ignore_index=several, **FEW)
        assert found.confusions["certified"].unlabelled == 6


def _third(image: Any = PAIRS[3][0], labels: Any = PAIRS[3][1]) -> list[Any]:
    return [*PAIRS[:3], (image, labels)]


def _generator() -> Iterator[Any]:
    yield from PAIRS


X, Y = PAIRS[3]


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (_third(X * 255), "sample 3: expected values in [0, 1], got"),
        (_third(X + 1e-6 + (1 - X.max())), "got [0.0"),
        (_third((X * 255).byte()), "sample 3: expected a float input"),
        (_third(X * np.nan), "sample 3: expected finite values"),
        (_third(X.permute(1, 2, 0), Y), "sample 3: expected an image of shape (C, H, W)"),
        (_third(X[None], Y[None]), "sample 3: expected one input such as (3, H, W)"),
        (_third(X[:1]), "sample 3: expected 3 channels"),
        (_third(Image.new("RGB", (10, 8))), "sample 3: expected an image as a tensor"),
        (_third(labels=Y.float()), "sample 3: expected integer labels"),
        (_third(labels=Y + 1), "sample 3: expected labels 0 to 1 or ignore_index (255), got"),
        (_third(labels=Y - 1), "got -1, 254"),
        (_third(labels=Y + 256), "got 256, 257, 511"),
        (_third(labels=Y[:, :5]), "sample 3: expected labels of shape (8, 10)"),
        ([*PAIRS[:3], X], "sample 3: expected a pair (image, labels), got an array"),
        ([*PAIRS[:3], (X, Y, "c")], "keys=(0, 1)"),
        ([{"x": X, "y": Y}], "a mapping of 'x', 'y'"),
        ([], "at least one pair"),
        ((IMAGES, LABELS), "got arrays alone; pass list(zip(images, labels))"),
        (IMAGES, "list(zip(images, labels))"),
        ("images", "list(zip(images, labels))"),
        (zip(IMAGES, LABELS, strict=True), "got a zip; pass a list"),
        (_generator(), "got a generator; pass a list"),
        (DataLoader(MapStyle(), batch_size=5, shuffle=True), "without shuffling"),
        (DataLoader(IMAGES, batch_size=2, collate_fn=_as_items), "leave collate_fn out"),
    ],
)
def test_what_is_refused_names_the_sample(data: Any, part: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(cs.InputError) as info:
        cs.evaluate(model, data, **FEW)
    assert part in str(info.value)


def test_remedies_work(expected: Any) -> None:
    """What the errors advise, done."""
    assert _figures(cs.evaluate(model, list(zip(IMAGES, LABELS, strict=True)), **FEW)) == expected
    assert _figures(cs.evaluate(model, list(_generator()), **FEW)) == expected
    triples = [(x, y, "c") for x, y in PAIRS]
    assert _figures(cs.evaluate(model, triples, keys=(0, 1), **FEW)) == expected
    normalised = [((x - 0.5) / 0.5, y) for x, y in PAIRS]
    with pytest.raises(cs.InputError, match="Preprocess"):
        cs.evaluate(model, normalised, **FEW)


def test_errors_of_the_data_come_as_they_are_with_the_index() -> None:
    class Broken(MapStyle):
        def __getitem__(self, index: int) -> Any:
            if index == 2:
                raise OSError("the disk is gone")
            return PAIRS[index]

    with pytest.raises(OSError, match="disk is gone") as info:
        cs.evaluate(model, Broken(), **FEW)
    assert info.value.__notes__ == ["at sample 2 of the data"]


def test_models_of_every_kind() -> None:
    def labels_only(x: torch.Tensor) -> torch.Tensor:
        return (x[:, 0] > 0.5).long()

    with pytest.raises(cs.InputError, match="pass num_classes"):
        cs.evaluate(labels_only, PAIRS, **FEW)
    found = cs.evaluate(labels_only, PAIRS, num_classes=2, classes=["dark", "bright"], **FEW)
    assert json.loads((found.out / "run.json").read_text())["classes"] == ["dark", "bright"]
    with pytest.raises(cs.InputError, match="classes of the 2 classes"):
        cs.evaluate(model, PAIRS, classes=["one"], **FEW)
    with pytest.raises(cs.InputError, match="expected a model, got int"):
        cs.evaluate(3, PAIRS, **FEW)
    with pytest.raises(cs.InputError, match="expected a model, got Smoothed"):
        cs.evaluate(model, PAIRS, non_robust=cs.Smoothed(model, cs.Gaussian(0.1)), **FEW)
    with pytest.raises(cs.InputError, match="1 to 254 classes"):
        cs.evaluate(labels_only, PAIRS, num_classes=300, **FEW)
    with pytest.raises(cs.InputError, match="expected out"):
        cs.evaluate(model, PAIRS, resume=True, **FEW)
    with pytest.raises(cs.InputError, match="--keep 0 or more"):
        cs.evaluate(model, PAIRS, keep=-1, **FEW)
    with pytest.raises(cs.InputError, match="workers can load by its name"):
        cs.evaluate(model, PAIRS, workers=2, **FEW)


def test_certificates_of_a_stream(expected: Any) -> None:
    """One pass: as many images are read as certificates are taken."""
    read = []

    def endless() -> Iterator[Any]:
        while True:
            read.append(len(read))
            yield IMAGES[len(read) % 5]

    found = cs.certify_all(model, endless(), **FEW)
    first, second = next(found), next(found)
    assert read == [0, 1]
    own = cs.Smoothed(model, cs.Gaussian(0.1)).certify(IMAGES[1], 60, seed=1)
    assert np.array_equal(first.labels, own.labels)
    cs.verify(second)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (IMAGES, {}),
        (list(IMAGES.numpy()), {}),
        (PAIRS, {}),
        (DataLoader(MapStyle(), batch_size=2), {}),
        (DataLoader(IMAGES, batch_size=2), {}),
        (DataLoader(Named(), batch_size=2), {"key": "img"}),
    ],
)
def test_certificates_of_any_iterable(data: Any, options: Any) -> None:
    smooth = cs.Smoothed(model, cs.Gaussian(0.1))
    found = list(cs.certify_all(model, data, **options, **FEW))
    again = list(cs.certify_all(smooth, data, **options, num_samples=60, seed=1))
    assert len(found) == 5
    for x, one, other in zip(IMAGES, found, again, strict=True):
        own = smooth.certify(x, 60, seed=1)
        assert np.array_equal(one.labels, own.labels)
        assert np.array_equal(one.labels, other.labels)


def test_a_hierarchy_in_another_order_is_refused() -> None:
    loaded = LoadedModel("two", model, 2, classes=("sky", "road"))
    tree = cs.Hierarchy("flat", ("road", "sky"), (), (-1, -1))
    with pytest.raises(cs.InputError, match="in its order in the hierarchy"):
        cs.certify_all(loaded, IMAGES, hierarchy=tree)


def test_clouds_are_certified_by_a_smoothed_model() -> None:
    """Any noise and any values."""
    smooth = cs.Smoothed(lambda x: x[:, :2], cs.Rotation(0.1, "z"), value_range=None)
    clouds = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(0)) * 3
    found = list(cs.certify_all(smooth, list(clouds), num_samples=60, seed=1))
    assert [certificate.labels.shape for certificate in found] == [(20,), (20,)]
    assert np.array_equal(found[1].labels, smooth.certify(clouds[1], 60, seed=1).labels)


def test_alpha_is_shared_over_inputs_known_beforehand() -> None:
    """Union bound: m certificates at alpha / m each."""
    found = list(cs.certify_all(model, IMAGES, share_alpha=5, alpha=0.01, **FEW))
    assert sum(certificate.alpha for certificate in found) <= 0.01
    assert found[0].alpha == pytest.approx(0.002, rel=1e-15)
    assert all(cs.verify(certificate) is None for certificate in found)
    taken = []
    with pytest.raises(cs.InputError, match="input 4: expected at most share_alpha = 4"):
        taken.extend(cs.certify_all(model, IMAGES, share_alpha=4, **FEW))
    for method in (RadiusMap(alpha=0.01), SegCertify(alpha=0.01)):
        (one,) = cs.certify_all(model, IMAGES[:1], method=method, share_alpha=5, **FEW)
        assert one.alpha == found[0].alpha
    with pytest.raises(cs.InputError, match="number of inputs"):
        cs.certify_all(model, IMAGES, share_alpha=0)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: cs.certify_all(model, IMAGES, tau=0.2), "tau"),
        (lambda: cs.certify_all(model, IMAGES[0]), "pass [x]"),
        (lambda: cs.certify_all(model, 3), "pass [x]"),
        (lambda: list(cs.certify_all(model, [IMAGES[0], IMAGES[1] * 2])), "input 1: expected val"),
        (lambda: list(cs.certify_all(model, [{"x": X}])), "input 0: expected an image as a tensor"),
        (lambda: list(cs.certify_all(model, IMAGES, num_samples=5)), "input 0: "),
    ],
)
def test_certify_all_refuses(call: Callable[[], Any], part: str) -> None:
    with pytest.raises(cs.InputError) as info:
        call()
    assert part in str(info.value)


def test_progress_is_a_function_of_draws_or_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    for call in (
        lambda told: cs.evaluate(model, PAIRS, progress=told, **FEW),
        lambda told: list(cs.certify_all(model, IMAGES, progress=told, **FEW)),
        lambda told: list(cs.certify_all(model, iter(IMAGES), progress=told, **FEW)),
    ):
        drawn: list[int] = []
        call(drawn.append)
        assert sum(drawn) == 300
        call(True)
    assert capsys.readouterr().out == ""


def test_options_have_one_name() -> None:
    assert list(Options.__annotations__) == list(PARAMETERS)
    for function in (cs.evaluate, cs.certify_all):
        with pytest.raises(TypeError, match="unexpected keyword argument 'n0'"):
            function(model, PAIRS, n0=3)


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (
            {"method": RadiusMap(alpha=0.01), "tau": 0.8},
            Settings(radius_map=True, alpha=0.01, tau=0.8),
        ),
        (
            {"method": SegCertify(selection="split", tau=0.6), "selection_samples": 20},
            Settings(selection="split", tau=0.6, selection_samples=20),
        ),
        (
            {"method": Sequential(min_gain=0.01, looks=3)},
            Settings(stopping=Stopping(min_gain=0.01, looks=3)),
        ),
        ({"noise": cs.Gaussian(0.5)}, Settings(sigma=0.5)),
        ({"noise": cs.Gaussian(0.5, 3)}, Settings(sigma=0.5, law="coordinates")),
        ({"noise": cs.Rotation(0.5, "z")}, Settings(sigma=0.5, law="rotation", axis="z")),
        ({"noise": "rotation", "sigma": 0.5}, Settings(sigma=0.5, law="rotation")),
    ],
)
def test_a_method_or_a_noise_stands_for_its_options(given: Any, same: Settings) -> None:
    assert settings_of(given) == same


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"method": SegCertify(tau=0.6), "tau": 0.7}, "tau in the method alone"),
        ({"method": SegCertify(), "selection_samples": 20}, "--selection split"),
        ({"method": "radius_map"}, "expected a method such as"),
        ({"method": cs.classify}, "expected a method such as"),
        ({"noise": cs.Gaussian(0.5), "sigma": 0.5}, "in the noise alone"),
        ({"noise": cs.Gaussian(0.5, 2)}, "Smoothed.certify"),
        ({"looks": 3}, "--min-gain"),
        ({"thresholds": (0.0,), "selection": "pooled"}, "two stages"),
    ],
)
def test_options_that_contradict_each_other(given: Any, part: str) -> None:
    with pytest.raises(cs.InputError) as info:
        settings_of(given)
    assert part in str(info.value)
