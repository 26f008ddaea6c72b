"""Images and masks as people have them, through certify, evaluate and train."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Call = Callable[..., Any]
BINARY = """
import torch


def red():
    \"\"\"Class 1 where red is above one half.\"\"\"
    return lambda x: torch.cat([0.5 - x[:, :1], x[:, :1] - 0.5], 1)


class Red(torch.nn.Module):
    def forward(self, x):
        return red()(x)


def any_size():
    return Red()


def quarters():
    \"\"\"Four grey levels, of one channel.\"\"\"
    levels = torch.tensor([0, 85, 170, 255]).reshape(1, 4, 1, 1) / 255
    return lambda x: -(x[:, :1] - levels).abs()
"""
MODEL = ("--model", "python:binary:red", "--num-classes", 2, "-n", 60, "--sigma", 0.1)
FOLDERS = ("--images", "images", "--labels", "labels")
OUT = ("-o", "out", "--no-report")


@pytest.fixture
def masks(workplace: Path) -> Path:
    """One image, red in its right half, and a mask of 0 and 255 that is wrong in one column of
    twenty; a model that labels by red."""
    (workplace / "binary.py").write_text(BINARY)
    for folder in ("images", "labels"):
        (workplace / folder).mkdir()
    image = np.zeros((10, 20, 3), dtype=np.uint8)
    image[:, 10:, 0] = 255
    Image.fromarray(image).save("images/a.png")
    mask = image[..., 0].copy()
    mask[:, 9] = 255
    Image.fromarray(mask).save("labels/a.png")
    return workplace


def results(folder: Path = Path("out")) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def test_binary_masks_give_the_figures_of_both_classes(masks: Path, call: Call) -> None:
    done = call("evaluate", *FOLDERS, *MODEL, *OUT, "--mask", "binary")
    assert done.code == 0, done.err
    assert "note" not in done.err
    found = results()
    clean = found["rows"][0]
    assert clean["accuracy"] == 0.95
    assert clean["miou"] == pytest.approx((90 / 100 + 100 / 110) / 2)
    assert found["classes_without_truth"] == []
    assert json.loads(Path("out/run.json").read_text())["reading"]["mask"] == "binary"


def test_without_it_both_notes_say_what_the_figures_cannot(masks: Path, call: Call) -> None:
    done = call("evaluate", *FOLDERS, *MODEL, *OUT)
    assert done.code == 0, done.err
    assert (
        "note: no pixel in 1 sample of images is labelled as class 1 (1 of 2 classes)" in done.err
    )
    assert "all labels of images are 0 or ignored (255); if 255 is the foreground" in done.err
    assert results()["classes_without_truth"] == ["class 1"]


def test_by_an_explicit_map_in_yaml(masks: Path, call: Call) -> None:
    head = "name: m\nclasses: [ground, object]\nsplits: {val: {images: images, labels: labels}}\n"
    figures = []
    for line in ("label_map: {0: ground, 255: object}", "mask: binary"):
        Path("m.yaml").write_text(f"{head}{line}\n")
        done = call("evaluate", "--data", "m.yaml", *MODEL, *OUT, "--seed", 1, "--overwrite")
        assert done.code == 0, done.err
        figures.append([{**row, "seconds": 0} for row in results()["rows"]])
    assert figures[0] == figures[1]
    assert figures[0][0]["accuracy"] == 0.95


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_all_ignored_is_said_before_the_first_draw(command: str, masks: Path, call: Call) -> None:
    Image.new("L", (20, 10), 255).save("labels/a.png")
    done = call("evaluate", *FOLDERS, *MODEL, *OUT) if command == "evaluate" else train(call)
    (line,) = done.err.splitlines()
    assert "that belong to a class, got ignored ones only in 1 sample" in line
    assert "--mask binary, or label_map" in line
    assert done.code == 2
    assert not (masks / "out" / "results.json").exists()


def train(call: Call, *options: object) -> Any:
    val = ("--val-images", "images", "--val-labels", "labels")
    small = ("--epochs", 1, "--widths", "4,8", "--blocks", "1,1", "--device", "cpu")
    own = ("--data", "folder", *FOLDERS, *val, "--classes", 2)
    return call("train", *own, *small, "--sigma", 0.1, "-o", "out", *options)


def test_training_notes_a_class_without_labels(masks: Path, call: Call) -> None:
    done = train(call)
    assert done.code == 0, done.err
    assert "note: train: no pixel in 1 sample of images is labelled as class 1" in done.err
    assert "note: val: all labels of images are 0 or ignored" in done.err
    card = json.loads(Path("out/card.json").read_text())
    assert card["data"]["without_labels"] == ["class 1"]


def test_training_on_binary_masks(masks: Path, call: Call) -> None:
    done = train(call, "--mask", "binary", "--convert", "--exif", "ignore")
    assert done.code == 0, done.err
    assert "note" not in done.err
    card = json.loads(Path("out/card.json").read_text())
    assert card["data"]["without_labels"] == []
    assert card["data"]["reading"] == {
        "exif": "ignore",
        "convert": True,
        "window": None,
        "window_percentiles": False,
        "mask": "binary",
    }
    assert "--exif ignore --convert --channels 3 --mask binary" in card["training"]["command"]


def test_exif_is_noted_or_applied(masks: Path, call: Call) -> None:
    """Orientation 3: a half turn, after which image and mask agree but for the wrong column."""
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open("images/a.png") as image:
        image.rotate(180).save("images/a.png", exif=exif)
    options = ("evaluate", *FOLDERS, *MODEL, *OUT, "--mask", "binary", "--overwrite")
    done = call(*options)
    assert "images/a.png: its EXIF orientation 3 is not applied" in done.err
    assert results()["rows"][0]["accuracy"] == 0.05
    done = call(*options, "--exif", "ignore")
    assert "EXIF" not in done.err
    done = call(*options, "--exif", "apply")
    assert "EXIF" not in done.err
    assert results()["rows"][0]["accuracy"] == 0.95
    assert json.loads(Path("out/run.json").read_text())["reading"]["exif"] == "apply"


def test_a_run_is_not_resumed_with_files_read_otherwise(masks: Path, call: Call) -> None:
    assert call("evaluate", *FOLDERS, *MODEL, *OUT, "--mask", "binary").code == 0
    done = call("evaluate", *FOLDERS, *MODEL, *OUT, "--mask", "binary", "--convert", "--resume")
    assert done.code == 2, done.err


def test_options_of_folders_do_not_go_with_a_data_set(masks: Path, call: Call) -> None:
    for option in (("--mask", "binary"), ("--exif", "apply"), ("--convert",)):
        done = call("evaluate", "--data", "m.yaml", *MODEL, *OUT, *option)
        assert done.is_one_line_error(
            "--mask, --exif, --convert and --window with --images", "m.yaml"
        )
        done = call("train", "--data", "m.yaml", "--sigma", 0.1, "-o", "out", *option)
        assert done.is_one_line_error("--mask, --exif and --convert with --data folder", "m.yaml")


CERTIFY = ("certify", *MODEL, "-o", "out")


def record(name: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    return next(line for line in lines if line["name"] == name)


def test_certify_records_how_a_file_was_read(masks: Path, call: Call) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open("images/a.png") as image:
        image.convert("RGBA").save("turned.png", exif=exif)
    assert call(*CERTIFY, "turned.png").is_one_line_error("got RGBA", "--convert")
    done = call(*CERTIFY, "turned.png", "--convert")
    assert "note: turned.png: its EXIF orientation 6 is not applied" in done.err
    assert record("turned")["size"] == [10, 20]
    done = call(*CERTIFY, "turned.png", "--convert", "--exif", "apply", "--overwrite")
    assert "EXIF" not in done.err
    found = record("turned")
    assert (found["size"], found["exif"], found["exif_orientation"]) == ([20, 10], "apply", 6)
    assert (found["converted"], found["window"]) == ("RGBA to RGB", None)


def test_certify_16_bit_with_a_window(masks: Path, call: Call) -> None:
    """Four levels of 12 bits, as scanners write them; without noise to speak of all are found."""
    levels = np.repeat(np.array([[0, 1365, 2730, 4095]], dtype=np.uint16), 6, axis=0)
    Image.fromarray(levels).save("scan.tif")
    own = ("certify", "scan.tif", "--model", "python:binary:quarters", "--channels", 1)
    own = (*own, "--sigma", 0.01, "-o", "out")
    assert call(*own).is_one_line_error("got 16-bit grey", "--window LOW HIGH")
    done = call(*own, "--window", 0, 4095)
    assert done.code == 0, done.err
    found = record("scan")
    assert found["labels"] == {f"class {label}": 6 for label in range(4)}
    assert (found["window"], found["clipped"]) == ([0, 4095], 0)


def test_a_folder_or_a_pattern_stands_for_its_images(masks: Path, call: Call) -> None:
    for name in ("B.PNG", "a.png", ".hidden.png", "._a.png", "c.webp"):
        Image.new("RGB", (8, 8), (255, 0, 0)).save(masks / "labels" / name)
    (masks / "labels" / "notes.txt").write_text("no image")
    (masks / "labels" / ".ipynb_checkpoints").mkdir()
    done = call(*CERTIFY, "labels", "--json")
    assert done.code == 0, done.err
    assert [json.loads(line)["name"] for line in done.out.splitlines()] == ["B", "a", "c"]
    done = call(*CERTIFY, "labels/*.png", "--json", "--overwrite")
    assert [json.loads(line)["name"] for line in done.out.splitlines()] == ["a"]
    done = call(*CERTIFY, "labels/**/*.webp", "bands.png", "--json", "--overwrite")
    assert [json.loads(line)["name"] for line in done.out.splitlines()] == ["c", "bands"]


def test_a_folder_or_a_pattern_without_images(masks: Path, call: Call) -> None:
    (masks / "empty").mkdir()
    (masks / "empty" / ".a.png").write_bytes(b"")
    words = ("expected a folder with images (.png, .jpg", "got none")
    assert call(*CERTIFY, "empty").is_one_line_error(*words)
    assert call(*CERTIFY, "empty/*.png").is_one_line_error("files that match this pattern")
    assert call(*CERTIFY, "none").is_one_line_error("No such file")
    # A name with brackets is a name where such a file is there.
    Image.new("RGB", (8, 8), (255, 0, 0)).save("[ab].png")
    assert call(*CERTIFY, "[ab].png").code == 0


def test_names_from_outside_are_literal_in_every_line(masks: Path, call: Call) -> None:
    """As rich would read it, the model's name has a face in it and the file's a bold part."""
    name = "[bold]:selfie:[b]"
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open("images/a.png") as image:
        image.save(f"{name}.png", exif=exif)
    for command in (
        ("certify", f"{name}.png", *MODEL[2:], "--model", "python:binary:any_size", "-o", name),
        ("verify", f"{name}/{name}.cert.npz"),
        ("verify", f"{name}.png"),
        ("certify", f"{name}.txt", *MODEL, "-o", "other"),
        ("plan", "--size", "8x8", "-o", f"{name}-plan"),
    ):
        done = call(*command)
        printed = done.out + done.err
        assert name in printed, command
        assert "\N{SELFIE}" not in printed
        assert "python:binary:any_size" in printed or f"{name}.png" not in command or done.code
    Path("images").rename(f"{name}s")
    Path("classes.yaml").write_text(
        f"name: '{name}'\nclasses: ['{name}', ':selfie:']\nmask: binary\n"
        f"splits: {{val: {{images: '{name}s', labels: labels}}}}\n"
    )
    Image.new("L", (20, 10)).save("labels/a.png")
    done = call("evaluate", "--data", "classes.yaml", *MODEL, *OUT)
    assert done.code == 0, done.err
    assert "is labelled as :selfie: (1 of 2" in done.err
    assert f"{name}: 1 image" in done.out
