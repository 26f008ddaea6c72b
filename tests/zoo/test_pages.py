"""The pages on model zoos run as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[2] / "docs" / "models"


@pytest.mark.parametrize("page", ["torchvision", "segmentation-models-pytorch", "timm"])
def test_the_page_runs(page: str, place: Path) -> None:
    (place / "picture.png").rename(place / "street.png")
    text = (MODELS / f"{page}.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(snippet, names)
    assert names["cert"].labels.shape == (37, 50)
    assert names["cert"].votes.num_classes == 11
