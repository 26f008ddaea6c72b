"""The report of runs that are whole, unfinished, broken or none; figures for papers."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.report import write
from certiseg.report.page import interactive
from certiseg.report.volume import Slices
from certiseg.report.write import write_report
from certiseg.runfolder.layout import Layout
from certiseg.runs.settings import Settings
from made_runs import VOLUME, made_run

TREE = Hierarchy("traffic", ("road", "car", "sky"), ("ground",), (3, 3, -1, -1))
HOSTILE = '<b>$x^{2}$ & 50% \\input{/etc/passwd} "quoted" #1_~</script>'


@pytest.fixture
def run(tmp_path) -> Path:
    made_run(tmp_path / "run")
    return tmp_path / "run"


def payloads(page: Path) -> list[dict]:
    found = re.findall(r'class="payload">(.*?)</script>', page.read_text(), flags=re.DOTALL)
    return [json.loads(text) for text in found]


def test_a_whole_run(run, tmp_path):
    written = write_report([run], tmp_path / "deep" / "report.html")
    text = written.page.read_text()
    assert written.notes == []
    assert [sample["name"] for sample in payloads(written.page)] == ["one", "two", "three"]
    assert "With confidence 99.9% for each image on its own" in text
    # Nothing is fetched: no address is loaded, and the browser is told to load none.
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "default-src 'none'" in text


def test_a_binary_output_is_in_the_claim_and_in_the_settings(tmp_path):
    source = {"binary": BinaryOutput("logit", 0.4)}
    made_run(tmp_path / "run", ("one",), classes=("none", "vessel"), source=source)
    text = write_report([tmp_path / "run"], tmp_path / "report.html").page.read_text()
    said = "label 1 where the sigmoid of its one channel exceeds 0.4, else 0"
    assert f"the majority vote of made-up model ({said}) under" in text
    assert f"<dt>Binary output</dt><dd>{said}</dd>" in text


@pytest.mark.parametrize("kind", ["image", "volume"])
def test_the_slider_of_what_lies_beneath_has_the_word_of_its_kind(tmp_path, kind):
    made_run(tmp_path / "run", ("one",), volumes=kind == "volume")
    text = write_report([tmp_path / "run"], tmp_path / "report.html").page.read_text()
    assert f"{kind.capitalize()} beneath <input" in text


def test_of_a_volume_the_slices_and_their_gaps_are_encoded(tmp_path):
    made_run(tmp_path / "run", ("one",), volumes=True)
    (sample,) = payloads(write_report([tmp_path / "run"], tmp_path / "report.html").page)
    slices = Slices.of(VOLUME)
    with np.load(Layout(tmp_path / "run").view("0000-one")) as view:
        truth = slices.image(view["truth"].astype(int), -1)
    content = base64.b64decode(sample["truth"].split(",")[1])
    stored = np.asarray(Image.open(io.BytesIO(content)))
    # No truth is 0, a gap is white as an abstention, 1.
    assert np.array_equal(stored, np.where(truth == 255, 0, truth + 2))
    assert sample["slices"] == {
        "places": list(slices.places), "size": [9, 12], "across": 3, "gap": 1,
    }  # fmt: skip
    assert sample["size"] == [2 * 9 + 1, 3 * 12 + 2]


def test_the_table_of_radii_adds_up_to_the_masks(run, tmp_path):
    from certiseg.certificates.certificate import Certificate
    from certiseg.certifiers.radius_map import radius_map

    (sample, *_) = payloads(write_report([run], tmp_path / "report.html").page)
    certificate = Certificate.load(Layout(run).certificate("0000-one"))
    mapped = radius_map(certificate.votes, noise=certificate.noise, alpha=1e-3)
    with np.load(Layout(run).view("0000-one")) as view:
        truth = view["truth"]
    for radius in (0.0, 0.1, 0.1685, 0.25):
        table = sample["runs"][0]["table"]
        rows = [row for row in table if row[1] is not None and row[1] >= radius]
        held = mapped.at(radius)
        assert sum(row[2] for row in rows) == (held >= 0).sum()
        assert sum(row[3] for row in rows) == ((held >= 0) & (truth != 255)).sum()
        assert sum(row[4] for row in rows) == ((held == truth) & (held >= 0)).sum()


def test_images_are_spread_evenly(run, tmp_path):
    written = write_report([run], tmp_path / "report.html", images=1)
    assert [sample["name"] for sample in payloads(written.page)] == ["two"]
    assert payloads(write_report([run], tmp_path / "report.html", images=0).page) == []


def test_an_unfinished_run_says_what_is_missing(tmp_path):
    made_run(tmp_path / "run", [f"picture {n}" for n in range(20)], done=12)
    written = write_report([tmp_path / "run"], tmp_path / "report.html")
    (note,) = written.notes
    assert "12 of 20 samples are there; missing: picture 12, picture 13" in note
    assert note in written.page.read_text()
    assert len(payloads(written.page)) == 12


def test_a_run_that_has_not_begun(tmp_path):
    made_run(tmp_path / "run", done=0)
    written = write_report([tmp_path / "run"], tmp_path / "report.html")
    assert "0 of 3 samples are there; missing: one, two, three" in written.notes[0]


def test_a_run_that_kept_nothing_still_has_its_table(tmp_path):
    made_run(tmp_path / "run", keep=0)
    written = write_report([tmp_path / "run"], tmp_path / "report.html", figures=tmp_path / "f")
    text = written.page.read_text()
    assert "No image to be looked at: certiseg evaluate --keep" in text
    assert "certified accuracy" in text


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _other_version(path: Path) -> None:
    path.write_text(path.read_text().replace('"confusion"', '"confusions"'))


def _forge(path: Path) -> None:
    """One label changed, the digest left as it was."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays["labels"] = arrays["labels"].copy()
    arrays["labels"][0, 0] = (arrays["labels"][0, 0] + 1) % 3
    np.savez_compressed(path, **arrays)


