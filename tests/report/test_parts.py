"""The parts of a report that need no browser: PNG encoding, palettes, radii, distances, LaTeX."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

import certiseg as cs
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.metrics.boundary import BoundaryCounts, pixel_distance, point_distance
from certiseg.report.page.claim import claim
from certiseg.report.page.encoding import labels_png, numbers_png
from certiseg.report.page.slider import _step
from certiseg.report.palettes import _seen, own_palette, safe_palette
from certiseg.report.post_hoc import post_hoc_radii
from certiseg.report.write import write_report
from certiseg.runfolder.manifest import read_manifest
from certiseg.runs.settings import Settings
from certiseg.table import latex_text
from made_runs import Once, made_run
from some_votes import some_votes

NOISE = cs.Gaussian(0.25)
TREE = Hierarchy("traffic", ("road", "car", "sky"), ("ground",), (3, 3, -1, -1))


def pixels(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


@pytest.mark.parametrize("most", [255, 256, 65_535, 2**24 - 1])
def test_png_keeps_every_number(most):
    rng = np.random.default_rng(most)
    values = rng.integers(0, most + 1, size=(20, 30))
    values[0, 0] = most
    found = pixels(numbers_png(values)).astype(np.int64)
    assert (found.ndim == 2) == (most <= 255)
    if found.ndim == 3:
        found = (found * (1, 256, 65_536)).sum(axis=-1)
    assert np.array_equal(found, values)


def test_labels_abstentions_and_no_truth_have_their_own_numbers():
    assert pixels(labels_png(np.array([[0, 5, -1]], dtype=np.int16))).tolist() == [[2, 7, 1]]
    assert pixels(labels_png(np.array([[0, 5, 255]], dtype=np.uint8), 255)).tolist() == [[2, 7, 0]]
    # A hierarchy may have a node of number 255: it is no missing truth.
    wide = pixels(labels_png(np.array([[255]], dtype=np.int16)))
    assert (wide * (1, 256, 65_536)).sum() == 257


@pytest.mark.parametrize("classes", [2, 7, 11, 19, 60])
def test_safe_colours_can_be_told_apart(classes):
    """At least twice as far apart, for the worst kind of vision, as the customary colours."""
    from certiseg.datasets.card import customary_palette

    colours = safe_palette(classes)
    assert len(set(colours)) == classes
    assert least_apart([*colours, (255, 255, 255)]) > 0.03
    if classes > 7:
        assert least_apart(colours) > 2 * least_apart(customary_palette(classes))


def least_apart(colours) -> float:
    """The smallest distance in OKLab, in the eyes of whoever sees two colours least apart."""
    seen = _seen(np.asarray(colours, dtype=float))
    apart = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1)
    return apart[:, ~np.eye(len(colours), dtype=bool)].min()


def test_no_class_is_as_white_as_an_abstention():
    assert own_palette([(255, 255, 255), (0, 0, 0)]) == ((205, 205, 212), (0, 0, 0))


def test_chosen_radii_are_those_of_the_radius_map():
    """For every way to certify with a fixed number of draws: the map of the same votes."""
    rng = np.random.default_rng(3)
    votes, first = some_votes(rng, (9, 11), 4, 150), some_votes(rng, (9, 11), 4, 20)
    mapped = cs.radius_map(votes, noise=NOISE, alpha=0.01)
    for certificate in (
        cs.certify(votes, noise=NOISE, alpha=0.01),
        cs.certify(votes, noise=NOISE, alpha=0.01, correction="k-fwer", budget=5),
        cs.certify(votes, noise=NOISE, alpha=0.01, selection_votes=first),
        mapped,
    ):
        radii = post_hoc_radii(certificate)
        assert radii.own is (certificate is mapped)
        assert np.array_equal(radii.map(), mapped.radius)
        assert np.array_equal(np.where(radii.map() > 0, radii.labels, -1), mapped.labels)


def test_radii_are_refused_where_the_draws_were_not_fixed():
    votes = some_votes(np.random.default_rng(4), (9, 11), 4, 150)
    early = cs.sequential(Once(votes), noise=NOISE, num_samples=150, alpha=0.01, looks=1)
    with pytest.raises(InputError, match="depended on the votes"):
        post_hoc_radii(early)
    whole = cs.joint(
        cs.VoteCounts(np.array([98, 2]), 100), candidates=np.zeros((2, 2), int), noise=NOISE
    )
    with pytest.raises(InputError, match="another kind of statement"):
        post_hoc_radii(whole)
    few = cs.certify(
        some_votes(np.random.default_rng(5), (40, 50), 4, 16),
        noise=NOISE,
        tau=0.5,
        alpha=0.01,
        correction="k-fwer",
        budget=500,
    )
    with pytest.raises(InputError, match="draws for a radius map"):
        post_hoc_radii(few)


def test_distances_equal_a_search_over_all_pairs():
    rng = np.random.default_rng(6)
    truth = rng.choice([0, 1, 2, 255], size=(9, 12), p=[0.9, 0.05, 0.02, 0.03])
    places, flat = np.argwhere(np.ones_like(truth)), truth.ravel()
    known = flat != 255
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    differ = (flat[:, None] != flat) & known & known[:, None]
    edge = (differ & (apart == 1)).any(axis=1)
    assert 0 < edge.sum() < edge.size
    assert np.allclose(pixel_distance(truth).ravel(), apart[:, edge].min(axis=1))
    points = rng.normal(size=(truth.size, 3))
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    nearest = np.where(differ, apart, np.inf).min(axis=1)
    assert np.allclose(point_distance(points, flat)[known], nearest[known])
    for uniform in (np.zeros((3, 3), int), np.full((3, 3), 255)):
        assert np.isinf(pixel_distance(uniform)).all()
    assert np.isinf(point_distance(points, np.zeros(truth.size))).all()


def test_boundary_counts():
    truth = np.array([0, 0, 1, 1, 255])
    labels, base = np.array([0, -1, 0, 1, -1]), np.array([1, 0, 1, 1, 0])
    counts = BoundaryCounts.count([0, 1, 1, 9, 0], truth, labels, base, (0.0, 1.0, 5.0))
    assert counts.components.tolist() == [1, 2, 1]
    assert counts.abstained.tolist() == [0, 1, 0]
    assert counts.wrong.tolist() == [0, 1, 0]
    assert counts.base_wrong.tolist() == [1, 0, 0]
    assert (counts + counts).components.tolist() == [2, 4, 2]
    with pytest.raises(InputError, match="edges"):
        BoundaryCounts.count([0], [0], [0], [0], (1.0, 0.5))


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("[1cm] x", "{[}1cm] x"),
        ("two\nlines", "two lines"),
    ],
)
def test_latex(text, set_as):
    assert latex_text(text) == set_as


def test_steps_of_the_slider():
    for least, step in (("0.00046", "0.0005"), ("0.001", "0.001"), ("0.0011", "0.002")):
        assert _step(Fraction(least)) == Fraction(step)
    assert _step(Fraction(1e-3)) == Fraction(2, 1000)  # the float is a little larger


def _luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_text_has_the_contrast_of_wcag_aa():
    css = (files("certiseg.report.page") / "assets" / "page.css").read_text()
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", css))
    for ink in ("ink", "soft", "accent"):
        for ground in ("paper", "shade"):
            light, dark = _luminance(named[ground]), _luminance(named[ink])
            assert (light + 0.05) / (dark + 0.05) > 4.5, (ink, ground)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(), ("each coloured pixel of a certified mask keeps its label under", "0.168622")),
        (Settings(radius_map=True), ("below its own radius",)),
        (Settings(regions=True), ("of the coloured pixels in any region", "at least as many as")),
        (
            Settings(grid=4, budget=0.001, correction="k-fwer"),
            ("all but at most k - 1 coloured cells of 4 x 4 pixels", "k is 0.1% of all", "keep"),
        ),
        (Settings(budget=7, correction="k-fwer"), ("k = 7",)),
        (Settings(hierarchy=TREE), ("has a class or group of classes that contains",)),
        (
            Settings(law="rotation", axis="z"),
            ("rotation of the input around the z axis", "degrees"),
        ),
    ],
)
def test_the_claim_names_what_the_method_earned(tmp_path, settings, words):
    made_run(tmp_path, settings=replace(settings, num_samples=200), done=0)
    text = claim(read_manifest(tmp_path))
    assert text.startswith("With confidence 99.9% for each image on its own, ")
    assert all(part in text for part in words), text


@pytest.mark.parametrize(("regions", "word"), [(True, "given a label"), (False, "certified")])
@pytest.mark.parametrize("runs", [1, 2])
def test_an_image_in_words_says_what_its_method_earned(tmp_path, regions, word, runs):
    """Labels of a method for regions are given, and not certified one by one."""
    folders = [tmp_path / f"run{number}" for number in range(runs)]
    for folder in folders:
        made_run(folder, settings=Settings(regions=regions, num_samples=200, seed=1))
    page = write_report(folders, tmp_path / "report.html").page.read_text()
    assert set(re.findall(r'aria-label="[^"]*, [0-9.]+% ([a-z ]+)"', page)) == {word}
