"""Folders that segmentation_models_pytorch saved, as base models: random weights, small ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.models import load_model
from certiseg.models.zoo.smp import load_smp
from certiseg.outputs.decide import decide
from certiseg.runs.model import open_model
from certiseg.sampling.fingerprint import model_fingerprint

HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def _model(settled: Any, kind: str = "FPN", seed: int = 0, **arguments: Any) -> Any:
    import segmentation_models_pytorch as smp

    torch.manual_seed(seed)
    arguments = {"encoder_name": "resnet18", "encoder_weights": None, "classes": 4, **arguments}
    return settled(getattr(smp, kind)(**arguments), arguments.get("in_channels", 3))


def _saved(model: Any, folder: Path, preprocessing: object = HALF, **changes: object) -> Path:
    """changes: to the config, as a model made in another way would have written it."""
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    if preprocessing is not None:
        (folder / "preprocessing.json").write_text(json.dumps(preprocessing))
    return folder


def _padded(x: torch.Tensor, mode: str = "replicate") -> torch.Tensor:
    return F.pad(x, (0, 14, 0, 27), mode=mode)  # 37 x 50 to 64 x 64


@pytest.mark.parametrize("kind", ["FPN", "Unet", "DeepLabV3Plus"])
def test_logits_are_those_of_the_padded_picture(
    kind: str, settled: Any, pictures: torch.Tensor, tmp_path: Path
) -> None:
    own = _model(settled, kind)
    model = load_smp(_saved(own, tmp_path / "saved"))
    stride = own.encoder.output_stride
    x = (pictures - 0.5) / 0.25
    below, right = -37 % stride, -50 % stride
    with torch.inference_mode():
        wanted = own(F.pad(x, (0, right, 0, below), mode="replicate"))[..., :37, :50]
        black = own(F.pad(x, (0, right, 0, below)))[..., :37, :50]
        found = model(pictures)
    assert found.shape == (2, 4, 37, 50)
    assert torch.allclose(found, wanted, atol=1e-5 * float(wanted.abs().max()))
    # Negative control: padded with zeros it is another model.
    assert not torch.allclose(found, black, atol=1e-3 * float(wanted.abs().max()))


def test_what_layers_do_not_print_is_part_of_the_fingerprint(settled: Any, tmp_path: Path) -> None:
    """Decoders that resize in another way have equal weights and print alike."""
    own = _model(settled, "Unet")
    names = ("nearest", "bilinear")
    models = [load_smp(_saved(own, tmp_path / name, decoder_interpolation=name)) for name in names]
    assert repr(models[0].base) == repr(models[1].base)
    assert model_fingerprint(models[0])[0] != model_fingerprint(models[1])[0]
    again = load_smp(tmp_path / "nearest")
    assert model_fingerprint(models[0])[0] == model_fingerprint(again)[0]


def test_a_size_that_fits_is_not_padded(
    settled: Any, pictures: torch.Tensor, tmp_path: Path
) -> None:
    own = _model(settled)
    model = load_smp(_saved(own, tmp_path / "saved", {}))
    x = F.interpolate(pictures, (32, 64))
    with torch.inference_mode():
        assert torch.equal(model(x), own(x))


def test_a_picture_is_certified(
    settled: Any, place: Path, certifies: Callable[[str], None]
) -> None:
    _saved(_model(settled), place / "saved")
    certifies("smp:saved")


def test_one_class_is_a_binary_output_of_logits(
    settled: Any, pictures: torch.Tensor, tmp_path: Path
) -> None:
    """Foreground where its probability is above 1/2, whatever the activation that was saved."""
    own = _model(settled, classes=1)
    with torch.no_grad():  # so that there is some of both
        own.segmentation_head[0].bias -= own(_padded(pictures)).median()
    for activation in (None, "sigmoid"):
        folder = _saved(own, tmp_path / str(activation), {}, activation=activation)
        model = load_smp(folder)
        with torch.inference_mode():
            foreground = own(_padded(pictures))[:, 0, :37, :50].sigmoid() > 0.5
            found = decide(model(pictures), pictures, 2).labels()
            assert torch.equal(found.bool(), foreground)
        assert model.num_classes == 2
        assert model.binary == BinaryOutput("logit")
        assert load_model(f"smp:{folder}").classes == ("background", "foreground")
        assert 0 < float(foreground.float().mean()) < 1
    loaded = open_model(f"smp:{folder}", binary="logit:0.4")
    with torch.inference_mode():
        likely = own(_padded(pictures))[:, 0, :37, :50].sigmoid()
        found = decide(loaded.model(pictures), pictures, 2).labels()
        assert torch.equal(found.bool(), likely > 0.4)


def test_other_activations_of_one_class_are_refused(settled: Any, tmp_path: Path) -> None:
    folder = _saved(_model(settled, classes=1), tmp_path / "one", {}, activation="tanh")
    with pytest.raises(InputError, match="activation sigmoid or none, got 'tanh'"):
        load_smp(folder)


def test_a_sigmoid_over_several_classes_is_noted(settled: Any, tmp_path: Path) -> None:
    folder = _saved(_model(settled), tmp_path / "four", {}, activation="sigmoid")
    (note,) = load_smp(folder).notes
    assert "--binary logit --multi-label" in note
    assert load_smp(folder).binary is None


def test_a_head_for_whole_pictures_is_left_out(
    settled: Any, pictures: torch.Tensor, tmp_path: Path
) -> None:
    own = _model(settled, aux_params={"classes": 7})
    with torch.inference_mode():
        wanted = own(_padded(pictures))[0][..., :37, :50]
        assert torch.allclose(load_smp(_saved(own, tmp_path, {}))(pictures), wanted, atol=1e-5)


def test_preprocessing_comes_from_timm_for_its_encoders(
    settled: Any, pictures: torch.Tensor, normal: Any, tmp_path: Path
) -> None:
    own = _model(settled, encoder_name="tu-resnet10t")
    model = load_smp(_saved(own, tmp_path, None, encoder_weights=True))
    import timm

    seen = timm.get_pretrained_cfg("resnet10t")
    assert model.base.mean.flatten().tolist() == pytest.approx(list(seen.mean))
    assert model.base.std.flatten().tolist() == pytest.approx(list(seen.std))
    assert model.notes == ()


def test_preprocessing_in_units_of_bytes(settled: Any, tmp_path: Path) -> None:
    given = {"mean": [127.5] * 3, "std": [63.75] * 3, "input_range": [0, 255]}
    model = load_smp(_saved(_model(settled), tmp_path, given))
    assert model.base.mean.flatten().tolist() == [0.5] * 3
    assert model.base.std.flatten().tolist() == [0.25] * 3


def test_preprocessing_comes_from_the_hubs_cache_and_never_its_network(
    settled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def cached(repository: str, file: str, *, revision: str, local_files_only: bool) -> str:
        asked.append((repository, file, local_files_only))
        (tmp_path / "cached.json").write_text(json.dumps({**HALF, "input_space": "RGB"}))
        return str(tmp_path / "cached.json")

    folder = _saved(_model(settled), tmp_path / "saved", None, encoder_weights="imagenet")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", cached)
    assert load_smp(folder).base.mean.flatten().tolist() == [0.5] * 3
    assert asked == [("smp-hub/resnet18.imagenet", "config.json", True)]


def test_an_encoder_without_weights_is_noted(settled: Any, tmp_path: Path) -> None:
    model = load_smp(_saved(_model(settled, in_channels=1), tmp_path, None))
    assert (model.base.mean, model.base.std, model.channels) == (None, None, 1)
    assert "inputs in [0, 1]" in model.notes[0]


def _empty_cache(folder: Path, settled: Any) -> None:
    _saved(_model(settled), folder, None, encoder_weights="imagenet")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder, settled: None, "expected a folder with config.json of segmentation_models"),
        (_empty_cache, r"preprocessing of resnet18 \(imagenet\), got none on this machine; write"),
        (
            lambda folder, settled: _saved(_model(settled), folder, _model_class="Resnet"),
            "expected a model of segmentation_models_pytorch .*, got 'Resnet'",
        ),
        (
            lambda folder, settled: _saved(_model(settled), folder, encoder_name="resnet-1"),
            "expected arguments of FPN, got KeyError",
        ),
        (
            lambda folder, settled: _saved(_model(settled), folder, classes=5),
            r"head.0.weight \(4, 128, 1, 1\) instead of \(5, 128, 1, 1\)",
        ),
        (
            lambda folder, settled: _saved(_model(settled, in_channels=1), folder),
            "a mean for each of 1 channels",
        ),
        (
            lambda folder, settled: _saved(_model(settled), folder, {"input_space": "BGR"}),
            "expected a preprocessing of RGB",
        ),
        (lambda folder, settled: _saved(_model(settled), folder, []), "a JSON object with mean"),
        (
            lambda folder, settled: (
                _saved(_model(settled), folder) / "model.safetensors"
            ).write_bytes(b"x"),
            "weights alone",
        ),
        (
            lambda folder, settled: (
                _saved(_model(settled), folder) / "model.safetensors"
            ).unlink(),
            "expected a checkpoint at",
        ),
    ],
)
def test_bad_folders_are_one_line(
    settled: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, Any], object],
    words: str,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    spoil(tmp_path / "saved", settled)
    with pytest.raises(InputError, match=words) as error:
        load_model(f"smp:{tmp_path / 'saved'}")
    assert "\n" not in str(error.value)
