"""Regions of the page in a real browser: counted as ``Certificate.at_least`` counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.grid import upsample_nearest
from certiseg.certifiers.regions import _most_below
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.report.volume import Slices
from certiseg.report.write import write_report
from certiseg.runs.settings import Settings, Stopping
from certiseg.votes import ABSTAIN
from made_runs import SIZE, VOLUME, certificates, made_run

TREE = Hierarchy("traffic", ("road", "car", "sky"), ("ground",), (3, 3, -1, -1))
pytestmark = pytest.mark.slow
SETTINGS = {
    "regions": Settings(num_samples=200, seed=1, regions=True),
    "regions, early stopping": Settings(
        num_samples=200, seed=1, regions=True, stopping=Stopping(target_coverage=0.95)
    ),
    "regions on cells": Settings(num_samples=200, seed=1, regions=True, grid=3),
    "each": Settings(num_samples=200, seed=1),
    "budget": Settings(num_samples=200, seed=1, correction="k-fwer", budget=20),
    "map": Settings(num_samples=200, seed=1, radius_map=True),
    "tree": Settings(num_samples=200, seed=1, hierarchy=TREE),
}
OUTLINE = ((3.3, 5.2), (20.7, 8.4), (12.2, 18.9), (21.6, 33.7), (2.4, 27.1))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("regions")
    for name, settings in SETTINGS.items():
        made_run(root / name, ("one",), settings)
        write_report([root / name], root / f"{name}.html")
    made_run(root / "volumes", ("one",), SETTINGS["regions"], volumes=True)
    write_report([root / "volumes"], root / "volumes.html")
    return root


def counted(page: Any) -> tuple[int, int, int]:
    """At least, of how many components, with a label."""
    text = page.inner_text(".counted")
    found = re.search(
        r"at least (\d+) of its (\d+) (?:pixel|cell|voxel)s? .*\((\d+) have one\)", text
    )
    assert found, text
    return int(found[1]), int(found[2]), int(found[3])


def by_python(certificate: Certificate, inside: np.ndarray, radius: float) -> tuple[int, int, int]:
    """The same for a region of the certificate's components."""
    given = certificate.certified & inside
    if isinstance(certificate.radius, np.ndarray):
        given &= certificate.at(radius) != ABSTAIN
        return int(given.sum()), int(inside.sum()), int(given.sum())
    return certificate.at_least(inside), int(inside.sum()), int(given.sum())


def cells(certificate: Certificate, pixels: np.ndarray) -> np.ndarray:
    """Components that a region of pixels touches."""
    if certificate.labels.shape == pixels.shape:
        return pixels
    number = np.arange(certificate.labels.size).reshape(certificate.labels.shape)
    touched = np.zeros(certificate.labels.size, dtype=bool)
    touched[upsample_nearest(number, SIZE)[pixels]] = True
    return touched.reshape(number.shape)


