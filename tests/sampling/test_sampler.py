"""Smoothed: votes, whatever the model returns and however the draws are batched."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs

NOISE = cs.Gaussian(0.25)
X = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0))


def _logits(batch: torch.Tensor) -> torch.Tensor:
    """Three classes by which channel is brightest: exact whatever the batch size."""
    return batch


def _labels(batch: torch.Tensor) -> torch.Tensor:
    return batch.argmax(1)


class Recorder:
    """Keeps every batch it sees; the copy that the probe makes keeps its own."""

    not_fingerprinted = ("batches",)

    def __init__(self) -> None:
        self.batches: list[torch.Tensor] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(batch.clone())
        return batch

    def drawn(self) -> list[torch.Tensor]:
        """Inputs in order: of batches of draws, without the probe's at the end."""
        return list(torch.cat(self.batches[:-1]))

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


@pytest.mark.parametrize("batch_size", [1, 7, 64, None])
def test_votes_do_not_depend_on_the_batch_size(batch_size):
    plain = cs.Smoothed(_logits, NOISE).vote(X, 50, batch_size=1, seed=3)
    votes = cs.Smoothed(_logits, NOISE).vote(X, 50, batch_size=batch_size, seed=3)
    assert np.array_equal(votes.counts, plain.counts)
    assert votes.counts.shape == (6, 8, 3)
    assert votes.trials == 50


def _distinct(seen: list[torch.Tensor]) -> int:
    return len({tensor.numpy().tobytes() for tensor in seen})


@pytest.mark.parametrize("batch_size", [1, 16, None])
def test_every_draw_is_distinct_and_none_is_wasted(batch_size):
    """Fault 1 of the published code: one noise draw shared by a whole batch."""
    model = Recorder()
    cs.Smoothed(model, NOISE, 3).vote(X, 40, batch_size=batch_size, seed=1)
    assert _distinct(model.drawn()) == 40
    # A batch that is not full is filled up, one draw goes alone through a copy, five
    # beside another input.
    assert len(set(model.sizes[:-1])) == 1
    assert len(model.drawn()) - 40 < model.sizes[0]
    assert model.sizes[-1] == min(6, model.sizes[0])


