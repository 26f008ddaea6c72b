"""Checkpoints in the published layout: what loads, and one line for what does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from certiseg.datasets.shapenet import shapenet_card
from certiseg.errors import InputError
from certiseg.models.pointnet.published import from_state, load_published
from plain_pointnet import PlainPointNet, filled

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return filled(PlainPointNet(extra=3), seed=1).state_dict()


def test_a_checkpoint_loads_whole(state: State, tmp_path: Path) -> None:
    """As the published training writes it: counters, NumPy numbers, the optimiser's state."""
    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2)).sum().backward()
    optimiser.step()
    content = {
        "epoch": 250,
        "train_acc": np.mean([0.9, 0.95]),
        "class_avg_iou": np.float64(0.82),
        "model_state_dict": state,
        "optimizer_state_dict": optimiser.state_dict(),
    }
    torch.save(content, tmp_path / "best_model.pth")
    network = load_published(tmp_path / "best_model.pth")
    assert not network.training
    assert (network.plan.channels, network.plan.categories, network.num_classes) == (6, 16, 50)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_weights_alone_and_weights_of_several_gpus_load(state: State) -> None:
    wrapped = {f"module.{name}": value for name, value in state.items()}
    for content in (state, wrapped, {"model_state_dict": wrapped}):
        loaded = from_state(content, "x").state_dict()
        assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_without_normals_and_of_other_classes() -> None:
    plan = from_state(PlainPointNet(num_classes=7).state_dict(), "x").plan
    assert (plan.channels, plan.categories, plan.num_classes) == (3, 16, 7)


def test_categories_are_in_the_order_of_the_published_vector() -> None:
    """Golden: the order and the first labels of seg_classes in the published test script."""
    parts = shapenet_card(6).parts
    assert parts is not None
    assert list(parts) == sorted(parts)
    firsts = [labels[0] for labels in parts.values()]
    assert firsts == [0, 4, 6, 8, 12, 16, 19, 22, 24, 28, 30, 36, 38, 41, 44, 47]


def _without(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("fp2.mlp_bns.1")}


def _with(state: State) -> State:
    return {**state, "sa4.weight": torch.zeros(1)}


def _reshaped(state: State) -> State:
    return {**state, "conv1.weight": torch.zeros(64, 128, 1)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without, r"4 missing \(fp2.mlp_bns.1.weight, .*, \.\.\.\)"),
        (_with, r"1 unknown \(sa4.weight\)"),
        (_reshaped, r"conv1.weight \(64, 128, 1\) instead of \(128, 128, 1\)"),
        (lambda state: {"conv1.weight": torch.zeros(1)}, "none named sa1.conv_blocks"),
        (lambda state: [1, 2], "weights by name, got list"),
        (lambda state: {"model_state_dict": {"a": 1}}, "weights by name"),
        (
            lambda state: {**state, "sa1.conv_blocks.0.0.weight": torch.zeros(32, 7, 1, 1)},
            "3 or 6 channels, got 4",
        ),
    ],
)
def test_other_weights_are_named_in_one_line(
    state: State, change: Callable[[State], object], words: str
) -> None:
    with pytest.raises(InputError, match=words) as error:
        from_state(change(state), "x.pth")
    assert "\n" not in str(error.value)


class _Runs:
    """Unpickled without care, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return (Path.touch, (self.path,))


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"model_state_dict": _Runs(tmp_path / "ran")}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match="weights alone") as error:
        load_published(tmp_path / "bad.pth")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()
    # Negative control: the careless way would have run it.
    torch.load(tmp_path / "bad.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_published(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(InputError, match="weights alone, got Weights only load failed; save"):
        load_published(tmp_path / "text.pth")