def places(page: Any, layer: str, size: tuple[int, int]) -> Callable[[float, float], tuple]:
    """Where on the screen a place of the image is, in the tile of a layer."""
    frame = page.locator(f'.tile[data-layer="{layer}"] .frame').first
    frame.evaluate("(frame) => frame.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = frame.bounding_box()
    return lambda row, column: (
        box["x"] + column / size[1] * box["width"],
        box["y"] + row / size[0] * box["height"],
    )


def drawn(page: Any, tool: str, layer: str, path: Any, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Draw a region with the mouse, and return the page's mask."""
    button = page.locator(f'[data-tool="{tool}"]').first
    if button.get_attribute("aria-pressed") != "true":
        button.click()
    at = places(page, layer, size)
    page.mouse.move(*at(*path[0]))
    page.mouse.down()
    for place in path[1:]:
        page.mouse.move(*at(*place))
    page.mouse.up()
    return np.array(page.evaluate("Array.from(rows[0].region.mask)"), bool).reshape(size)


def enclosed(path: Any) -> np.ndarray:
    """Pixels whose centres a ray to the left leaves through an odd number of sides."""
    row, column = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    odd = np.zeros(SIZE, dtype=bool)
    for (y1, x1), (y2, x2) in zip(path, (*path[1:], path[0]), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = x1 + (row - y1) / (y2 - y1) * (x2 - x1)
        odd ^= ((y1 <= row) != (y2 <= row)) & (crossing < column)
    return odd


@pytest.mark.parametrize("name", SETTINGS)
def test_a_region_is_counted_as_python_counts_it(name, made, opened):
    settings, radius = SETTINGS[name], SETTINGS[name].noise.radius(0.75)
    (certificate,) = certificates(made / name)
    shown = opened(made / f"{name}.html")
    page = shown.ready()

    def check(inside: np.ndarray) -> None:
        assert counted(page) == by_python(certificate, inside, radius)

    check(np.ones(certificate.labels.shape, dtype=bool))
    labels = certificate.at(radius) if settings.radius_map else certificate.labels
    buttons = page.locator(".legend button")
    for label in range(buttons.count()):
        buttons.nth(label).click()
        check(labels == label)
    buttons.nth(label).click()

    inside = np.zeros(SIZE, dtype=bool)
    inside[4:18, 7:32] = True
    for layer, path in (("own", ((4.5, 7.5), (17.5, 31.5))), ("photo", ((17.5, 7.5), (4.5, 31.5)))):
        assert np.array_equal(drawn(page, "box", layer, path), inside)
        check(cells(certificate, inside))
    # To beyond the border.
    inside[:] = False
    inside[20:, 30:] = True
    assert np.array_equal(drawn(page, "box", "own", ((20.5, 30.5), (24.2, 40.2))), inside)
    check(cells(certificate, inside))

    inside = enclosed(OUTLINE)
    assert np.array_equal(drawn(page, "lasso", "heat", OUTLINE), inside)
    check(cells(certificate, inside))

    full = upsample_nearest(labels, SIZE)
    for row, column in ((7, 12), (20, 33)):
        parts, _ = ndimage.label(full == full[row, column])
        inside = parts == parts[row, column]
        assert np.array_equal(drawn(page, "part", "own", ((row + 0.5, column + 0.5),)), inside)
        check(cells(certificate, inside))
    page.click('[data-tool="all"]')
    check(np.ones(certificate.labels.shape, dtype=bool))
    assert shown.complaints == []


def test_runs_side_by_side_count_each_for_itself(made, opened, tmp_path):
    """Among them one of a tree, whose class 1 is a leaf, and one of cells."""
    runs = [made / name for name in ("each", "tree", "regions on cells")]
    write_report(runs, tmp_path / "several.html")
    shown = opened(tmp_path / "several.html")
    page = shown.ready()
    found = [certificates(run)[0] for run in runs]

    def said() -> list[tuple[int, int]]:
        pairs = re.findall(r"at least (\d+) of its (\d+) ", page.inner_text(".counted"))
        return [(int(least), int(size)) for least, size in pairs]

    page.click(".legend button >> nth=1")
    inside = [certificate.labels == 1 for certificate in found]
    assert said() == [
        (certificate.at_least(mask), mask.sum())
        for certificate, mask in zip(found, inside, strict=True)
    ]
    box = np.zeros(SIZE, dtype=bool)
    box[4:18, 7:32] = True
    assert np.array_equal(drawn(page, "box", "truth", ((4.5, 7.5), (17.5, 31.5))), box)
    inside = [cells(certificate, box) for certificate in found]
    assert said() == [
        (certificate.at_least(mask), mask.sum())
        for certificate, mask in zip(found, inside, strict=True)
    ]
    assert page.locator(".counted b").first.inner_text() == "each: "
    assert shown.complaints == []


@pytest.mark.parametrize("name", ["regions", "regions, early stopping"])
def test_the_counts_of_regions_differ_from_the_labels_given(name, made):
    """Else the test above could not tell T16 from counting."""
    (certificate,) = certificates(made / name)
    given = int(certificate.certified.sum())
    assert 0 < certificate.allowed_errors < given
    assert certificate.looks is None or len(certificate.looks.looks) > 1


_MOST_FALSE = """(tables) => tables.map(([counts, weights, bound]) =>
  mostFalse(counts, weights.map(BigInt), BigInt(bound)))"""


def tables() -> list[tuple[list[int], list[int], int]]:
    """Counts, weights and bounds, many of them met with equality; and large ones."""
    rng = np.random.default_rng(0)
    found = []
    for factor in (1, 3**200):
        for _ in range(300):
            counts = rng.integers(0, 5, 4).tolist()
            weights = sorted(rng.choice(9, 4, replace=False).tolist())
            found.append(
                (counts, [(w + 1) * factor for w in weights], int(rng.integers(60)) * factor)
            )
    return found


def test_the_page_sums_evidence_as_python_does(made, opened):
    page = opened(made / "regions.html").ready()
    given = [(counts, [hex(w) for w in weights], hex(b)) for counts, weights, b in tables()]
    expected = [_most_below(np.array(c), w, b) for c, w, b in tables()]
    assert page.evaluate(_MOST_FALSE, given) == expected


def test_a_page_that_lets_evidence_reach_its_bound_is_noticed(made, opened, tmp_path):
    """Negative control: up to the bound, in place of below it."""
    text = (made / "regions.html").read_text()
    broken = text.replace("(bound - sum - 1n)", "(bound - sum)")
    assert broken != text
    (tmp_path / "broken.html").write_text(broken)
    page = opened(tmp_path / "broken.html").ready()
    given = [(counts, [hex(w) for w in weights], hex(b)) for counts, weights, b in tables()]
    expected = [_most_below(np.array(c), w, b) for c, w, b in tables()]
    assert page.evaluate(_MOST_FALSE, given) != expected


def test_a_region_by_keyboard(made, opened):
    (certificate,) = certificates(made / "regions")
    page = opened(made / "regions.html").ready()
    page.click('[data-tool="box"]')
    page.focus(".stage")
    for key in ("ArrowUp", "Enter", "Shift+ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    inside = np.zeros(SIZE, dtype=bool)
    inside[12:23, 20:23] = True
    assert counted(page) == by_python(certificate, inside, 0.0)
    page.click('[data-tool="part"]')
    page.focus(".stage")
    page.keyboard.press("Enter")
    parts, _ = ndimage.label(certificate.labels == certificate.labels[22, 22])
    assert counted(page) == by_python(certificate, parts == parts[22, 22], 0.0)
    page.keyboard.press("Escape")
    assert counted(page)[1] == certificate.labels.size


def test_a_region_of_a_volume_lies_in_its_slices(made, opened):
    (certificate,) = certificates(made / "volumes")
    shown = opened(made / "volumes.html")
    page = shown.ready()
    assert "Volume beneath" in page.inner_text(".options")
    assert counted(page) == by_python(certificate, np.ones(VOLUME, dtype=bool), 0.0)
    page.click(".legend button >> nth=1")
    assert counted(page) == by_python(certificate, certificate.labels == 1, 0.0)
    page.click(".legend button >> nth=1")

    slices = Slices.of(VOLUME)
    assert slices.places == (1, 5, 8, 11, 15, 18)
    named = page.locator('.tile[data-layer="own"] .slice').all_inner_texts()
    assert named == [str(place) for place in slices.places]
    index = slices.image(np.arange(certificate.labels.size).reshape(VOLUME), -1)
    row, column = 3, 2 * (VOLUME[0] + slices.gap) + 4
    x, y = places(page, "own", index.shape)(row + 0.5, column + 0.5)
    page.mouse.move(x, y)
    voxel = np.unravel_index(index[row, column], VOLUME)
    assert f"Voxel ({voxel[0]}, {voxel[1]}, {voxel[2]}):" in page.inner_text(".readout")

    def voxels(mask: np.ndarray) -> np.ndarray:
        inside = np.zeros(certificate.labels.size, dtype=bool)
        inside[index[mask & (index >= 0)]] = True
        return inside.reshape(VOLUME)

    # Across gaps, and a component of one slice, although its neighbours have the same label.
    height, width = index.shape
    mask = drawn(page, "box", "truth", ((1.5, 1.5), (height - 1.5, width - 1.5)), index.shape)
    assert mask.sum() == (index[1:-1, 1:-1] >= 0).sum()
    assert counted(page) == by_python(certificate, voxels(mask), 0.0)
    assert "in the slices drawn" in page.inner_text(".counted")
    mask = drawn(page, "part", "truth", ((row + 0.5, column + 0.5),), index.shape)
    inside = voxels(mask)
    assert np.flatnonzero(inside.any(axis=(0, 1))).tolist() == [slices.places[2]]
    assert counted(page) == by_python(certificate, inside, 0.0)
    assert shown.complaints == []
