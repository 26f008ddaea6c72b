"""Declared binary models: what is certified is what thresholding the noisy passes gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import certiseg as cs
from certiseg.binary import BinaryOutput
from certiseg.certificates.commitment import fixed
from certiseg.errors import Hint
from certiseg.models import OnGrid, Preprocess, Scales
from certiseg.models.denoised import Denoised
from certiseg.sampling.fingerprint import model_fingerprint
from certiseg.stats.pvalues import min_trials

NOISE = cs.Gaussian(0.25)
SEED, DRAWS = 7, 80


class Net(nn.Module):
    """`channels` channels, each about as often above as below its middle."""

    def __init__(self, channels: int = 1, *, sigmoid: bool = True, dimensions: int = 2) -> None:
        super().__init__()
        torch.manual_seed(channels)
        self.conv = (nn.Conv2d, nn.Conv3d)[dimensions - 2](3, channels, 3, padding=1)
        self.sigmoid = sigmoid
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x)
        z = 4 * (z - z.flatten(2).mean(2)[(..., *[None] * (x.ndim - 2))])
        return z.sigmoid() if self.sigmoid else z


def image(*size: int) -> Tensor:
    coarse = torch.rand((1, 3, *(3 for _ in size)), generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=size, mode="nearest")[0]


X = image(12, 16)


def expected_counts(decide: Callable[[Tensor], Tensor], x: Tensor = X) -> Any:
    """Votes (*out, 2) of the same draws, passed one by one; decide: a batch of one to bools."""
    smooth = cs.Smoothed(lambda batch: batch[:, :2], NOISE)
    with torch.inference_mode():
        ones = sum(
            decide(smooth.noisy(x, seed=SEED, draw=draw)[None])[0].numpy().astype(np.int64)
            for draw in range(DRAWS)
        )
    return np.stack([DRAWS - ones, ones], axis=-1)


def votes_of(model: Any, x: Tensor = X, **options: Any) -> Any:
    return cs.Smoothed(model, NOISE, **options).vote(x, DRAWS, seed=SEED).counts


@pytest.mark.parametrize("threshold", [0.5, 0.3])
@pytest.mark.parametrize("output", ["probability", "logit"])
def test_votes_are_those_of_the_threshold(output: Any, threshold: float) -> None:
    net = Net(sigmoid=output == "probability")
    wanted = expected_counts(
        lambda batch: (net(batch) if net.sigmoid else net(batch).sigmoid())[:, 0] > threshold
    )
    assert 0 < wanted[..., 1].mean() < DRAWS
    assert np.array_equal(votes_of(cs.Binary(net, output, threshold)), wanted)
    assert np.array_equal(votes_of(net, binary=f"{output}:{threshold}"), wanted)
    # A function, with NumPy inside, and without an axis for the channel.
    bare = cs.Binary(lambda batch: net(batch)[:, 0].numpy(), output, threshold)
    assert np.array_equal(votes_of(bare), wanted)


def test_a_single_channel_that_is_not_declared_is_refused_everywhere() -> None:
    """In Python too, and with the advice that works for both outputs."""
    for sigmoid in (True, False):
        net = Net(sigmoid=sigmoid)
        smooth = cs.Smoothed(net, NOISE)
        for call in (
            lambda smooth=smooth: smooth.vote(X, 4),
            lambda smooth=smooth: smooth.certify(X, 60),
            lambda smooth=smooth: smooth.certify_sequentially(X, 200),
            lambda smooth=smooth: smooth.source(X).sizes(),
            lambda smooth=smooth: smooth.source(X).select(2),
            lambda smooth=smooth: smooth.predict_clean(X),
            lambda smooth=smooth: smooth.predict_once(X),
            lambda smooth=smooth: smooth.vote_joint(X, np.zeros((12, 16), int), 4),
            lambda net=net: cs.Smoothed(net, NOISE, num_classes=2).vote(X, 4),
            lambda net=net: cs.Smoothed(Preprocess(net, scale=0.5), NOISE).vote(X, 4),
            lambda net=net: cs.Smoothed(OnGrid(net, 4), NOISE, output_grid=True).vote(X, 4),
        ):
            with pytest.raises(cs.InputError, match="binary='probability' after a sigmoid"):
                call()
        advised = "probability" if sigmoid else "logit"
        labels = cs.Smoothed(net, NOISE, binary=advised).certify(X, DRAWS, tau=0.6).labels
        assert {*np.unique(labels)} == {-1, 0, 1}


def test_one_class_is_no_number_of_classes() -> None:
    with pytest.raises(cs.InputError, match=r"num_classes >= 2.*binary='probability'"):
        cs.Smoothed(Net(), NOISE, num_classes=1)
    net = Net()
    net.num_classes = 1  # as many networks say of themselves
    assert votes_of(net, binary="probability").shape == (12, 16, 2)
    with pytest.raises(cs.InputError, match="declare"):
        votes_of(net)


def test_a_wrong_declaration_of_logits_is_refused() -> None:
    with pytest.raises(cs.InputError, match="binary='logit'"):
        votes_of(Net(sigmoid=False), binary="probability")


def test_logits_that_look_like_probabilities_are_hinted_at() -> None:
    with pytest.warns(Hint, match="declare binary='probability'"):
        votes_of(Net(), binary="logit")
    votes_of(Net(sigmoid=False), binary="logit")  # warnings are errors in tests


def test_it_holds_inside_preprocessing_and_around_it() -> None:
    net = Net()
    around = cs.Binary(Preprocess(net, mean=[0.5], std=[0.5], scale=0.5))
    wanted = expected_counts(lambda b: Preprocess(net, [0.5], [0.5], scale=0.5)(b)[:, 0] > 0.5)
    inside = Preprocess(cs.Binary(net), mean=[0.5], std=[0.5], scale=0.5)
    for model in (around, inside):
        assert np.array_equal(votes_of(model), wanted)
    assert inside.binary == BinaryOutput("probability")


def test_cells_of_a_grid_average_the_channels_own_values() -> None:
    net = Net(sigmoid=False)
    wanted = expected_counts(lambda b: F.adaptive_avg_pool2d(net(b), (3, 4))[:, 0] > 0)
    for model in (cs.Binary(OnGrid(net, 4), "logit"), OnGrid(cs.Binary(net, "logit"), 4)):
        assert np.array_equal(votes_of(model, output_grid=True), wanted)


def test_behind_a_denoiser() -> None:
    net, halve = Net(), (lambda x: x / 2)
    wanted = expected_counts(lambda b: net(b / 2)[:, 0] > 0.5)
    for model in (Denoised(halve, cs.Binary(net)), cs.Binary(Denoised(halve, net))):
        assert np.array_equal(votes_of(model), wanted)


@pytest.mark.parametrize("output", ["probability", "logit"])
@pytest.mark.parametrize("scales", [(1.0,), (0.5,), (0.5, 1.0)])
def test_scales_average_probabilities(output: Any, scales: tuple[float, ...]) -> None:
    net = Net(sigmoid=output == "probability")

    def likely(batch: Tensor) -> Tensor:
        found = []
        for scale in scales:
            size = (round(12 * scale), round(16 * scale))
            small = F.interpolate(batch, size=size, mode="bilinear") if scale != 1 else batch
            for side in (small, small.flip(3)):
                p = net(side) if net.sigmoid else net(side).sigmoid()
                p = p if side is small else p.flip(3)
                found.append(F.interpolate(p, size=(12, 16), mode="bilinear") if scale != 1 else p)
        return torch.stack(found).mean(0)

    counts = votes_of(Scales(cs.Binary(net, output, 0.45), scales, flip=True))
    wanted = expected_counts(lambda batch: likely(batch)[:, 0] > 0.45)
    # Sums in another order: last bits.
    assert np.abs(counts - wanted).max() <= 1
    assert (counts != wanted).mean() < 0.01


def test_scales_refuse_a_channel_that_they_cannot_read() -> None:
    for output in ("probability", "logit"):
        model = cs.Binary(Scales(Net(sigmoid=output == "probability"), (0.5, 1.0)), output)
        with pytest.raises(cs.InputError, match=r"Scales\(certiseg.Binary\(model"):
            votes_of(model)


def test_volumes() -> None:
    net, x = Net(dimensions=3), image(5, 6, 7)
    certificate = cs.Smoothed(cs.Binary(net), NOISE).certify(x, DRAWS, tau=0.6, seed=SEED)
    wanted = expected_counts(lambda b: net(b)[:, 0] > 0.5, x)
    assert np.array_equal(certificate.votes.counts, wanted)
    assert "voxels" in certificate.statement()


def test_the_declaration_is_said_kept_and_part_of_the_fingerprint(tmp_path: Path) -> None:
    smooth = cs.Smoothed(Net(), NOISE, binary="probability:0.3")
    certificate = smooth.certify(X, DRAWS, tau=0.6, seed=SEED)
    assert "label 1 where its one channel, a probability, exceeds 0.3, else 0" in (
        certificate.statement()
    )
    source = certificate.votes.source
    assert source is not None
    assert source.binary == BinaryOutput("probability", 0.3)
    assert fixed(certificate)["binary"] == source.binary.record()
    certificate.save(tmp_path / "c.npz")
    again = cs.Certificate.load(tmp_path / "c.npz")
    cs.verify(again)
    assert again.votes.source == source
    assert again.statement() == certificate.statement()
    prints = {
        model_fingerprint(cs.Binary(Net(), *declared))[0]
        for declared in (("probability", 0.3), ("probability", 0.5), ("logit", 0.3))
    }
    assert len(prints) == 3
    other = cs.Smoothed(Net(), NOISE, binary="probability:0.5").vote(X, 4, seed=SEED, first_draw=80)
    with pytest.raises(cs.InputError, match="same model"):
        certificate.votes + other
    plain = cs.Smoothed(lambda b: b[:, :2], NOISE).certify(X, DRAWS, tau=0.6)
    assert plain.votes.source is not None
    assert "binary" not in plain.votes.source.record()


def test_a_declaration_may_be_given_once_more_with_another_threshold() -> None:
    inner = cs.Binary(Net(), "probability", 0.3)
    wanted = votes_of(cs.Binary(Net(), "probability", 0.4))
    assert np.array_equal(votes_of(cs.Binary(inner, "probability", 0.4)), wanted)
    assert np.array_equal(votes_of(inner, binary="probability:0.4"), wanted)
    assert np.array_equal(votes_of(inner, binary="probability"), votes_of(inner))
    with pytest.raises(cs.InputError, match="source states"):
        votes_of(inner, binary="logit")
    with pytest.raises(cs.InputError, match="declare it once"):
        votes_of(cs.Binary(inner, "logit"))


def test_sequential_and_adaptive_methods_take_it() -> None:
    smooth = cs.Smoothed(Net(), NOISE, binary="probability")
    certificate = smooth.certify_sequentially(X, 200, tau=0.6, seed=SEED)
    cs.verify(certificate)
    assert certificate.votes.source is not None
    assert certificate.votes.source.binary == BinaryOutput("probability")
    votes, posterior = smooth.source(X, seed=SEED).select(20)
    assert votes.source is not None
    assert votes.source.binary == BinaryOutput("probability")
    assert np.allclose(posterior.sum(-1), 1)


# Overlapping maps.


def overlapping(channels: int = 3, **options: Any) -> Any:
    model = cs.Binary(Net(channels), multi_label=True)
    return cs.Smoothed(model, NOISE).certify(X, DRAWS, tau=0.6, seed=SEED, **options)


def test_maps_that_overlap_have_votes_of_their_own(tmp_path: Path) -> None:
    certificate, net = overlapping(), Net(3)
    wanted = expected_counts(lambda batch: net(batch) > 0.5)
    assert np.array_equal(certificate.votes.counts, wanted)
    assert certificate.labels.shape == (3, 12, 16)
    assert {*np.unique(certificate.labels)} == {-1, 0, 1}
    assert certificate.maps == 3
    # Argmax would let one map win in each pixel.
    assert (certificate.labels == 1).sum(0).max() > 1
    said = certificate.statement()
    assert "of 576 components, 3 overlapping binary maps of 12 x 16" in said
    assert "label 1 of map k where channel k, a probability, exceeds 0.5" in said
    assert "all of them at once" in said
    certificate.save(tmp_path / "c.npz")
    again = cs.Certificate.load(tmp_path / "c.npz")
    cs.verify(again)
    assert again.statement() == said


def test_alpha_is_shared_by_the_maps() -> None:
    """As many draws as suffice for one map's components prove nothing for three maps'; and what one
    map certifies depends on the others (theory T4)."""
    alone = min_trials(12 * 16, 0.6, 1e-3)
    assert alone < min_trials(3 * 12 * 16, 0.6, 1e-3)
    smooth = cs.Smoothed(cs.Binary(Net(3), multi_label=True), NOISE)
    with pytest.raises(cs.InputError, match="576 components"):
        smooth.certify(X, alone, tau=0.6)
    joint = overlapping(correction="bonferroni")
    alone_each = [
        cs.certify(cs.VoteCounts(counts, DRAWS), noise=NOISE, tau=0.6, correction="bonferroni")
        for counts in joint.votes.counts
    ]
    assert joint.cutoff is not None
    assert all(one.cutoff is not None and joint.cutoff > one.cutoff for one in alone_each)
    assert joint.certified.sum() < sum(one.certified.sum() for one in alone_each)


def test_maps_on_a_grid_are_shown_at_the_size_of_the_image() -> None:
    model = OnGrid(cs.Binary(Net(3), multi_label=True), 4)
    smooth = cs.Smoothed(model, NOISE, output_grid=True)
    certificate = smooth.certify(X, DRAWS, tau=0.6, seed=SEED)
    assert certificate.labels.shape == (3, 3, 4)
    assert np.array_equal(certificate.full_size(), certificate.labels.repeat(4, 1).repeat(4, 2))
    assert "3 overlapping binary maps of 3 x 4 cells of the model's 3 x 4 grid over 12 x 16" in (
        certificate.statement()
    )


def test_two_channels_are_argmax_unless_declared() -> None:
    net = Net(2)
    wanted = expected_counts(lambda batch: net(batch).argmax(1).bool())
    assert np.array_equal(votes_of(net), wanted)
    assert votes_of(cs.Binary(net, multi_label=True)).shape == (2, 12, 16, 2)


def test_a_radius_map_of_maps() -> None:
    votes = cs.Smoothed(cs.Binary(Net(3), multi_label=True), NOISE).vote(X, DRAWS, seed=SEED)
    certificate = cs.radius_map(votes, noise=NOISE)
    cs.verify(certificate)
    assert np.asarray(certificate.radius).shape == (3, 12, 16)
