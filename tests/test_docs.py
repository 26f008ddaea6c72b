"""The docs name only what exists: links, files, tests, functions; and their snippets run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify
from certiseg.cli.main import run

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# A target has a dot or a slash: p[i,c](x) in a formula is no link.
LINK = re.compile(r"\]\(([^)#\s]*[./][^)#\s]*)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"^(?:src|tests|docs|benchmarks)/[\w./-]+\.\w+$")


def _broken_links(page: Path) -> list[str]:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target and "@" not in target]
    return [target for target in local if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert _broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_named_in_code_spans_exist(page):
    spans = {span.split("::")[0] for span in CODE.findall(page.read_text(encoding="utf-8"))}
    missing = sorted(span for span in spans if FILE.match(span) and not (ROOT / span).exists())
    assert missing == []


def test_a_broken_link_is_caught(tmp_path):
    """Negative control."""
    page = tmp_path / "page.md"
    page.write_text("see [this](nowhere.md) and [that](page.md#part)")
    assert _broken_links(page) == ["nowhere.md"]


def test_tests_named_in_the_theory_exist():
    """Every claim's test and negative control is there, under the name the page gives."""
    text = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(test_\w+)\b(?!\.py)", text))
    source = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    assert named
    assert sorted(name for name in named if f"def {name}(" not in source) == []


def _snippets(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_every_method_of_the_methods_page_runs():
    """In order and in one namespace, as a reader would type them."""
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, 19, 3, padding=1).eval()
    names: dict[str, object] = {"model": model, "x": torch.rand(3, 24, 32), "torch": torch}
    snippets = _snippets("docs/methods.md")
    assert len(snippets) >= 7
    for snippet in snippets:
        exec(snippet, names)


def test_the_page_on_models_that_are_not_torch_runs(tmp_path, monkeypatch):
    """Its forest certifies pixels, in Python and, from the file, on the command line."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (written,) = _snippets("docs/models/not-torch.md")
    Path("mymodels.py").write_text(written)
    Image.fromarray(np.full((8, 9, 3), 180, np.uint8)).save("street.png")
    command = "certify street.png --model python:mymodels.py:build -o out -n 60 --seed 1"
    assert run(command.split()) == 0
    module = sys.modules.pop("mymodels")
    assert module.cert.labels.shape == (16, 20)
    source = Certificate.load("out/street.cert.npz").votes.source
    assert list(source.code) == ["mymodels.py"]
    assert source.not_covered == ()


@pytest.mark.slow
def test_the_page_on_point_clouds_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    drawn, written, own, shipped = _snippets("docs/point-clouds.md")
    exec(drawn, {})
    assert Image.open("cloud.png").size == (440, 440)
    exec(written, {})
    torch.manual_seed(0)
    names: dict[str, object] = {"model": torch.nn.Conv1d(3, 4, 1).eval()}
    exec(own, names)
    assert "rotation of the input around any axis" in capsys.readouterr().out
    assert verify(Certificate.load("chair.cert.npz")) is None
    exec(shipped, names)
    # Lamp 0 of the test split: 96.7 % of its points are certified.
    assert names["cert"].abstention < 0.15


def test_the_page_on_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for snippet in _snippets("docs/python.md"):
        exec(snippet, names)
    assert "certified, n = 60" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.cert.npz"))) == 4


@pytest.mark.slow
def test_the_page_on_scale_runs(tmp_path, monkeypatch, capsys):
    """Draws of one input in parts; then a whole run on two processes, which goes on at once."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    for folder, array in (("images", pixels), ("labels", pixels[..., 0] % 3)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "one.png")
    build = (
        "def build():\n    torch.manual_seed(0)\n    return torch.nn.Conv2d(3, 3, 3, padding=1)\n"
    )
    (tmp_path / "mymodels.py").write_text(f"import torch\n\n\n{build}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    model, x = torch.nn.Conv2d(3, 4, 3, padding=1).eval(), torch.rand(3, 24, 32)
    parts, run = _snippets("docs/scale.md")
    names: dict[str, object] = {"model": model, "x": x}
    exec(parts, names)
    exec(run, names)
    assert 0 <= float(capsys.readouterr().out) <= 1


def test_the_first_ten_lines_run_and_the_file_page_recomputes_them(tmp_path, monkeypatch, capsys):
    """README's snippet on a made-up picture; then docs/certificate-file.md on what it saved."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("street.png")
    torch.manual_seed(0)
    names: dict[str, object] = {"MyNet": lambda: torch.nn.Conv2d(3, 4, 3, padding=1)}
    exec(_snippets("README.md")[0], names)
    assert "With confidence 99.9%" in capsys.readouterr().out
    recompute, replay = _snippets("docs/certificate-file.md")[:2]
    exec(recompute, {})
    exec(replay, {"model": names["model"], "x": names["read_image"]("street.png")})
    assert float(capsys.readouterr().out) == 0.0


def test_snippet_on_attacks():
    for snippet in _snippets("docs/attacks.md"):
        exec(snippet, {})