def test_shared_noise_is_caught():
    """Negative control: the check above on draws that share noise within a batch."""
    noise = torch.randn(40 // 8, *X.shape)
    assert _distinct([X + noise[j // 8] for j in range(40)]) == 5


def test_all_batch_sizes_see_the_same_noise():
    one, many = Recorder(), Recorder()
    cs.Smoothed(one, NOISE, 3).vote(X, 64, batch_size=1, seed=1)
    cs.Smoothed(many, NOISE, 3).vote(X, 64, batch_size=64, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(one.drawn(), many.drawn(), strict=True))


def test_noise_is_added_in_input_space_without_clipping():
    model = Recorder()
    cs.Smoothed(model, NOISE, 3).vote(X, 2000, seed=1)
    seen = torch.stack(model.drawn())
    assert seen.min() < 0
    assert seen.max() > 1
    difference = (seen - X).numpy() / 0.25
    # Standard errors 1/sqrt(n) and 1/sqrt(2n); five of them: false alarm below 1e-6 (fixed seed).
    assert abs(difference.mean()) < 5 / np.sqrt(difference.size)
    assert abs(difference.std() - 1) < 5 / np.sqrt(2 * difference.size)


def test_split_draws_add_up():
    smooth = cs.Smoothed(_logits, NOISE)
    whole = smooth.vote(X, 300, seed=5)
    parts = smooth.vote(X, 100, seed=5) + smooth.vote(X, 200, seed=5, first_draw=100)
    assert np.array_equal(whole.counts, parts.counts)
    # The default batches divide each range evenly.
    assert parts.source == replace(whole.source, batch_sizes=parts.source.batch_sizes)


def test_each_input_has_its_own_noise_under_one_seed():
    model = Recorder()
    smooth = cs.Smoothed(model, NOISE, 3)
    smooth.vote(X, 1, seed=5)
    smooth.vote(X * 0.5, 1, seed=5)
    smooth.vote(X * 0.5, 1, seed=5, key="street")
    a, b, c = torch.cat(model.batches[::2])
    assert not torch.allclose(a - X, b - X * 0.5, atol=1e-3)
    assert not torch.allclose(b, c)


class Net(nn.Module):
    """A pixelwise network, so that any batch size gives the same bits."""

    def __init__(self, wrap=lambda logits: logits, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3))
        self.wrap, self.stride = wrap, stride

    def forward(self, x: torch.Tensor):
        logits = x[:, :, :: self.stride, :: self.stride] * self.weight.sum()
        return self.wrap(logits)


@pytest.mark.parametrize(
    "model",
    [
        _labels,
        Net().eval(),
        Net(lambda logits: {"out": logits, "aux": logits[:, :1]}).eval(),
        Net(lambda logits: SimpleNamespace(logits=logits)).eval(),
        Net(lambda logits: {"logits": logits}).eval(),
        lambda x: x.argmax(1).to(torch.uint8),
    ],
    ids=["labels", "logits", "dict", "object", "mapping", "uint8 labels"],
)
def test_what_a_model_may_return(model):
    expected = cs.Smoothed(_logits, NOISE).vote(X, 30, seed=2)
    votes = cs.Smoothed(model, NOISE, num_classes=3).vote(X, 30, seed=2)
    assert np.array_equal(votes.counts, expected.counts)


def test_coarse_logits_of_an_object_are_upsampled():
    model = Net(lambda logits: SimpleNamespace(logits=logits), stride=2).eval()
    votes = cs.Smoothed(model, NOISE).vote(X, 10, seed=2)
    assert votes.shape == (6, 8)


def test_classification_has_one_component():
    smooth = cs.Smoothed(
        lambda x: x.flatten(1).mean(1, keepdim=True) * torch.tensor([1.0, -1]), NOISE
    )
    chosen, votes = smooth.vote(X, 10, seed=1), smooth.vote(X, 100, seed=1, first_draw=10)
    assert votes.counts.shape == (2,)
    cert = cs.classify(votes, noise=NOISE, selection_votes=chosen)
    assert cert.labels.item() == 0
    assert cert.radius > 0


def test_joint_votes():
    def nearly_constant(batch):
        return (batch[:, 0] * 0 + 1).long()

    smooth = cs.Smoothed(nearly_constant, NOISE, 2)
    votes = smooth.vote_joint(X, np.ones((6, 8), int), 60, seed=1, first_draw=10)
    assert votes.counts.tolist() == [60, 0]
    cert = cs.joint(votes, candidates=np.ones((6, 8), int), noise=NOISE)
    assert cert.abstention == 0.0
    other = smooth.vote_joint(X, np.zeros((6, 8), int), 60, seed=1)
    assert other.counts.tolist() == [0, 60]


@pytest.mark.parametrize("selection", ["pooled", "split"])
def test_certify(selection):
    smooth = cs.Smoothed(Net().eval(), NOISE)
    cert = smooth.certify(X, 100, tau=0.6, alpha=0.01, selection=selection, seed=4)
    cs.verify(cert)
    assert cert.selection == selection
    assert cert.votes.trials == 100
    assert (cert.selection_votes is None) == (selection == "pooled")
    assert smooth.num_classes == 3
    if cert.selection_votes is not None:
        assert cert.votes.source.draws == ((10, 110),)
        assert cert.selection_votes.source.draws == ((0, 10),)


def test_certify_refuses_too_few_draws_after_one_pass():
    model = Recorder()
    with pytest.raises(cs.InputError, match="at least 38 draws for 48 components"):
        cs.Smoothed(model, NOISE, 3).certify(X, 30)
    assert model.sizes == []  # it was a copy's


def test_default_seed_is_fresh_and_recorded():
    smooth = cs.Smoothed(_logits, NOISE)
    a, b = smooth.vote(X, 20), smooth.vote(X, 20)
    assert a.source.seed != b.source.seed
    assert a.source.seed_origin == "entropy"
    again = smooth.vote(X, 20, seed=a.source.seed)
    assert np.array_equal(again.counts, a.counts)


def test_progress_counts_draws():
    done: list[int] = []
    cs.Smoothed(_logits, NOISE).vote(X, 25, progress=done.append, batch_size=10)
    assert done == [9, 9, 7]
    cs.Smoothed(_logits, NOISE).vote(X, 5, progress=True)


def test_out_of_memory_halves_the_batch_and_repeats_the_draws():
    class Small(Recorder):
        def __call__(self, batch):
            if len(batch) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(batch)

    small = Small()
    votes = cs.Smoothed(small, NOISE, 3).vote(X, 30, batch_size=16, seed=3)
    expected = cs.Smoothed(_logits, NOISE).vote(X, 30, batch_size=16, seed=3)
    assert np.array_equal(votes.counts, expected.counts)
    assert set(small.sizes[:-1]) == {3}
    assert _distinct(small.drawn()) == 30
    assert votes.source.batch_sizes == (3,)
    assert expected.source.batch_sizes == (15,)


def test_out_of_memory_for_one_draw_is_said():
    def never(batch):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(cs.InputError, match="memory for one draw"):
        cs.Smoothed(never, NOISE, 3).vote(X, 4, batch_size=4)


def test_other_errors_of_the_model_come_through():
    def broken(batch):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        cs.Smoothed(broken, NOISE, 3).vote(X, 4)


def test_no_gradients_and_the_input_is_untouched():
    model = Net().eval()
    before = X.clone()

    class Spy(nn.Module):
        def forward(self, x):
            assert not torch.is_grad_enabled()
            assert torch.is_inference_mode_enabled()
            return model(x)

    cs.Smoothed(Spy().eval(), NOISE).vote(X, 4)
    assert torch.equal(X, before)
    assert not torch.is_inference_mode_enabled()


def test_models_that_write_into_their_input_do_not_reach_the_callers():
    def greedy(batch):
        return batch.mul_(0.5)

    smooth, before = cs.Smoothed(greedy, NOISE), X.clone()
    smooth.predict_clean(X)
    smooth.predict_clean(X.numpy())
    smooth.vote(X, 5)
    assert torch.equal(X, before)


def test_numpy_scalars_are_numbers(tmp_path):
    cert = cs.Smoothed(_logits, NOISE).certify(
        X, np.int64(100), np.float32(0.75), np.float32(1e-3), seed=np.int64(3)
    )
    cert.save(tmp_path / "a.npz")
    cs.verify(cs.Certificate.load(tmp_path / "a.npz"))


def test_half_precision_models():
    votes = cs.Smoothed(Net().to(torch.bfloat16).eval(), NOISE).vote(X, 4)
    assert votes.source.engine["precision"] == "bfloat16"


def test_predictions():
    smooth = cs.Smoothed(_logits, NOISE)
    assert np.array_equal(smooth.predict_clean(X), X.argmax(0).numpy())
    model = Recorder()
    noisy = cs.Smoothed(model, NOISE).predict_once(X, seed=3, draw=2)
    votes = cs.Smoothed(_logits, NOISE).vote(X, 1, seed=3, first_draw=2)
    assert np.array_equal(votes.mode(), noisy)


def test_noisy_input_is_what_the_model_sees():
    model = Recorder()
    smooth = cs.Smoothed(model, NOISE, 3)
    smooth.vote(X, 5, seed=3)
    assert torch.equal(smooth.noisy(X, seed=3, draw=4), model.drawn()[4])


def test_memory_for_counts_does_not_grow_with_draws():
    smooth = cs.Smoothed(_logits, NOISE)
    few, many = smooth.vote(X, 10), smooth.vote(X, 250)
    assert few.counts.nbytes == many.counts.nbytes


@pytest.mark.parametrize("name", ["certify", "certify_sequentially"])
def test_arguments_that_are_said_once_are_shown_one_by_one(name):
    """In the signature and the docstring as where they are written out; others are refused."""
    method, plain = getattr(cs.Smoothed, name), inspect.signature(cs.Smoothed.certify_with)
    shown, text = inspect.signature(method).parameters, inspect.getdoc(method)
    for own in ("batch_size", "seed", "key", "progress", "watch"):
        assert shown[own].default == plain.parameters[own].default
        assert shown[own].kind is inspect.Parameter.KEYWORD_ONLY
        assert f"    {own}: " in text
    assert "drawing" not in shown
    with pytest.raises(TypeError, match="unexpected keyword argument 'seeds'"):
        getattr(cs.Smoothed(_logits, NOISE), name)(X, seeds=3)
