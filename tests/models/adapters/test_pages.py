"""The pages "certify your own model" run as they stand, with the real libraries."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.verify import verify

PAGES = Path(__file__).resolve().parents[3] / "docs" / "models"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "packages"),
    [
        ("huggingface", ("transformers",)),
        ("monai", ("monai",)),
        ("onnx", ("onnx", "onnxruntime", "onnxscript")),
        ("torch-export", ()),
    ],
)
def test_the_page_certifies(
    page: str, packages: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in packages:
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("street.png")
    torch.manual_seed(0)
    names: dict[str, object] = {}
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert snippets
    for snippet in snippets:
        exec(snippet, names)
    certificate = names["cert"]
    assert isinstance(certificate, Certificate)
    assert verify(certificate) is None
