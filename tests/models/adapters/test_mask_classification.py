"""Mask classification and backbones of Hugging Face: tiny random models, saved and loaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import certiseg as cs
from certiseg.cli.main import run
from certiseg.errors import InputError
from certiseg.models.huggingface import load_hf
from certiseg.models.resolve import load_model
from certiseg.sampling import fingerprint
from certiseg.sampling.fingerprint import model_fingerprint

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

CLASSES = ("road", "car", "sky")
NAMES: dict[str, Any] = {
    "id2label": dict(enumerate(CLASSES)),
    "label2id": {name: label for label, name in enumerate(CLASSES)},
}
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def swin() -> Any:
    return transformers.SwinConfig(
        image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4,
        out_features=STAGES,
    )  # fmt: skip


def built(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "upernet-swin":
        config = transformers.UperNetConfig(
            backbone_config=swin(), hidden_size=16, auxiliary_channels=8,
            auxiliary_in_channels=32, **NAMES,
        )  # fmt: skip
        return transformers.UperNetForSemanticSegmentation(config)
    if kind == "upernet-convnext":
        backbone = transformers.ConvNextConfig(
            hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, out_features=STAGES
        )
        config = transformers.UperNetConfig(
            backbone_config=backbone, hidden_size=16, auxiliary_channels=8,
            auxiliary_in_channels=16, **NAMES,
        )  # fmt: skip
        return transformers.UperNetForSemanticSegmentation(config)
    if kind == "mask2former":
        config = transformers.Mask2FormerConfig(
            backbone_config=swin(), feature_size=32, mask_feature_size=32, hidden_dim=32,
            encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
            dim_feedforward=16, num_queries=5, **NAMES,
        )  # fmt: skip
        return transformers.Mask2FormerForUniversalSegmentation(config)
    if kind == "maskformer":
        decoder = transformers.DetrConfig(
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16,
            encoder_attention_heads=2, decoder_attention_heads=2, num_queries=5,
        )  # fmt: skip
        config = transformers.MaskFormerConfig(
            fpn_feature_size=32, mask_feature_size=32, backbone_config=swin(),
            decoder_config=decoder, **NAMES,
        )  # fmt: skip
        return transformers.MaskFormerForInstanceSegmentation(config)
    assert kind == "oneformer"
    config = transformers.OneFormerConfig(
        backbone_config=swin(), hidden_dim=32, conv_dim=32, mask_dim=32, num_queries=5,
        encoder_layers=1, decoder_layers=2, encoder_feedforward_dim=16, dim_feedforward=16,
        num_attention_heads=2, text_encoder_width=16, text_encoder_context_length=7,
        text_encoder_num_layers=1, text_encoder_vocab_size=99, text_encoder_proj_layers=1,
        text_encoder_n_ctx=2, query_dec_layers=1, task_seq_len=7, is_training=False, **NAMES,
    )  # fmt: skip
    return transformers.OneFormerForUniversalSegmentation(config)


KINDS = ("upernet-swin", "upernet-convnext", "mask2former", "maskformer", "oneformer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zoo")
    for kind in KINDS:
        built(kind).save_pretrained(path / kind)
    words = ["<|startoftext|>", "<|endoftext|>", "the</w>", "task</w>", "is</w>", "semantic</w>"]
    letters = sorted({c for word in ("the", "task", "is", "semantic") for c in word})
    vocabulary = words + letters + [f"{letter}</w>" for letter in letters]
    tokens = {word: number for number, word in enumerate(vocabulary)}
    (path / "oneformer" / "vocab.json").write_text(json.dumps(tokens))
    (path / "oneformer" / "merges.txt").write_text("#version: 0.2\n")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 7}
    (path / "oneformer" / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_every_kind_certifies_a_picture_of_any_size(kind: str, folder: Path) -> None:
    loaded = load_model(str(folder / kind))
    assert (loaded.num_classes, loaded.classes, loaded.channels) == (3, CLASSES, 3)
    smoothed = cs.Smoothed(loaded.model, cs.Gaussian(0.1))
    certificate = smoothed.certify(torch.rand(3, 40, 52), 40, tau=0.6, alpha=0.01, seed=1)
    assert certificate.labels.shape == (40, 52)
    assert (certificate.votes.counts.sum(-1) == 40).all()
    assert cs.verify(certificate) is None


@pytest.mark.parametrize("kind", ["mask2former", "maskformer"])
def test_scores_are_those_of_the_librarys_own_processor(kind: str, folder: Path) -> None:
    """Of Mask2Former at 384 x 384, the size its processor assumes."""
    size = (384, 384) if kind == "mask2former" else (48, 64)
    x = torch.rand(1, 3, *size)
    direct = type(built(kind)).from_pretrained(folder / kind).eval()
    by_name = "Mask2Former" if kind == "mask2former" else "MaskFormer"
    processor = getattr(transformers, f"{by_name}ImageProcessorPil")
    with torch.inference_mode():
        output = direct(pixel_values=x)
        expected = processor.post_process_semantic_segmentation(
            processor(), output, target_sizes=[size]
        )[0]
        ours = load_hf(folder / kind)(x).argmax(1)[0]
    assert float((ours != expected).float().mean()) < 1e-4


def test_the_null_class_takes_no_part(folder: Path) -> None:
    """Scores by hand; with the null class they are others."""
    x = torch.rand(1, 3, 48, 64)
    direct = type(built("maskformer")).from_pretrained(folder / "maskformer").eval()
    with torch.inference_mode():
        output = direct(pixel_values=x)
        masks = output.masks_queries_logits.sigmoid()
        for shown, agree in ((slice(0, 3), True), (slice(1, 4), False)):
            classes = output.class_queries_logits.softmax(-1)[..., shown]
            by_hand = sum(
                classes[:, q, :, None, None] * masks[:, q, None] for q in range(masks.shape[1])
            )
            full = F.interpolate(by_hand, size=(48, 64), mode="bilinear", align_corners=False)
            ours = load_hf(folder / "maskformer")(x)
            assert torch.allclose(ours, full, atol=1e-5) == agree


def test_what_oneformer_is_told_matters_and_is_fixed(folder: Path, tmp_path: Path) -> None:
    model = load_hf(folder / "oneformer")
    task = model.base.model.task
    words = list(json.loads((folder / "oneformer" / "vocab.json").read_text()))
    spelt = ["<|startoftext|>", "t", "h", "e</w>", "t", "a", "<|endoftext|>"]
    assert [words[token] for token in task[0].tolist()] == spelt
    for path in (folder / "oneformer").iterdir():
        if path.name.startswith(("config", "model")):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="OneFormer's tokenizer beside the model") as caught:
        load_hf(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_the_fingerprint_is_the_same_in_another_process(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And after passes: what the library keeps of them is none of the model."""
    model = load_hf(folder / kind)
    first, _, not_covered, _ = model_fingerprint(model)
    assert not_covered == ()
    with torch.inference_mode():
        for draws, size in ((1, (64, 64)), (3, (40, 52))):
            model(torch.rand(draws, 3, *size))
    assert model_fingerprint(model)[0] == first
    monkeypatch.setattr(fingerprint, "_PROCESS", "another")
    again = load_hf(folder / kind)
    assert model_fingerprint(again)[0] == first
    again.base.register_forward_hook(lambda module, given, output: -output)
    assert model_fingerprint(again)[0] != first


