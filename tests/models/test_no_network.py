"""Files that name a place on the network: refused before any library sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from certiseg.errors import InputError
from certiseg.models.huggingface import load_hf
from certiseg.models.zoo.smp import load_smp
from certiseg.models.zoo.timm import load_timm

TIMM = {
    "kind": "certiseg-timm", "backbone": "hf-hub:spy/net", "num_classes": 2, "width": 8,
    "channels": 3, "classes": None, "mean": None, "std": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*given: Any, **named: Any) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr("socket.create_connection", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)


def written(folder: Path, config: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_backbone_of_timm_is_one_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the name of a timm model, got 'hf-hub:spy/net'"):
        load_timm(written(tmp_path, TIMM))


def test_an_encoder_of_smp_is_one_of_its_own(tmp_path: Path) -> None:
    config = {"_model_class": "Unet", "encoder_name": "tu-hf-hub:spy/net"}
    with pytest.raises(InputError, match="the name of a timm model, got 'tu-hf-hub:spy/net'"):
        load_smp(written(tmp_path, config))


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "spy/net"},
        {"backbone": "spy/net", "backbone_config": None, "use_timm_backbone": False},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "hf-hub:spy/net"}},
    ],
)
def test_a_backbone_of_transformers_is_described(change: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match="describes its backbone") as caught:
        load_hf(written(tmp_path, {"model_type": "upernet", **change}))
    assert "\n" not in str(caught.value)
