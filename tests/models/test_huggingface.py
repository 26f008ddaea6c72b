"""A Hugging Face folder as a base model: a tiny random Segformer, saved and loaded locally."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import certiseg as cs
from certiseg.errors import InputError
from certiseg.models.huggingface import load_hf
from certiseg.models.resolve import load_model
from certiseg.runs.model import open_model

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=4,
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label={0: "road", 1: "car", 2: "sky", 3: "tree"},
        label2id={"road": 0, "car": 1, "sky": 2, "tree": 3},
    )
    path = tmp_path_factory.mktemp("segformer")
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(path)
    (path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "SegformerImageProcessor",
                "do_resize": True,
                "size": {"height": 32, "width": 32},
                "do_rescale": True,
                "rescale_factor": 1 / 255,
                "do_normalize": True,
                "image_mean": MEAN,
                "image_std": STD,
            }
        )
    )
    return path


def test_same_logits_as_by_hand(folder: Path) -> None:
    x = torch.rand(2, 3, 48, 64)
    model = load_hf(folder)
    direct = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    with torch.inference_mode():
        quarter = direct(pixel_values=(x - mean) / std).logits
        assert quarter.shape == (2, 4, 12, 16)
        expected = F.interpolate(quarter, size=(48, 64), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-4)
    assert model.classes == ("road", "car", "sky", "tree")
    assert not model.training


def test_resize_on_request(folder: Path) -> None:
    assert load_hf(folder).base.size is None
    model = load_hf(folder, resize=True)
    assert model.base.size == (32, 32)
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 48, 64)).shape == (1, 4, 48, 64)


def test_resolves(folder: Path) -> None:
    loaded = load_model(str(folder))
    assert loaded.num_classes == 4
    assert loaded.classes == ("road", "car", "sky", "tree")
    assert loaded.channels == 3


def test_other_model_kind_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="expected a semantic segmentation model") as error:
        load_hf(tmp_path)
    assert "\n" not in str(error.value)


def test_headless_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    direct = transformers.SegformerForSemanticSegmentation.from_pretrained(folder)
    direct.segformer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="expected weights for every layer"):
        load_hf(tmp_path)


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    direct = transformers.SegformerForSemanticSegmentation.from_pretrained(folder)
    torch.save(direct.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        load_hf(tmp_path)


def test_other_rescaling_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "SegformerImageProcessor", "rescale_factor": 0.0078125}'
    )
    with pytest.raises(InputError, match="rescales 8-bit pixels"):
        load_hf(tmp_path)


def test_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json, got none"):
        load_hf(tmp_path)


def test_truncated_weights(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(InputError, match="expected a semantic segmentation model") as caught:
        load_hf(broken)
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"num_labels": 4294967296}, "sizes of at most 1048576, got 4294967296"),
        ({"depths": [1, 1, 1, 10**9]}, "sizes of at most 1048576, got 1000000000"),
        ({"hidden_sizes": [8, 8, 16, 2**20]}, "a network as large as the weights beside it"),
    ],
)
def test_sizes_beyond_the_weights_are_refused(
    changes: dict[str, object], word: str, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(InputError, match=word):
        load_hf(tmp_path / "copy")


def test_a_pipe_for_weights_is_not_waited_for(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").unlink()
    os.mkfifo(tmp_path / "copy" / "model.safetensors")
    with pytest.raises(InputError, match="a pipe or device"):
        load_hf(tmp_path / "copy")


@pytest.mark.parametrize(
    ("names", "classes", "words"),
    [
        ({"0": "a", "2": "c", "3": "d", "7": "e"}, ("a", "class 1", "c", "d"), "ids 0, 2, 3, 7"),
        ({"1": "a", "2": "b", "3": "c", "4": "d"}, ("class 0", "a", "b", "c"), "ids 1, 2, 3, 4"),
        ({"-1": "n", "0": "a", "1": "b", "2": "c"}, ("a", "b", "c", "class 3"), "ids -1, 0"),
        ({"0": "a", "1": "b", "2": "a", "3": "b"}, ("a (0)", "b (1)", "a (2)", "b (3)"), "2 names"),
    ],
)
def test_names_are_those_of_the_outputs(
    folder: Path, tmp_path: Path, names: dict[str, str], classes: tuple[str, ...], words: str
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config.update(id2label=names, label2id={name: int(i) for i, name in names.items()})
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = load_model(str(tmp_path))
    assert loaded.classes == classes
    assert any(words in note for note in loaded.notes)


def test_another_architecture_is_told_what_helps(tmp_path: Path) -> None:
    transformers.BertConfig(num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"model_type 'bert'.*python:MODULE:FUNCTION"):
        load_hf(tmp_path)


def test_one_label_is_declared_by_the_caller(tmp_path: Path) -> None:
    """transformers trains it as a logit and then takes argmax, which is 0 everywhere."""
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        num_labels=1,
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="--binary logit"):
        open_model(str(tmp_path))
    x = torch.rand(3, 32, 40)
    model = load_hf(tmp_path)
    with pytest.raises(InputError, match="binary='logit'"):
        cs.Smoothed(model, cs.Gaussian(0.1)).vote(x, 2)
    found = cs.Smoothed(model, cs.Gaussian(0.1), binary="logit").predict_clean(x)
    with torch.inference_mode():
        assert np.array_equal(found, model(x[None])[0, 0].numpy() > 0)
    loaded = open_model(str(tmp_path), binary="logit")
    assert (loaded.num_classes, loaded.classes) == (2, ("background", "foreground"))
