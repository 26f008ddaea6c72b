"""The page in a real browser: what is drawn is what Python computes, and nothing else happens."""

from __future__ import annotations

import io
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browser import NARROW, WIDE, Opened, chromium
from certiseg.certificates.grid import upsample_nearest
from certiseg.certifiers.radius_map import radius_map
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.report.page.encoding import numbers_png
from certiseg.report.palettes import own_palette, with_nodes
from certiseg.report.write import write_report
from certiseg.rounding import down, percent_down
from certiseg.runfolder.layout import Layout
from certiseg.runfolder.manifest import read_manifest
from certiseg.runs.settings import Settings, Stopping
from certiseg.votes import ABSTAIN
from made_runs import SIZE, certificates, made_run

pytestmark = pytest.mark.slow
HOSTILE = "<b class=injected>\"'</script><img src=x onerror=injected=1>{{7*7}}$x^2$"
TREE = Hierarchy("traffic", ("road", "car", "sky"), ("ground",), (3, 3, -1, -1))


@pytest.mark.parametrize(("ci", "ends"), [("true", pytest.fail), ("", pytest.skip)])
def test_without_a_browser_ci_fails_and_a_laptop_skips(monkeypatch, ci, ends):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ends.Exception, match="apt-get install chromium"):
        chromium()


