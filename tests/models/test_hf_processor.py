"""What a Hugging Face processor does to an image is done here: the network's inputs and labels
are those of the library's own pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from certiseg.errors import InputError
from certiseg.models.hf_processor import NESTED, PLAIN, read_processor
from certiseg.models.huggingface import load_hf

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SIDE, CLASSES = 64, 4


def _kind(name: str) -> Any:
    """The form of a processor that needs no torchvision."""
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def _vit(config: Any, **more: Any) -> Any:
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    return config(num_hidden_layers=4, image_size=SIDE, patch_size=16, **small, **more)


def _swin() -> Any:
    return transformers.SwinConfig(
        image_size=SIDE, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip


def _model(name: str) -> Any:
    torch.manual_seed(0)
    labels: dict[str, Any] = {"num_labels": CLASSES}
    if name == "segformer":
        config = transformers.SegformerConfig(depths=[1] * 4, hidden_sizes=[8, 8, 16, 16], **labels)
        return transformers.SegformerForSemanticSegmentation(config)
    if name == "upernet":
        config = transformers.UperNetConfig(
            backbone_config=_swin(), hidden_size=16, auxiliary_in_channels=32, **labels
        )
        return transformers.UperNetForSemanticSegmentation(config)
    if name in ("beit", "data2vec"):
        made = {"out_indices": [1, 2, 3, 4], "use_auxiliary_head": False, **labels}
        if name == "beit":
            config = _vit(transformers.BeitConfig, **made)
            return transformers.BeitForSemanticSegmentation(config)
        config = _vit(transformers.Data2VecVisionConfig, **made)
        return transformers.Data2VecVisionForSemanticSegmentation(config)
    if name == "dpt":
        config = _vit(
            transformers.DPTConfig, backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8] * 4, fusion_hidden_size=8, use_auxiliary_head=False, **labels,
        )  # fmt: skip
        return transformers.DPTForSemanticSegmentation(config)
    if name == "mobilevit":
        config = transformers.MobileViTConfig(
            hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 16, 16, 32],
            image_size=SIDE, **labels,
        )  # fmt: skip
        return transformers.MobileViTForSemanticSegmentation(config)
    assert name == "mobilenet_v2"
    config = transformers.MobileNetV2Config(depth_multiplier=0.35, image_size=SIDE, **labels)
    return transformers.MobileNetV2ForSemanticSegmentation(config)


PROCESSORS = {
    "segformer": ("SegformerImageProcessor", {"height": SIDE, "width": SIDE}),
    "upernet": ("SegformerImageProcessor", {"height": SIDE, "width": SIDE}),
    "beit": ("BeitImageProcessor", {"height": SIDE, "width": SIDE}),
    "data2vec": ("BeitImageProcessor", {"height": SIDE, "width": SIDE}),
    "dpt": ("DPTImageProcessor", {"height": SIDE, "width": SIDE}),
    "mobilevit": ("MobileViTImageProcessor", {"shortest_edge": SIDE}),
    "mobilenet_v2": ("MobileNetV2ImageProcessor", {"shortest_edge": SIDE}),
}


@pytest.fixture(scope="module")
def image() -> Image.Image:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(low).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _x(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def _seen(model: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network inside is given, and the labels that come out."""
    seen: list[torch.Tensor] = []

    def note(module: Any, args: Any, kwargs: Any) -> None:
        seen.append(kwargs["pixel_values"] if "pixel_values" in kwargs else args[0])

    network = next(m for m in model.modules() if isinstance(m, transformers.PreTrainedModel))
    handle = network.register_forward_pre_hook(note, with_kwargs=True)
    with torch.inference_mode():
        labels = model(x).argmax(1)
    handle.remove()
    return seen[0], labels


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.slow
def test_inputs_and_labels_are_those_of_the_library(
    name: str, nested: bool, image: Image.Image, tmp_path: Path
) -> None:
    kind, size = PROCESSORS[name]
    options = {"do_center_crop": False} if hasattr(_kind(kind), "do_center_crop") else {}
    processor = _kind(kind)(size=size, **options)
    model = _model(name).eval()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    if nested:
        plain = json.loads((tmp_path / PLAIN).read_text())
        (tmp_path / NESTED).write_text(json.dumps({"image_processor": plain}))
        # What stands in the other file does not count.
        (tmp_path / PLAIN).write_text(json.dumps({**plain, "image_mean": [0.1, 0.2, 0.3]}))
    given = processor(images=image, return_tensors="pt")["pixel_values"]
    seen, labels = _seen(load_hf(tmp_path), _x(image))
    torch.testing.assert_close(seen, given, atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        output = model(pixel_values=given)
    sizes = [(SIDE, SIDE)]
    theirs = processor.post_process_semantic_segmentation(output, target_sizes=sizes)[0]
    assert (labels[0] == theirs).float().mean() > 0.999


def _folder(tmp_path: Path, name: str = "SegformerImageProcessor", **settings: Any) -> Path:
    (tmp_path / PLAIN).write_text(json.dumps({"image_processor_type": name, **settings}))
    return tmp_path


def test_what_the_file_leaves_out_is_what_the_class_takes(tmp_path: Path) -> None:
    found = read_processor(_folder(tmp_path), transformers)
    assert found.mean == (0.485, 0.456, 0.406)
    assert found.size == (512, 512)
    assert not found.reverse
    found = read_processor(_folder(tmp_path, "MobileViTImageProcessor"), transformers)
    assert (found.mean, found.reverse) == (None, True)


def test_a_step_that_the_class_does_not_take_is_not_taken(tmp_path: Path) -> None:
    said = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    found = read_processor(_folder(tmp_path, "MobileViTImageProcessor", **said), transformers)
    assert found.mean is None


def test_turned_off(tmp_path: Path) -> None:
    found = read_processor(_folder(tmp_path, do_normalize=False, do_resize=False), transformers)
    assert (found.mean, found.std, found.size, found.notes) == (None, None, None, ())


def test_old_names_and_fast_ones(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "SegformerImageProcessorFast")
    assert read_processor(folder, transformers).mean == (0.485, 0.456, 0.406)
    old = {"feature_extractor_type": "BeitFeatureExtractor"}
    (tmp_path / PLAIN).write_text(json.dumps(old))
    assert read_processor(folder, transformers).mean == (0.5, 0.5, 0.5)


def test_geometry_labels_and_absence_are_said(tmp_path: Path) -> None:
    (note,) = read_processor(tmp_path, transformers).notes
    assert "no image processor beside the model" in note
    said = {"size": {"shortest_edge": 640}, "do_center_crop": True, "do_reduce_labels": True}
    resized, reduced = read_processor(
        _folder(tmp_path, "MobileViTImageProcessor", **said), transformers
    ).notes
    assert "resizes to shortest_edge 640, cuts out the centre" in resized
    assert "id k + 1" in reduced


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"do_normalize": true, "do', "expected the image processor of the model"),
        ("[1]", "expected the settings of an image processor"),
        ("{}", "expected an image_processor_type"),
        ('{"image_processor_type": "NoSuchImageProcessor"}', "NoSuchImageProcessor"),
        ('{"image_processor_type": "os.path"}', "expected an image_processor_type"),
        ('{"image_processor_type": "AutoModel"}', "expected an image_processor_type"),
        (
            '{"image_processor_type": "SegformerImageProcessor", "rescale_factor": 0.0078}',
            "rescales 8-bit pixels",
        ),
        (
            '{"image_processor_type": "SegformerImageProcessor", "do_rescale": false}',
            "rescales 8-bit pixels",
        ),
        (
            '{"image_processor_type": "SegformerImageProcessor", "image_mean": ["a", 1, 2]}',
            "expected image_mean as a number",
        ),
        (
            '{"image_processor_type": "EomtImageProcessor", "do_split_image": true}',
            "do_split_image",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / PLAIN).write_text(content)
    with pytest.raises(InputError, match=words):
        read_processor(tmp_path, transformers)


def test_the_network_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OneFormer's own constructor would fetch its class file."""
    import socket

    def refuse(*given: Any, **more: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    said = {"repo_path": "some/where", "class_info_file": "classes.json"}
    found = read_processor(_folder(tmp_path, "OneFormerImageProcessor", **said), transformers)
    assert found.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("name", ["Mask2Former", "MaskFormer", "OneFormer", "Eomt"])
def test_values_of_mask_classification_are_those_of_the_library(
    name: str, image: Image.Image, tmp_path: Path
) -> None:
    """Their pixels, without the resizing and padding that a note speaks of."""
    own: dict[str, Any] = {}
    if name == "OneFormer":
        (tmp_path / "classes.json").write_text('{"0": {"isthing": 0, "name": "road"}}')
        own = {"repo_path": str(tmp_path), "class_info_file": "classes.json"}
    given = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.3, 0.2, 0.1], "do_resize": False}
    processor = _kind(f"{name}ImageProcessor")(**given, **own)
    processor.save_pretrained(tmp_path)
    found = read_processor(tmp_path, transformers)
    options = {"task_inputs": ["semantic"]} if name == "OneFormer" else {}
    theirs = processor(images=[image], return_tensors="pt", **options)["pixel_values"]
    mean, std = (torch.tensor(each)[:, None, None] for each in (found.mean, found.std))
    torch.testing.assert_close((_x(image) - mean) / std, theirs.float(), atol=1e-5, rtol=1e-5)