def _pickled(path: Path) -> None:
    np.savez_compressed(path, x=np.array([{"a": 1}], dtype=object))


def _other_classes(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays["truth"] = np.full_like(arrays["truth"], 7)
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize(
    ("part", "damage", "refuted", "left"),
    [
        ("views/0001-two.npz", _cut, False, 2),
        ("views/0001-two.npz", Path.unlink, False, 2),
        ("views/0001-two.npz", _pickled, False, 2),
        ("views/0001-two.npz", _other_classes, False, 2),
        ("certificates/0001-two.cert.npz", _cut, False, 2),
        ("certificates/0001-two.cert.npz", _forge, True, 2),
        ("samples/0001-two.json", _cut, False, 2),
        ("samples/0001-two.json", _other_version, False, 2),
    ],
)
@pytest.mark.slow
def test_a_broken_file_is_named_and_left_out(run, tmp_path, part, damage, refuted, left):
    damage(run / part)
    written = write_report([run], tmp_path / "report.html")
    assert bool(written.refuted) is refuted
    (line,) = written.refuted or written.notes
    assert part in line
    assert "\n" not in line
    assert len(payloads(written.page)) == left
    assert Path(part).name in written.page.read_text()


@pytest.mark.parametrize(
    ("other", "clouds"),
    [
        (Settings(num_samples=200), True),
        (Settings(num_samples=200, alpha=0.01), False),
        (Settings(num_samples=200, tau=0.6), False),
        (Settings(num_samples=200, sigma=0.5), False),
        (Settings(num_samples=200, radius_map=True), False),
        (Settings(num_samples=200, hierarchy=TREE), False),
    ],
)
def test_certificates_of_another_run_are_noticed(tmp_path, other, clouds):
    """Whole in themselves, and no evidence for what the page claims."""
    made_run(tmp_path / "run")
    made_run(tmp_path / "other", settings=other, clouds=clouds)
    other = Layout(tmp_path / "other").certificate("0000-one").read_bytes()
    Layout(tmp_path / "run").certificate("0000-one").write_bytes(other)
    written = write_report([tmp_path / "run"], tmp_path / "report.html")
    assert "0000-one.cert.npz: " in written.refuted[0]
    assert "stated as" in written.refuted[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(format="certiseg-run-9"),
        lambda record: record.update(kind="films"),
        lambda record: record.update(classes=["a"] * 300),
        lambda record: record.update(palette=[[0, 0, 999]] * 3),
        lambda record: record["settings"].update(tau="far"),
        lambda record: record["settings"].update(alpha=5.0),
        lambda record: record["settings"].update(num_samples=True),
        lambda record: record["settings"].update(budget=10**30),
        lambda record: record["samples"][0].update(size=[24, 10**30]),
        lambda record: record["samples"][0].update(category="thing"),
        lambda record: record["samples"][0].update(file="../../etc/passwd"),
        lambda record: record["samples"][0].update(number=4),
        lambda record: record.update(samples="none"),
        lambda record: record.pop("noise"),
        lambda record: record.update(noise={"kind": "gaussian", "sigma": -1}),
    ],
)
def test_a_manifest_that_no_run_writes_is_refused(run, tmp_path, change):
    record = json.loads((run / "run.json").read_text())
    change(record)
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"run\.json: expected a manifest"):
        write_report([run], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_folders_that_are_no_runs(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(InputError, match=r"without run\.json"):
            write_report([tmp_path / folder], tmp_path / "report.html")
    whole = (run / "run.json").read_text()
    for text in (
        "{",
        whole.replace('"seed"', '"radius": 5.0, "radius": 5.0, "seed"', 1),
        "[" * 10**5,
    ):
        (run / "run.json").write_text(text)
        with pytest.raises(InputError, match=r"run\.json: expected a manifest"):
            write_report([run], tmp_path / "report.html")


def test_runs_that_do_not_fit_side_by_side(run, tmp_path):
    made_run(tmp_path / "clouds", clouds=True)
    made_run(tmp_path / "classes", classes=("a", "b", "c"))
    for other, what in (("clouds", "kind of input"), ("classes", "classes")):
        with pytest.raises(InputError, match=f"the same {what}"):
            write_report([run, tmp_path / other], tmp_path / "report.html")
    turned = Settings(num_samples=200, law="rotation")
    made_run(tmp_path / "turned", settings=turned, clouds=True)
    with pytest.raises(InputError, match=r"the same norm, .* \(l2 and rotation\)"):
        write_report([tmp_path / "clouds", tmp_path / "turned"], tmp_path / "report.html")
    with pytest.raises(InputError, match="at least one run"):
        write_report([], tmp_path / "report.html")


def test_runs_side_by_side_show_what_all_have(run, tmp_path):
    made_run(tmp_path / "other" / "run", ("two", "three", "four"), Settings(0.5, num_samples=200))
    written = write_report([run, tmp_path / "other" / "run"], tmp_path / "report.html")
    text = written.page.read_text()
    # Pictures of the same name with other contents are not shown as the same.
    assert any("two: expected one input and truth" in note for note in written.notes)
    assert "run (1): base, clean" in text
    assert "run (2): certified, n = 200" in text


def test_missing_libraries_are_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr(interactive.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Jinja2.*pip install 'certiseg\[report\]'"):
        write_report([run], tmp_path / "report.html")


@pytest.mark.slow
@pytest.mark.parametrize("clouds", [False, True], ids=["pictures", "clouds"])
def test_figures_for_papers(tmp_path, clouds):
    classes = (HOSTILE, "car", "$")
    names = ("one",) if clouds else ("one", HOSTILE)
    made_run(tmp_path / "run", names, classes=classes, clouds=clouds, model=HOSTILE)
    out = tmp_path / "figures"
    write_report([tmp_path / "run"], tmp_path / "report.html", figures=out)
    stems = {path.stem for path in out.glob("*.png")}
    assert {"curve", "classes", "boundary", "0000-one"} <= stems
    assert len(stems) == 3 + len(names)
    for stem in stems:
        assert Image.open(out / f"{stem}.png").width > 500
        ElementTree.parse(out / f"{stem}.svg")
        assert (out / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    drawn = (out / "classes.svg").read_text()
    assert "$x^{2}$ &amp; 50%" in drawn
    rows = list(csv.DictReader((out / "table.csv").open()))
    assert [row["model"] for row in rows][-1] == "certified, n = 200"
    table = (out / "table.tex").read_text()
    assert r"\toprule" in table
    # The hostile model name stands in the caption, with every special letter made harmless.
    assert "\\input{" not in table
    assert r"\textbackslash{}input\{/etc/passwd\}" in table


@pytest.mark.slow
def test_a_page_of_large_pictures_stays_light(run, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_MOST_COMPONENTS", 2 * 24 * 40)
    written = write_report([run], tmp_path / "report.html")
    assert [sample["name"] for sample in payloads(written.page)] == ["one", "three"]
    assert "2 of the run's 3 images" in re.sub("&#39;", "'", written.page.read_text())
    assert len(payloads(write_report([run], written.page, images=3).page)) == 3
