"""OnGrid decides on cells of pixels: averages by hand, other models' own grids, what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.models.grid import OnGrid
from certiseg.models.preprocess import Preprocess
from certiseg.sampling.base_model import first_parameter, known_classes
from certiseg.sampling.checks import check_evaluation_mode
from certiseg.sampling.fingerprint import model_fingerprint

X = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def _same(x: torch.Tensor) -> torch.Tensor:
    return x


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_full_size_logits_are_averaged_over_cells(stride):
    cells = X.unfold(2, stride, stride).unfold(3, stride, stride).mean(dim=(-2, -1))
    torch.testing.assert_close(OnGrid(_same, stride)(X), cells)


@pytest.mark.parametrize(("size", "grid"), [((9, 13), (3, 4)), ((3, 5), (1, 2)), ((1, 1), (1, 1))])
def test_sizes_that_the_stride_does_not_divide(size, grid):
    """Each cell averages all its pixels, ceil(a H / h) up to ceil((a + 1) H / h)."""
    x = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(1))
    given = OnGrid(_same, 4)(x)
    assert given.shape == (1, 2, *grid)
    first = [slice(0, -(-side // cells)) for side, cells in zip(size, grid, strict=True)]
    torch.testing.assert_close(given[0, :, 0, 0], x[0, :, first[0], first[1]].mean(dim=(1, 2)))


def test_the_models_own_grid_is_taken_as_it_is():
    """As Hugging Face gives it: logits at a quarter of the size; and labels there."""
    small = torch.arange(2 * 5 * 2 * 3, dtype=torch.float32).reshape(2, 5, 2, 3)
    for output in (small, SimpleNamespace(logits=small), {"out": small}, small.argmax(1)):
        wanted = output if isinstance(output, torch.Tensor) else small
        assert OnGrid(lambda x, output=output: output, 4)(X) is wanted


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        (torch.zeros(2, 5, 4, 6), ["(8, 12)", "(2, 3)", "stride 4", "(4, 6)"]),
        (torch.zeros(2, 8, 12, dtype=torch.int64), ["integer labels", "return the logits"]),
        (torch.zeros(2, 4, 6, dtype=torch.int64), ["(4, 6)"]),
        (torch.zeros(2, 5), ["got an output of size ()"]),
    ],
)
def test_outputs_that_do_not_fit(output, parts):
    with pytest.raises(cs.InputError) as info:
        OnGrid(lambda x: output, 4)(X)
    assert "\n" not in str(info.value)
    for part in parts:
        assert part in str(info.value)


@pytest.mark.parametrize("stride", [0, -4, 2.0, True, "4"])
def test_bad_stride(stride):
    with pytest.raises(cs.InputError, match="whole stride of at least 1"):
        OnGrid(_same, stride)


def test_only_images_have_cells():
    with pytest.raises(cs.InputError, match="images"):
        OnGrid(_same, 2)(torch.zeros(2, 3, 4))


def test_what_the_model_says_about_itself_stays():
    net = nn.Conv2d(3, 5, 1).eval()
    net.num_classes, net.model_name = 5, "certiseg:net"
    wrapped = OnGrid(Preprocess(net), 4)
    assert first_parameter(wrapped) is net.weight
    assert known_classes(OnGrid(net, 4)) == 5
    assert known_classes(OnGrid(SimpleHolder(), 4)) == 7
    assert known_classes(wrapped) is None
    assert model_fingerprint(OnGrid(net, 4))[1] == "certiseg:net on cells of 4 x 4"
    assert model_fingerprint(wrapped)[1] == "Preprocess on cells of 4 x 4"


class SimpleHolder:
    """A model that is no module and tells its classes as Hugging Face does."""

    config = SimpleNamespace(num_labels=7)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_the_stride_is_part_of_the_fingerprint():
    """Votes of two strides are votes of two models."""
    net = nn.Conv2d(3, 5, 1).eval()
    prints = {model_fingerprint(m)[0] for m in (net, OnGrid(net, 2), OnGrid(net, 4))}
    assert len(prints) == 3
    assert model_fingerprint(OnGrid(net, 4))[0] == model_fingerprint(OnGrid(net, 4))[0]


def test_training_mode_is_found_inside():
    with pytest.raises(cs.InputError, match="evaluation mode"):
        check_evaluation_mode(OnGrid(nn.Sequential(nn.BatchNorm2d(3)), 2))
