"""Windows (theory T17): what a label sees is its own window, by construction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.certificates.windows import Tiling
from certiseg.models.windows import Windows, windows_of


def _net(channels: int = 2, volumes: bool = False) -> nn.Module:
    torch.manual_seed(0)
    kind = nn.Conv3d if volumes else nn.Conv2d
    return kind(channels, 3, 5, padding=2).eval()


class Everything(nn.Module):
    """Global pooling: each output depends on all that the network is given."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x) + x.mean(dim=(1, 2, 3), keepdim=True)


SHAPES = [((11, 17), (4,), 3), ((11, 17), (5, 6), 0), ((8, 8), (8,), 2), ((5, 9), (16, 4), 1)]


@pytest.mark.parametrize(("shape", "size", "margin"), SHAPES)
def test_a_value_reaches_just_the_labels_whose_window_holds_it(shape, size, margin):
    model = Windows(Everything(), size, margin).eval()
    spans = model.tiling(2).spans(shape)
    for row, column in np.ndindex(shape):
        x = torch.rand(1, 2, *shape)
        x[0, 1, row, column] = torch.nan
        reached = model(x).isnan().any(dim=1)[0].numpy()
        expected = np.zeros(shape, dtype=bool)
        for rows, columns in spans:
            inside = rows.seen.start <= row < rows.seen.stop
            if inside and columns.seen.start <= column < columns.seen.stop:
                expected[rows.core, columns.core] = True
        assert np.array_equal(reached, expected)


def test_a_window_that_leaks_one_pixel_is_caught(monkeypatch):
    """Negative control: the check above finds a window one pixel larger than stated."""
    honest = Tiling((4,) * 2, 2).spans((11, 17))
    leaky = Tiling((4,) * 2, 3).spans((11, 17))
    monkeypatch.setattr(Tiling, "spans", lambda self, shape: leaky)
    model = Windows(Everything(), 4, 2).eval()
    monkeypatch.setattr(Tiling, "spans", lambda self, shape: honest)
    x = torch.rand(1, 2, 11, 17)
    rows, columns = honest[0]
    x[0, 0, rows.seen.stop, 0] = torch.nan
    assert not model(x).isnan().any(dim=1)[0][rows.core, columns.core].any()
    monkeypatch.setattr(Tiling, "spans", lambda self, shape: leaky)
    assert model(x).isnan().any(dim=1)[0][rows.core, columns.core].any()


@pytest.mark.parametrize(("shape", "size", "margin"), SHAPES)
def test_cores_tile_and_lie_in_their_windows(shape, size, margin):
    tiling = Windows(_net(), size, margin).tiling(2)
    covered = np.zeros(shape, dtype=int)
    for spans in tiling.spans(shape):
        covered[tuple(span.core for span in spans)] += 1
        for span, length in zip(spans, shape, strict=True):
            assert 0 <= span.seen.start <= span.core.start < span.core.stop <= span.seen.stop
            assert span.seen.stop <= length
            assert span.core.start - span.seen.start == min(margin, span.core.start)
            assert span.seen.stop - span.core.stop == min(margin, length - span.core.stop)
    assert (covered == 1).all()


def test_a_margin_that_holds_the_whole_reach_changes_nothing_inside():
    net, x = _net(), torch.rand(1, 2, 30, 40)
    whole, windowed = net(x), Windows(net, 10, 2)(x)
    assert torch.allclose(whole, windowed, atol=1e-6)


def test_volumes_and_labels():
    x = torch.rand(2, 1, 7, 9, 8)
    logits = Windows(_net(1, volumes=True), 4, 2)(x)
    assert tuple(logits.shape) == (2, 3, 7, 9, 8)
    labels = Windows(lambda window: (window[:, 0] > 0.5).long(), 4, 2)(x)
    assert torch.equal(labels, (x[:, 0] > 0.5).long())


def test_the_base_model_cannot_reach_past_its_window():
    seen = []
    Windows(lambda w: (seen.append(w), w.argmax(1))[1], 4, 1)(torch.rand(1, 3, 9, 9))
    assert all(window._base is None and window.is_contiguous() for window in seen)


def test_votes_record_the_windows_and_only_of_windows():
    x, noise = torch.rand(2, 12, 15), cs.Gaussian(0.25)
    windowed = cs.Windows(_net(), 5, margin=2)
    votes = cs.Smoothed(windowed, noise).vote(x, 5, seed=0)
    assert votes.source.windows == (5, 5, 2)
    certificate = cs.radius_map(cs.Smoothed(windowed, noise).vote(x, 100, seed=0), noise=noise)
    assert "whose part inside the label's own window (cores of at most 5 x 5, margin 2" in (
        certificate.statement()
    )
    assert cs.Smoothed(_net(), noise).vote(x, 5, seed=0).source.windows is None