SETTINGS = {
    "flat": Settings(num_samples=200, seed=1),
    "map": Settings(num_samples=200, seed=1, radius_map=True),
    "tree": Settings(num_samples=200, seed=1, hierarchy=TREE),
    "cells": Settings(num_samples=200, seed=1, grid=3),
    "many": Settings(num_samples=300, seed=1),
    "regions": Settings(num_samples=200, seed=1, regions=True),
    "regions on cells": Settings(num_samples=200, seed=1, regions=True, grid=3),
    "budget": Settings(num_samples=200, seed=1, correction="k-fwer", budget=20),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A run for each way to certify, and the report of each."""
    root = tmp_path_factory.mktemp("made")
    for name, settings in SETTINGS.items():
        made_run(root / name, settings=settings)
        write_report([root / name], root / f"{name}.html")
    return root


def painted(labels: np.ndarray, palette: Any) -> np.ndarray:
    table = np.array([*palette, (255, 255, 255)])
    return table[np.where(labels == ABSTAIN, len(palette), labels)]


@pytest.mark.parametrize("name", SETTINGS)
def test_masks_are_what_python_certifies_at_each_radius(name, made, opened):
    """The slider's masks equal ``radius_map(...).at(radius)``, pixel by pixel, for every method;
    "many" has counts that need two bytes."""
    settings, run = SETTINGS[name], made / name
    shown = opened(made / f"{name}.html")
    page = shown.ready()
    palette = own_palette(read_manifest(run).palette)
    coloured = []
    for number, certificate in enumerate(certificates(run)):
        mapped = radius_map(certificate.votes, noise=settings.noise, alpha=settings.alpha)
        own = certificate.at(settings.noise.radius(settings.tau))
        own = own if settings.radius_map else certificate.labels
        nodes = with_nodes(palette, certificate.hierarchy)
        first = painted(upsample_nearest(own, SIZE), nodes)
        page.check('input[name="mask"][value="own"]')
        shown.settle()
        assert np.array_equal(shown.mask(number), first)
        for asked in (0.0, 0.05, 0.168, 0.2, 1e9):
            radius = shown.choose(asked)
            assert Fraction(page.inner_text("#radius-text")) <= Fraction(radius)
            held = upsample_nearest(mapped.at(radius), SIZE)
            assert np.array_equal(shown.mask(number), painted(held, palette)), radius
            coloured.append(int((shown.mask(number) != 255).any(axis=-1).sum()))
            assert coloured[-1] == (held != ABSTAIN).sum()
            if number == 0:
                share = page.text_content("article .figures")
                held_share = Fraction(int((held != ABSTAIN).sum()), held.size)
                assert share.startswith(f"{percent_down(held_share)} certified")
    # The radii tell masks apart, and nothing is left at the end.
    assert len(set(coloured[:5])) >= 4
    assert coloured[4] == 0
    assert shown.complaints == []


def _at_a_threshold(shown: Opened, run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Coloured pixels at a radius that many pixels have exactly: on the page, and by Python."""
    certificate = certificates(run)[0]
    mapped = radius_map(certificate.votes, noise=certificate.noise, alpha=1e-3)
    values, counts = np.unique(mapped.radius[mapped.radius > 0], return_counts=True)
    radius = float(values[counts.argmax()])
    shown.page.evaluate("(r) => { state.radius = r; state.mask = 'chosen'; changed(); }", radius)
    shown.settle()
    return (shown.mask(0) != 255).any(axis=-1), mapped.at(radius) != ABSTAIN


def test_a_radius_counts_up_to_itself_on_the_page(made, opened):
    shown = opened(made / "flat.html")
    shown.ready()
    on_page, by_python = _at_a_threshold(shown, made / "flat")
    assert by_python.any()
    assert np.array_equal(on_page, by_python)


def test_a_page_that_leaves_the_radius_itself_out_is_noticed(made, opened, tmp_path):
    """Negative control: > in place of >=."""
    text = (made / "flat.html").read_text()
    broken = text.replace("radii[hits[i]] >= state.radius", "radii[hits[i]] > state.radius")
    assert broken != text
    (tmp_path / "broken.html").write_text(broken)
    shown = opened(tmp_path / "broken.html")
    shown.ready()
    on_page, by_python = _at_a_threshold(shown, made / "flat")
    assert on_page.sum() < by_python.sum()


def test_shares_in_per_cent_are_pythons(made, opened):
    page = opened(made / "flat.html").ready()
    rng = np.random.default_rng(0)
    wholes = [1, 960, 10_000, *rng.integers(1, 10**9, 200).tolist()]
    pairs = [(part, n) for n in wholes for part in {0, 1, n // 3, n - 1, n} if part <= n]
    said = page.evaluate("(pairs) => pairs.map(([part, whole]) => percent(part, whole))", pairs)
    assert said == [percent_down(Fraction(part, whole)) for part, whole in pairs]


def test_numbers_of_three_bytes_are_read(made, opened):
    """65793 is (1, 1, 1): grey to look at, and no 1."""
    page = opened(made / "flat.html").ready()
    for most in (255, 256, 65_535, 2**24 - 1):
        values = np.array([[0, 1, 255], [min(257, most), min(65_793, most), most]])
        read = page.evaluate("async (url) => Array.from(await plane(url))", numbers_png(values))
        assert read == values.ravel().tolist()


def test_the_radius_map_of_the_page_is_pythons(made, opened):
    """White just where no radius is; else the darker the smaller."""
    shown = opened(made / "flat.html")
    shown.ready()
    certificate = certificates(made / "flat")[1]
    radius = radius_map(certificate.votes, noise=certificate.noise, alpha=1e-3).radius
    heat = shown.mask(1, "heat")
    assert np.array_equal((heat == 255).all(axis=-1), radius == 0)
    brightness = heat.sum(axis=-1)
    assert (
        brightness[radius == radius.max()].min() > brightness[(radius > 0) & (radius < 0.05)].max()
    )


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_reading_a_pixel_and_zooming_in_step(size, made, opened, tmp_path):
    shown = opened(made / "flat.html", size)
    page = shown.ready()
    article = page.locator("article").nth(1)
    article.scroll_into_view_if_needed()
    certificate = certificates(made / "flat")[1]
    mapped = radius_map(certificate.votes, noise=certificate.noise, alpha=1e-3)
    names = read_manifest(made / "flat").classes
    _, hits = certificate.votes.top()

    def read(row: int, column: int) -> None:
        text = article.locator(".readout").inner_text()
        label = certificate.labels[row, column]
        assert f"Row {row}, column {column}:" in text
        assert f"certified {'abstains' if label == ABSTAIN else names[label]}," in text
        assert f"{hits[row, column]} of 200 votes" in text
        value = mapped.radius[row, column]
        assert (f"radius {down(value)}" if value else "no radius") in text

    frame = article.locator('.tile[data-layer="own"] .frame')
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    for row, column in ((7, 12), (20, 33)):
        x = box["x"] + (column + 0.5) / SIZE[1] * box["width"]
        y = box["y"] + (row + 0.5) / SIZE[0] * box["height"]
        page.mouse.move(x, y)
        read(row, column)
    # The same place stays under the pointer, in every tile.
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function("rows[1].view.scale > 2")
    page.mouse.move(x + 0.5, y)
    read(20, 33)
    layers = article.locator(".frame img:visible, .frame canvas:visible")
    moved = layers.evaluate_all("(all) => all.map((one) => getComputedStyle(one).transform)")
    matrices = {tuple(round(float(n), 1) for n in m[7:-1].split(",")) for m in moved}
    assert len(moved) == 6
    assert len(matrices) == 1
    crosses = article.locator(".cross").evaluate_all("(all) => all.map((one) => one.offsetLeft)")
    assert len(set(crosses)) == 1
    article.locator("[data-zoom=all]").click()
    assert page.evaluate("rows[1].view.scale") == 1
    kept = Path(os.environ.get("CERTISEG_SCREENSHOTS", tmp_path))
    kept.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=kept / f"report-{size[0]}.png")
    assert shown.complaints == []


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_the_page_fits_and_asks_nothing_of_the_network(size, hostile, opened):
    """Long names too."""
    shown = opened(hostile, size, charts=True)
    page = shown.ready()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.url.startswith("file://")
    assert [u for u in shown.asked[1:] if not u.startswith(("data:", "blob:"))] == []
    assert shown.complaints == []


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_nothing_moves_while_samples_and_charts_load(size, hostile, opened):
    shown = opened(hostile, size, charts=True)
    height = "document.documentElement.scrollHeight"
    before = shown.page.evaluate(height)
    assert shown.ready().evaluate(height) == before
    shown.page.evaluate("window.scrollTo({ top: 1e9, behavior: 'instant' })")
    shown.settle()
    assert shown.page.evaluate(height) == before


def test_keyboard_reaches_slider_and_pictures(made, opened):
    shown = opened(made / "flat.html")
    page = shown.ready()
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if seen[-1].startswith("stage"):
            break
    assert "radius" in seen
    assert seen[-1].startswith("stage images")
    style = "getComputedStyle(document.activeElement)"
    assert page.evaluate(f"{style}.outlineStyle") == "solid"
    # The first press puts the cross in the middle, the next ones move it.
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowDown", "+"):
        page.keyboard.press(key)
    assert f"Row {SIZE[0] // 2 + 10}, column {SIZE[1] // 2 - 1}:" in page.inner_text(".readout")
    assert page.evaluate("rows[0].view.scale") > 1
    page.focus("#radius")
    before = page.input_value("#radius")
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#radius")) > float(before)
    assert page.is_checked('input[value="chosen"]')
    assert page.get_attribute("#radius", "aria-valuetext") == page.inner_text("#radius-text")


def test_every_picture_has_words(made, opened):
    page = opened(made / "flat.html").ready()
    tiles = page.locator(".tile canvas, .tile img:not(.beneath), .plot")
    words = tiles.evaluate_all("(all) => all.map((e) => e.alt || e.ariaLabel)")
    assert len(words) == 3 * 6 + 3
    assert all(words)


def test_wrong_but_certified_pixels_stand_out(made, opened):
    shown = opened(made / "flat.html")
    page = shown.ready()
    page.check("#wrong")
    shown.settle()
    certificate = certificates(made / "flat")[0]
    with np.load(Layout(made / "flat").view("0000-one")) as view:
        truth = view["truth"]
    certified = certificate.certified & (truth != 255)
    wrong = certified & (certificate.labels != truth)
    red = (shown.mask(0) == (196, 0, 82)).all(axis=-1)
    assert wrong.any()
    assert np.array_equal(red, wrong)


def test_colours_change_and_one_class_can_stand_alone(made, opened):
    shown = opened(made / "flat.html")
    page = shown.ready()
    page.select_option("#palette", "safe")
    shown.settle()
    assert {tuple(c) for c in shown.mask(0, "truth").reshape(-1, 3)} == {
        (0, 114, 178), (230, 159, 0), (0, 158, 115), (226, 226, 220),
    }  # fmt: skip
    page.click(".legend button >> nth=1")
    shown.settle()
    assert {tuple(c) for c in shown.mask(0, "truth").reshape(-1, 3)} == {
        (214, 214, 219), (230, 159, 0), (226, 226, 220),
    }  # fmt: skip
    # Over a photograph an abstention stays white.
    page.click(".legend button >> nth=1")
    page.evaluate("const s = document.getElementById('beneath'); s.value = 50;"
                  "s.dispatchEvent(new Event('input'))")  # fmt: skip
    shown.settle()
    white = (shown.mask(0) == 255).all(axis=-1)
    assert np.array_equal(white, ~certificates(made / "flat")[0].certified)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    names = (HOSTILE, f"../{HOSTILE}", "=cmd|' /C calc'!A0")
    made_run(root / "run", names, classes=(HOSTILE, "car", "</script>"), model=HOSTILE)
    return write_report([root / "run"], root / "report.html", figures=root / "figures").page


_INJECTED = "document.querySelectorAll('.injected, img[src=\"x\"]').length"


def test_names_are_text(hostile, opened):
    """Names of images, classes and model that would be markup, a script, a template, a formula."""
    shown = opened(hostile, charts=True)
    page = shown.ready()
    page.locator(".stage").first.hover()
    page.mouse.move(300, 500)
    assert page.evaluate(_INJECTED) == 0
    assert page.evaluate("typeof injected") == "undefined"
    assert page.inner_text("h3#sample-1") == HOSTILE
    assert page.locator(".legend button").first.inner_text() == HOSTILE
    assert HOSTILE in page.inner_text(".claim")
    assert HOSTILE in page.locator(".plot.js-plotly-plot").nth(1).inner_text()
    assert shown.complaints == []


def test_an_unescaped_name_is_noticed(hostile, opened, tmp_path):
    """Negative control: the same page with one name set as markup."""
    text = hostile.read_text()
    broken = text.replace("&lt;b class=injected&gt;", "<b class=injected>", 1)
    assert broken != text
    (tmp_path / "broken.html").write_text(broken)
    page = opened(tmp_path / "broken.html").page
    assert page.evaluate(_INJECTED) > 0


def test_runs_side_by_side(made, opened, tmp_path):
    runs = [made / name for name in ("flat", "map", "tree")]
    write_report(runs, tmp_path / "several.html")
    shown = opened(tmp_path / "several.html")
    page = shown.ready()
    assert page.locator("article").count() == 3
    titles = page.locator("article").first.locator(".tile b").all_text_contents()
    assert titles == ["Input", "Truth", "flat", "map", "tree"]
    radius = shown.choose(0.12)
    palette = own_palette(read_manifest(made / "flat").palette)
    for number, run in enumerate(runs):
        certificate = certificates(run)[2]
        held = radius_map(certificate.votes, noise=certificate.noise, alpha=1e-3).at(radius)
        assert np.array_equal(shown.mask(2, "own", number), painted(held, palette))
    page.select_option("#layer", "heat")
    shown.settle()
    assert len({tuple(c) for c in shown.mask(0, "own", 1).reshape(-1, 3)}) > 3
    assert page.evaluate("document.documentElement.scrollWidth") == WIDE[0]
    assert shown.complaints == []


def test_without_a_map_of_radii_the_page_says_why(opened, tmp_path):
    """Early stopping: the number of draws depended on the votes, so no radius can be chosen."""
    settings = Settings(num_samples=200, seed=1, stopping=Stopping(min_gain=0.1, looks=1))
    made_run(tmp_path / "early", settings=settings)
    write_report([tmp_path / "early"], tmp_path / "early.html")
    shown = opened(tmp_path / "early.html")
    page = shown.page
    shown.ready()
    assert page.locator("#radius").count() == 0
    assert "one that depended on the votes" in page.inner_text("#samples")
    certificate = certificates(tmp_path / "early")[0]
    palette = own_palette(read_manifest(tmp_path / "early").palette)
    assert np.array_equal(shown.mask(0), painted(certificate.labels, palette))
    assert shown.complaints == []


def test_a_browser_that_cannot_unpack_says_so(made, opened):
    shown = opened(made / "flat.html")
    page = shown.page
    shown.ready()
    assert "lacks DecompressionStream" in page.inner_text(".plot .failed >> nth=0")
    still = page.locator(".plot .still")
    assert still.evaluate_all("(all) => all.map((e) => e.naturalWidth > 100)") == [True] * 3
    assert shown.mask(0).size
    assert shown.complaints == []


def test_on_paper_there_are_pictures_and_no_controls(made, opened):
    page = opened(made / "flat.html").ready()
    page.emulate_media(media="print")
    assert not page.is_visible("#radius")
    assert page.is_visible("article .tile canvas >> nth=0")


def margins(page: Any) -> list[int]:
    """The darkest value just inside the left and right edges of each cloud of the first row."""
    found = []
    for tile in page.locator("article .cloud").all()[:5]:
        seen = np.asarray(Image.open(io.BytesIO(tile.screenshot())).convert("L"))
        found.append(int(np.concatenate([seen[4:-4, 4:12], seen[4:-4, -12:-4]]).min()))
    return found


@pytest.mark.parametrize("law", ["coordinates", "rotation"])
def test_clouds_turn_together_and_show_what_is_certified(law, opened, tmp_path):
    axis = "z" if law == "rotation" else None
    settings = Settings(num_samples=200, seed=1, law=law, axis=axis)
    made_run(tmp_path / "clouds", (HOSTILE,), settings, clouds=True)
    write_report([tmp_path / "clouds"], tmp_path / "clouds.html")
    shown = opened(tmp_path / "clouds.html", charts=True)
    page = shown.page
    page.locator("article").first.scroll_into_view_if_needed()
    page.wait_for_function("rows[0].tiles.every((tile) => tile.querySelector('.cloud').data)")
    assert margins(page) == [255] * 5
    certificate = certificates(tmp_path / "clouds")[0]
    mapped = radius_map(certificate.votes, noise=settings.noise, alpha=1e-3)
    colours = """(layer) => rows[0].stage.querySelector(`[data-layer="${layer}"] .cloud`)
      .data[0].marker.color"""
    for asked in (0.0, 0.1, 0.2, 1e9):
        held = mapped.at(shown.choose(asked))
        given = page.evaluate(colours, "own")
        palette = own_palette(read_manifest(tmp_path / "clouds").palette)
        expected = [f"rgb({' '.join(map(str, c))})" for c in painted(held, palette).tolist()]
        assert given == expected
    page.locator(".stage").first.focus()
    page.keyboard.press("n")
    hits = certificate.votes.top()[1][0]
    text = page.locator(".readout").first.inner_text()
    assert text.startswith("Point 0:")
    assert f"{hits} of 200 votes" in text
    assert ("rad (" in page.inner_text("#radius-text")) == (law == "rotation")
    before = page.evaluate("rows[0].camera.eye.x")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"rows[0].camera.eye.x !== {before} && !rows[0].turning")
    eyes = page.evaluate(
        """rows[0].tiles.map((tile) =>
          tile.querySelector(".cloud").layout.scene.camera.eye.x.toFixed(6))"""
    )
    assert len(eyes) == 5
    assert len(set(eyes)) == 1
    assert page.evaluate("document.documentElement.scrollWidth") == WIDE[0]
    assert shown.complaints == []
