"""A network with names: categories, their parts, and one model of clouds for each."""

from __future__ import annotations

import pytest
import torch

from certiseg.errors import InputError
from certiseg.models.pointnet.network import PointNet2
from certiseg.models.pointnet.parts import PartSegmenter
from certiseg.outputs.decide import decide, posterior
from certiseg.sampling.checks import check_evaluation_mode
from certiseg.sampling.fingerprint import model_fingerprint
from tiny_pointnet import some_clouds

CATEGORIES = ("mug", "lamp", "cube")
PARTS = {"cube": (4,), "lamp": (2, 3), "mug": (0, 1)}


@pytest.fixture
def segmenter(network: PointNet2) -> PartSegmenter:
    return PartSegmenter(network, CATEGORIES, PARTS)


@torch.inference_mode()
def test_labels_are_parts_of_the_category(segmenter: PartSegmenter) -> None:
    x = some_clouds(2, 60)
    for index, name in enumerate(CATEGORIES):
        logits = segmenter.of(name)(x)
        assert logits.shape == (2, 5, 60)
        assert set(logits.argmax(1).unique().tolist()) <= set(PARTS[name])
        free = segmenter.network(x, torch.full((2,), index))
        own = list(PARTS[name])
        assert torch.equal(logits[:, own], free[:, own])
    # Without the mask the network, untrained, names parts of other categories.
    assert not set(free.argmax(1).unique().tolist()) <= set(PARTS["cube"])


@torch.inference_mode()
def test_votes_and_softmax_read_it(segmenter: PartSegmenter) -> None:
    x = some_clouds(2, 60)
    logits = segmenter.of("lamp")(x)
    assert torch.equal(decide(logits, x, 5).labels(), logits.argmax(1))
    values = posterior(logits, x, 5).values
    assert (values[:, [0, 1, 4]] == 0).all()
    torch.testing.assert_close(values.sum(1), torch.ones(2, 60))


def test_it_shares_the_weights_and_says_what_it_is(segmenter: PartSegmenter) -> None:
    segmenter.model_name = "pointnet2:best.pth"
    model = segmenter.of("lamp")
    assert model.base is segmenter
    assert model.model_name == "pointnet2:best.pth, category lamp"
    assert (model.category, model.num_classes) == ("lamp", 5)
    assert not model.training
    check_evaluation_mode(model)


def test_fingerprints_tell_categories_and_parts_apart(segmenter: PartSegmenter) -> None:
    prints = [model_fingerprint(segmenter.of(name))[0] for name in CATEGORIES]
    assert len(set(prints)) == 3
    assert prints[0] == model_fingerprint(segmenter.of("mug"))[0]
    # The same category with other parts is another model.
    other = PartSegmenter(segmenter.network, CATEGORIES, {**PARTS, "mug": (0, 4)})
    assert model_fingerprint(other.of("mug"))[0] != prints[0]


def test_a_network_in_training_mode_is_noticed(segmenter: PartSegmenter) -> None:
    segmenter.network.train()
    with pytest.raises(InputError, match="evaluation mode"):
        check_evaluation_mode(segmenter.of("mug"))


@pytest.mark.parametrize(
    ("categories", "parts", "words"),
    [
        (CATEGORIES[:2], {n: PARTS[n] for n in CATEGORIES[:2]}, "3 categories, got 2 names"),
        (CATEGORIES, {n: PARTS[n] for n in CATEGORIES[:2]}, "parts of 2"),
        (("mug", "mug", "lamp"), PARTS, "name each once"),
        (CATEGORIES, {**PARTS, "mug": ()}, "parts of mug"),
        (CATEGORIES, {**PARTS, "mug": (5,)}, r"\[0, 4\] for the parts of mug"),
    ],
)
def test_names_that_do_not_fit(network: PointNet2, categories, parts, words: str) -> None:
    with pytest.raises(InputError, match=words):
        PartSegmenter(network, categories, parts)


def test_unknown_category(segmenter: PartSegmenter) -> None:
    with pytest.raises(InputError, match="mug, lamp, cube, got 'table'"):
        segmenter.of("table")