def test_declared_binary_models_keep_their_windows():
    def probability(x):
        return x.mean(1, keepdim=True).clamp(0, 1)

    x, noise = torch.rand(2, 12, 15), cs.Gaussian(0.25)
    outside = cs.Smoothed(cs.Windows(probability, 5, 2), noise, binary="probability")
    inside = cs.Smoothed(cs.Windows(cs.Binary(probability), 5, 2), noise)
    votes = [smooth.vote(x, 20, seed=0) for smooth in (outside, inside)]
    assert votes[0].source.windows == votes[1].source.windows == (5, 5, 2)
    assert np.array_equal(votes[0].counts, votes[1].counts)


class Wider(Windows):
    """A subclass may look anywhere."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + x.mean()


def _hooked() -> Windows:
    model = Windows(_net(), 5)
    model.register_forward_hook(lambda module, args, out: out + args[0].mean())
    return model


def _replaced() -> Windows:
    model = Windows(_net(), 5)
    model.forward = lambda x: model.model(x)  # type: ignore[method-assign]
    return model


def _called_otherwise() -> Windows:
    model = Windows(_net(), 5)
    model._call_impl = lambda x: model.model(x)  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize(
    "make", [lambda: Wider(_net(), 5), _hooked, _replaced, _called_otherwise, _net]
)
def test_what_is_not_local_by_construction_is_never_said_to_be(make):
    assert windows_of(make(), (2, 12, 15)) is None


def test_with_a_hook_on_all_modules_it_is_not_said():
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, args, out: out + args[0].mean() if type(module) is Windows else None
    )
    try:
        assert windows_of(Windows(_net(), 5), (2, 12, 15)) is None
    finally:
        handle.remove()
    assert windows_of(Windows(_net(), 5), (2, 12, 15)) == (5, 5, 0)


def test_behind_something_that_sees_everything_it_is_not_said():
    inner = cs.Windows(_net(), 5, 2)
    outer = cs.Preprocess(inner, mean=(0.5, 0.5), std=(0.2, 0.2))
    votes = cs.Smoothed(outer, cs.Gaussian(0.25)).vote(torch.rand(2, 12, 15), 5, seed=0)
    assert votes.source.windows is None


def test_a_model_that_remembers_the_last_window_is_refused():
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.last = _net(), torch.zeros(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.net(x) + self.last
            self.last = 100 * x.mean()
            return out

    smooth = cs.Smoothed(cs.Windows(Remembers().eval(), 5, 2), cs.Gaussian(0.25))
    with pytest.raises(cs.InputError):
        smooth.certify(torch.rand(2, 12, 15), 100, seed=0)


def test_a_model_that_keeps_something_for_the_windows_of_one_pass_is_refused():
    kept: list[torch.Tensor] = []

    def first_decides(x: torch.Tensor) -> torch.Tensor:
        kept.append(100 * x.mean((1, 2, 3), keepdim=True))
        found = x + kept[0] * torch.tensor([1.0, -1.0])[:, None, None]
        if len(kept) == 4:
            kept.clear()  # so that passes begin and end alike
        return found

    smooth = cs.Smoothed(cs.Windows(first_decides, 5), cs.Gaussian(0.25))
    with pytest.raises(cs.InputError, match="treats each draw of a batch alone"):
        smooth.certify(torch.rand(2, 10, 10), 100, seed=0)


@pytest.mark.parametrize(
    ("size", "margin"),
    [(0, 1), (4, -1), ((4, 0), 1), ((), 1), (4.0, 1), ((4.0,), 1), (True, 1), (4, None)],
)
def test_bad_windows(size, margin):
    with pytest.raises(cs.InputError, match="expected cores of whole sizes"):
        Windows(_net(), size, margin)
    model = Windows(_net(), 4, 1)
    model.size, model.margin = size, margin
    for use in (lambda: windows_of(model, (2, 8, 8)), lambda: model(torch.rand(1, 2, 8, 8))):
        with pytest.raises(cs.InputError, match="expected cores of whole sizes"):
            use()


def test_windows_of_different_outputs_are_refused():
    def fewer(x: torch.Tensor) -> torch.Tensor:
        return x if x.shape[3] == 4 else x[:, :1]  # would be broadcast

    def halves(x: torch.Tensor) -> torch.Tensor:
        return x if x.shape[3] == 4 else x.half()

    for model in (fewer, halves):
        with pytest.raises(cs.InputError, match="one kind of output"):
            Windows(model, (9, 4))(torch.rand(2, 3, 9, 7))


def test_outputs_and_inputs_that_do_not_fit():
    with pytest.raises(cs.InputError, match="pixels of a window"):
        Windows(lambda x: x[..., ::2, ::2], 4)(torch.rand(1, 3, 8, 8))
    with pytest.raises(cs.InputError, match="windows with 2 sides"):
        Windows(_net(), (4, 4, 4))(torch.rand(1, 2, 8, 8))
    with pytest.raises(cs.InputError, match="only these have windows"):
        Windows(_net(), 4)(torch.rand(1, 3, 80))


def test_windows_larger_than_any_input_have_a_bound():
    for size, margin in ((2**31, 0), (4, 2**31)):
        with pytest.raises(cs.InputError, match="below 2\\^31"):
            Windows(_net(), size, margin)