def test_another_config_has_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    """Heads of attention are neither printed by the layers nor seen in the weights' shapes."""
    for path in (folder / "maskformer").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["decoder_config"]["decoder_attention_heads"] = 4
    (tmp_path / "config.json").write_text(json.dumps(config))
    first = model_fingerprint(load_hf(folder / "maskformer"))[0]
    assert model_fingerprint(load_hf(tmp_path))[0] != first


def test_certifies_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    out = tmp_path / "out"
    command = f"certify {tmp_path / 'street.png'} --model {folder / 'mask2former'} -n 60 --tau 0.6"
    assert run([*command.split(), "-o", str(out)]) == 0
    record = json.loads((out / "results.jsonl").read_text())
    assert set(record["labels"]) == set(CLASSES)


def test_a_backbone_of_another_library_is_one_line(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "upernet-swin" / "config.json").read_text())
    config["backbone_config"] = {"model_type": "timm_backbone", "backbone": "resnet18"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = (folder / "upernet-swin" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match="expected a semantic segmentation model") as caught:
        load_hf(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.fixture
def cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the Hub that holds some-lab/tiny, and no network."""
    hub = pytest.importorskip("huggingface_hub")
    root = tmp_path / "hub" / "models--some-lab--tiny"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in (folder / "upernet-convnext").iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_model_of_the_hub_is_found_in_the_cache(cache: Path) -> None:
    loaded = load_model("hf:some-lab/tiny")
    assert (loaded.name, loaded.classes) == ("hf:some-lab/tiny", CLASSES)


@pytest.mark.parametrize("name", ["some-lab/unknown", "some-lab/tiny@other"])
def test_an_unknown_name_on_the_hub_is_one_line(cache: Path, name: str) -> None:
    with pytest.raises(InputError, match="on the Hugging Face Hub or in its cache") as caught:
        load_model(f"hf:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "tiny", "/etc", "a/b/c"])
def test_other_words_after_hf_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected hf:ORG/NAME"):
        load_model(f"hf:{name}")


def test_a_missing_package_gives_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'certiseg\[hf\]'"):
        load_hf(folder / "maskformer")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'certiseg\[hf\]'"):
        load_model("hf:some-lab/tiny")
