"""Windows that are left out once settled (theory T7): error, bits, passes, the record."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import chain, combinations

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.certificates import storage
from certiseg.certificates.windows import draws_by_window
from certiseg.certifiers.remaining import Remaining
from certiseg.certifiers.sequential import sequential
from certiseg.certifiers.sequential_regions import SequentialRegions
from certiseg.errors import ClaimError
from certiseg.sampling.experiment import DrawSource
from certiseg.stats.spending import plan_looks
from certiseg.votes import Source
from exact import coupled_votes, independent_votes

NOISE = cs.Gaussian(0.25)
HALF = Fraction(1, 2)
TINY = {"tau": 0.5, "num_samples": 9, "alpha": 0.3, "looks": 2, "spending": "late"}
SOURCE = Source(
    noise=NOISE,
    seed=1,
    seed_origin="entropy",
    key="k",
    draws=(),
    model="0" * 64,
    model_name="tiny",
    input="1" * 64,
    input_shape=(1, 1, 2),
    value_range=None,
    windows=(1, 1, 0),
)


class Lanes:
    """Two components, each its own window: the votes written down, without what is left out."""

    def __init__(self, parts, filled=False):
        self._parts, self._next, self._filled = list(parts), 0, filled

    def sizes(self):
        return 2, 2

    def windows(self):
        return np.array([[0, 1]])

    def more(self, draws, left_out=()):
        start, self._next = self._next, self._next + draws
        counts = np.array([self._parts.pop(0)])
        counts[0, list(left_out)] = (draws, 0) if self._filled else 0
        source = replace(SOURCE, draws=((start, self._next),), left_out=bool(left_out))
        return cs.VoteCounts(counts, draws, source)


def _error(outcomes, favoured, filled=False) -> Fraction:
    """P(a false certificate), the windows left out and the last look chosen with hindsight."""
    steps = np.diff([0, *(n for n, _ in plan_looks(2, 9, tau=0.5, alpha=0.3, looks=2))]).tolist()
    assert len(steps) == 2
    subsets = list(chain.from_iterable(combinations(range(2), size) for size in range(3)))

    @cache
    def false(first, second) -> bool:
        parts = [[(k, n - k) for k in hits] for hits, n in zip((first, second), steps, strict=True)]
        for out in subsets:
            with pytest.MonkeyPatch.context() as patch:

                def leave(self, *args, out=out):
                    self._drawn[list(out)] = False
                    return True

                patch.setattr(Remaining, "after", leave)
                made = sequential(Lanes(parts, filled), noise=NOISE, **TINY)
            # What the first look certifies is a certificate too.
            early = made.looks.looks[0].certified > 0
            if early or made.certified.any():
                return True
        return False

    return sum(
        (
            one * other
            for first, one in outcomes(steps[0], favoured)
            for second, other in outcomes(steps[1], favoured)
            if false(first, second)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize("outcomes", [coupled_votes, independent_votes])
def test_error_whatever_is_left_out(outcomes):
    """Two components at p = tau, every outcome of both looks, every choice of windows."""
    assert 0 < _error(outcomes, [HALF, HALF]) <= Fraction(0.3)


def test_missing_draws_counted_as_votes_are_caught():
    """Negative control: draws that were left out vote for the first label."""
    assert _error(independent_votes, [HALF, HALF], filled=True) > Fraction(0.3)


class Sides(nn.Module):
    """Three classes by brightness, sure at the dark left and unsure at the right; counts passes."""

    not_fingerprinted = ("passed",)

    def __init__(self) -> None:
        super().__init__()
        self.passed = [0]
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passed[0] += len(x)
        bright = x.mean(dim=1, keepdim=True)
        return torch.cat([0.5 - bright, bright - 0.5, bright - 2.0], dim=1)


def _halves() -> torch.Tensor:
    """Columns 0 to 11 are far below 1/2 under the noise, columns 12 to 15 near it."""
    x = torch.zeros(3, 8, 16)
    x[:, :, 12:] = 0.5
    return x


def _made(model: nn.Module, **options) -> cs.Certificate:
    smooth = cs.Smoothed(cs.Windows(model, 4, margin=1), cs.Gaussian(0.1))
    return smooth.certify_sequentially(
        _halves(), 400, seed=3, **{"min_gain": None, "alpha": 0.01, "batch_size": 7, **options}
    )


def test_a_settled_window_is_not_passed_again_and_nothing_else_changes(monkeypatch):
    few, all_ = Sides(), Sides()
    early = _made(few)
    monkeypatch.setattr(DrawSource, "windows", lambda self: None)
    full = _made(all_)
    first = early.looks.looks[0].trials
    assert early.votes.trials == full.votes.trials == 400
    assert draws_by_window(early.votes).tolist() == [first, first, first, 400] * 2
    assert draws_by_window(full.votes) is None
    assert few.passed[0] < all_.passed[0] / 2
    # The votes of the windows that are drawn are the same to the last one.
    assert np.array_equal(early.votes.counts[:, 12:], full.votes.counts[:, 12:])
    assert np.array_equal(early.labels, full.labels)
    assert early.looks.looks == full.looks.looks


def test_a_window_without_prospects_is_left_out_and_a_promising_one_is_not():
    """Columns 12 to 15 are hopeless at p = 1/2; at p = .8 more draws certify them."""
    cert = _made(Sides(), min_gain=0.01)
    assert cert.looks.stopped == "further looks not worth their draws"
    x = _halves()
    x[:, :4, 12:] = 0.46
    smooth = cs.Smoothed(cs.Windows(Sides(), 4), cs.Gaussian(0.1))
    later = smooth.certify_sequentially(
        x, 1000, tau=0.6, seed=3, alpha=0.01, min_gain=0.05, looks=4
    )
    by_window = draws_by_window(later.votes)
    assert by_window[7] < by_window[3] == later.votes.trials
    assert later.certified[:4, 12:].mean() > 0.9 > later.certified[4:, 12:].mean()
    cs.verify(later)


def test_stored_verified_and_stated(tmp_path):
    cert = _made(Sides())
    cert.save(tmp_path / "c.npz")
    again = cs.Certificate.load(tmp_path / "c.npz")
    cs.verify(again)
    first = cert.looks.looks[0].trials
    said = f"6 of 8 windows left out once settled, after {first} draws or more"
    assert said in cert.statement()
    assert again.statement() == cert.statement()
    assert again.votes.drawn.tolist() == cert.votes.drawn.tolist()
    assert cert.votes.drawn[0, 0] == first


def test_draws_that_no_run_can_have_made_are_refused():
    cert = _made(Sides())
    counts = cert.votes.counts.copy()
    counts[0, 0, 0] -= 1
    one_less = replace(cert, votes=replace(cert.votes, counts=counts))
    with pytest.raises(ClaimError, match="votes that contain those"):
        cs.verify(one_less)
    counts = cert.votes.counts.copy()
    counts[0, 0, 0] += 1
    one_more = replace(cert, votes=replace(cert.votes, counts=counts))
    with pytest.raises(ClaimError, match="votes that contain those"):
        cs.verify(one_more)
    # Of a component that was drawn to the end, and of a class that no look names.
    counts = cert.votes.counts.copy()
    lowest = counts[0, 15].argmin()
    counts[0, 14:, :] = 0
    counts[0, 14:, lowest] = 1
    with pytest.raises(ClaimError):
        cs.verify(replace(cert, votes=replace(cert.votes, counts=counts)))
    full = replace(cert.votes.source, left_out=False)
    with pytest.raises(cs.InputError, match="add up to 400"):
        replace(cert.votes, source=full)
    with pytest.raises(cs.InputError, match="windows with draws that leave some out"):
        replace(cert.votes.source, windows=None)


def test_one_window_has_one_number_of_draws():
    votes = cs.VoteCounts([[[3, 0], [2, 0]]], 4, replace(SOURCE, draws=((0, 4),), left_out=True))
    assert draws_by_window(votes).tolist() == [3, 2]
    together = replace(votes.source, windows=(1, 2, 0))
    with pytest.raises(cs.InputError, match="one number of draws in each window"):
        draws_by_window(replace(votes, source=together))


@pytest.mark.parametrize("method", [cs.certify, cs.radius_map, cs.regions, cs.individual])
def test_other_methods_take_votes_of_all_draws_alone(method):
    votes = _made(Sides()).votes
    with pytest.raises(cs.InputError, match="left out once settled"):
        method(votes, noise=votes.source.noise)


def test_all_windows_are_drawn_where_labels_are_watched():
    seen = []
    cert = _made(Sides(), watch=seen.append)
    assert not cert.votes.source.left_out
    assert sum(map(len, seen)) == 400
    smooth = cs.Smoothed(cs.Windows(Sides(), 4), NOISE, engine=cs.Engine(compile=True))
    assert smooth.source(_halves(), seed=1).windows() is None


def test_overlapping_maps_share_their_windows():
    class Maps(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x[:, :1], 1 - x[:, :1]], dim=1).clamp(0, 1)

    model = cs.Binary(cs.Windows(Maps(), 4), multi_label=True).eval()
    smooth = cs.Smoothed(model, cs.Gaussian(0.1))
    cert = smooth.certify_sequentially(_halves(), 400, seed=3, min_gain=None, alpha=0.01)
    first = cert.looks.looks[0].trials
    assert draws_by_window(cert.votes).tolist() == [first, first, first, 400] * 2
    cs.verify(cert)


def test_regions_draw_all_windows():
    """Their evidence is of every look, so that a missing draw would count against a label."""
    smooth = cs.Smoothed(cs.Windows(Sides(), 4), cs.Gaussian(0.1))
    method = SequentialRegions(alpha=0.01)
    cert = smooth.certify_with(_halves(), method, 400, seed=3)
    assert not cert.votes.source.left_out


def test_bytes_are_those_of_the_certificate():
    cert = _made(Sides())
    assert storage.content_of(cert) == storage.content_of(
        storage.parse(storage.content_of(cert), "c").certificate
    )
