"""No figure is shown better than it is: the module, every output, and that there is no other way.

Outputs are rendered from figures that lie just beside a rounding step; every number in their text
that is some rounding of a figure must be on the figure's honest side. Each output fails the same
check when numbers are rounded to the nearest (negative control).
"""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

import certiseg as cs
from certiseg import rounding
from certiseg.bench.result import Goal
from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.percentile import PercentileBound
from certiseg.cli.main import run
from certiseg.report.plan import plan_table
from certiseg.report.reproduction.tables import CloudRow, FalseRow, PictureRow, Tables
from certiseg.report.study import correction_table, synthetic_table
from certiseg.runfolder.comparison import Row, comparison_table
from certiseg.runs.demo import _certified, _correct
from certiseg.studies.correction import Compared
from certiseg.studies.plan import Request, prospects
from certiseg.studies.synthetic import Measured, Scenario
from certiseg.studies.toy import Toy

SOURCE = Path(rounding.__file__).parent

# --- the module -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [0.29, 0.1687, math.nextafter(0.1687, 0), 0.99996, 1e-9, 0.0, 1.0]
)
@pytest.mark.parametrize("decimals", [1, 4, 6])
def test_bounds_are_on_their_side_and_next_to_the_number(value, decimals):
    low, high = (Fraction(way(value, decimals)) for way in (rounding.down, rounding.up))
    assert low <= Fraction(value) <= high
    assert high - low <= Fraction(1, 10**decimals)


@settings(max_examples=300)
@given(st.integers(1, 10**9), st.integers(0, 10**9), st.sampled_from([1, 4, 6]))
def test_shares_of_counts_are_rounded_as_the_exact_ratio(whole, part, decimals):
    ratio = Fraction(part % (whole + 1), whole)
    value = ratio.numerator / ratio.denominator
    step = 10**decimals
    assert Fraction(rounding.share_down(value, decimals)) == Fraction(
        math.floor(ratio * step), step
    )
    assert Fraction(rounding.share_up(value, decimals)) == Fraction(math.ceil(ratio * step), step)


def test_all_is_only_said_of_all():
    assert (rounding.share_down(1.0), rounding.share_down(0.99996)) == ("1.0000", "0.9999")
    assert (rounding.share_up(0.0), rounding.share_up(0.00004)) == ("0.0000", "0.0001")
    assert rounding.percent_down(Fraction(9999, 10000)) == "99.9%"
    assert rounding.percent_up(Fraction(1, 10000)) == "0.1%"
    almost = math.nextafter(0.0037, 0)
    assert (
        math.floor(almost * 1e4) == 37
    )  # the product is rounded, so was the radius that was shown
    assert rounding.down(almost) == "0.0036"


@pytest.mark.parametrize(
    ("alpha", "text"),
    [(1e-3, "99.9%"), (0.3, "70%"), (0.00123456789, "99.876543211%"), (1e-30, "99.999999999999%")],
)
def test_confidence_is_never_all(alpha, text):
    """1e-30: one minus it is 1 in 28 digits, and was shown as 100%."""
    assert rounding.confidence(alpha) == text


@pytest.mark.parametrize("value", [0.25, 0.2512345678, 1e-3, 1e-5, 1 / 3, 7, 123456.75])
def test_parameters_are_whole(value):
    assert float(rounding.exact(value)) == value


def test_what_is_not_there_is_a_dash():
    for way in (rounding.down, rounding.up, rounding.share_down, rounding.share_up):
        assert (way(None), way(float("nan"))) == ("-", "-")
    assert rounding.percent_down(math.nan) == rounding.exact(None) == "-"


# --- that there is no other way -------------------------------------------------------------

_NUMERIC = re.compile(r"(\.\d+[a-zA-Z%]?|[eEfFgG%])$")
_TEMPLATE = re.compile(r"\{\w*:[^{}]*[eEfFgG%]\}|%\.?\d*[efg]\b|\.\d[f]\b")
_FREE = {"rounding.py": "the one that does it"}


def _own_roundings(source: str) -> list[str]:
    """Lines of Python that turn a number into text by a format or by rounding it themselves.

    Not those of an error, which repeats what was given.
    """
    tree = ast.parse(source)
    errors = {id(x) for n in ast.walk(tree) if isinstance(n, ast.Raise) for x in ast.walk(n)}
    found = []
    for node in ast.walk(tree):
        if id(node) in errors:
            continue
        bad = False
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            parts = [p for p in node.format_spec.values if isinstance(p, ast.Constant)]
            text = node.conversion != -1  # {name!r:.60} cuts a text off
            bad = bool(parts and not text and _NUMERIC.search(str(parts[-1].value)))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "round":
            bad = len(node.args) > 1
        elif isinstance(node, ast.Call):
            called = {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}
            bad = bool(called & {"quantize"}) or getattr(node.func, "id", "") == "format"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            bad = getattr(getattr(node.left, "func", None), "attr", "") in ("floor", "ceil")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            bad = bool(_TEMPLATE.search(node.value)) and "\n" not in node.value
        if bad:
            found.append(f"{getattr(node, 'lineno', 0)}: {ast.unparse(node)[:80]}")
    return found


# Numbers that stay numbers: stored seconds and figures of a benchmark, its axis, means of a data
# set, seeds.
_STORED = {
    "bench/result.py", "bench/time_to_certificate.py", "runs/record.py",
    "runfolder/pooled.py", "runs/reproduction/cell.py", "training/loading.py",
}  # fmt: skip
# Helpers of error messages.
_ERRORS = {"datasets/nifti.py", "files/fields.py", "metrics/curve.py", "sampling/checks.py"}


def test_nothing_else_turns_a_number_into_text():
    found = {
        str(path.relative_to(SOURCE)): lines
        for path in sorted(SOURCE.rglob("*.py"))
        if (lines := _own_roundings(path.read_text(encoding="utf-8")))
    }
    assert set(found) == _STORED | _ERRORS | set(_FREE), found


@pytest.mark.parametrize(
    "line",
    [
        'f"{share:.4f}"', 'f"{share:.1%}"', 'f"{sigma:g}"', "math.floor(share * 1e4) / 1e4",
        "math.ceil(a * 1000) / 10", "round(share, 4)", 'format(share, ".3f")',
        '"{share:.3f}".format(share=share)', '"%{y:.4f} at %{x:.4f}"', '"%.3f" % share',
        "Decimal(share).quantize(step)", '{"tickformat": ".1f"}',
    ],
)  # fmt: skip
def test_a_rounding_of_its_own_is_noticed(line):
    """Negative control: each of these stood here."""
    assert _own_roundings(line)


def test_the_page_rounds_no_number():
    """JavaScript rounds colours alone; figures come in words, shares of counts in whole numbers."""
    script = "".join(p.read_text() for p in (SOURCE / "report/page/assets").glob("*.js"))
    assert not re.findall(r"toFixed|toPrecision|toLocaleString|Intl|1e-7", script)
    lines = [line.strip() for line in script.splitlines() if "Math.round" in line]
    assert len(lines) == 2
    assert all("VIRIDIS" in line or "alpha" in line for line in lines)


# --- every output ---------------------------------------------------------------------------

DOWN, UP, WHOLE = "down", "up", "whole"


@dataclass(frozen=True)
class Figure:
    value: Fraction
    way: str

    def honest(self, shown: Fraction) -> bool:
        if self.way == WHOLE:
            return shown == self.value
        return shown <= self.value if self.way == DOWN else shown >= self.value


Figures = Mapping[str, Figure]
_TOKEN = re.compile(r"(?<![\w.:/+-])(\d+\.\d+(?:e-\d+)?|\d+(?=%))(%?)(?![\w.])")


def read(text: str, figures: Figures) -> tuple[list[str], set[str]]:
    """Numbers that are a dishonest rounding of a figure and of no other an honest one; the figures
    of which some number is an honest rounding. Fewer than three decimals tell nothing apart."""
    wrong, seen = [], set()
    for number, percent in _TOKEN.findall(text):
        decimals = len(number.partition(".")[2].partition("e")[0]) + (2 if percent else 0)
        decimals += int(number.partition("e-")[2] or 0)
        if decimals < 3:
            continue
        shown = Fraction(number) / (100 if percent else 1)
        near = {
            k: f for k, f in figures.items() if abs(shown - f.value) < Fraction(1, 10**decimals)
        }
        honest = {name for name, figure in near.items() if figure.honest(shown)}
        seen |= honest
        if near and not honest:
            wrong.append(f"{number}{percent} for {', '.join(near)}")
    return wrong, seen


MODEL = """
import torch


def build():
    return lambda x: torch.cat([0.5 - x, x - 0.5], 1)
"""
SIZE = (24, 40)
SIGMA, TAU, ALPHA = 0.2507654321, 0.7487654321, 0.00123456789
METHOD = ("--sigma", str(SIGMA), "--tau", str(TAU), "--alpha", str(ALPHA), "-n", "200")
COMMON = ("--model", "python:beside:build", "--num-classes", "2", "--channels", "1", "--seed", "3")


def _plain(*values: tuple[str, Fraction | float, str]) -> dict[str, Figure]:
    return {name: Figure(Fraction(value), way) for name, value, way in values}


PARAMETERS = _plain(
    ("sigma", Fraction(str(SIGMA)), WHOLE),
    ("tau", Fraction(str(TAU)), WHOLE),
    ("alpha", Fraction(str(ALPHA)), WHOLE),
    ("confidence", 1 - Fraction(str(ALPHA)), DOWN),
    ("radius", cs.Gaussian(SIGMA).radius(TAU), DOWN),
)


@dataclass
class Made:
    """A folder with a picture and its truth, and what is to be found out about them."""

    root: Path
    figures: dict[str, Figure]


def _call(*words: object) -> str:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = run([str(word) for word in words])
    assert code == 0, told.getvalue()
    return told.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """960 pixels: one abstains (its brightness is the threshold), one is certified and wrong, 12
    have no truth."""
    root = tmp_path_factory.mktemp("beside")
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    (root / "beside.py").write_text(MODEL)
    bright = (np.arange(SIZE[1]) >= 17)[None].repeat(SIZE[0], axis=0)
    grey = (255 * bright).astype(np.uint8)
    grey[10, 10] = 128
    truth = bright.astype(np.uint8)
    truth[20, 30] = 0
    truth[:3, :4] = 255
    Image.fromarray(grey).save(root / "images/one.png")
    Image.fromarray(truth).save(root / "labels/one.png")
    patch = pytest.MonkeyPatch()
    patch.chdir(root)
    patch.syspath_prepend(str(root))
    patch.setenv("COLUMNS", "200")
    yield Made(root, _figures(truth, bright))
    patch.undo()


def _figures(truth: np.ndarray, bright: np.ndarray) -> dict[str, Figure]:
    """By counting with whole numbers, independent of the package."""
    labels = bright.astype(int)
    labels[10, 10] = -1
    known = truth != 255
    whole, labelled = truth.size, int(known.sum())
    right = int((known & (labels == truth)).sum())
    ious, bounds = [], []
    for c in (0, 1):
        hit = int((known & (labels == c) & (truth == c)).sum())
        of_truth, given = int((truth == c).sum()), int((known & (labels == c)).sum())
        strangers = int((known & (labels == -1) & (truth != c)).sum())
        ious.append(Fraction(hit, of_truth + given - hit))
        bounds.append(Fraction(hit, of_truth + given - hit + strangers))
    return {
        **PARAMETERS,
        **_plain(
            ("certified share", Fraction(whole - 1, whole), DOWN),
            ("certified accuracy", Fraction(right, labelled), DOWN),
            ("correct where certified", Fraction(right, labelled - 1), DOWN),
            ("abstention", Fraction(1, labelled), UP),
            ("abstention of all", Fraction(1, whole), UP),
            ("wrong", Fraction(1, labelled), UP),
            ("mIoU", sum(ious) / 2, DOWN),
            ("certified mIoU", sum(bounds) / 2, DOWN),
            *((f"IoU {c}", value, DOWN) for c, value in enumerate(ious)),
            *((f"certified IoU {c}", value, DOWN) for c, value in enumerate(bounds)),
        ),
    }


class _Words(HTMLParser):
    """What a page says: text and the words of its attributes, no script, style or data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        self.said += [v or "" for k, v in attrs if k in ("alt", "aria-label", "title")]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(data)


def _screen(table: object) -> str:
    console = Console(width=250, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _all_forms(tables: Tables) -> str:
    shown = "".join(_screen(table.rich()) for table in tables.screen())
    return tables.markdown() + tables.latex() + shown


def _certify(made: Made, *options: str) -> str:
    out = f"certified{len(options)}"
    return _call(
        "certify", "images/one.png", *COMMON, *METHOD, *options, "-o", out, "--overwrite"
    )  # fmt: skip


def _evaluate(made: Made, *options: str) -> str:
    folders = ("--images", "images", "--labels", "labels")
    out = f"run{len(options)}"
    words = *folders, *COMMON, *METHOD, *options, "--percentile", "--no-report", "-o", out
    said = _call("evaluate", *words, "--overwrite")
    return said + (made.root / out / "table.md").read_text()


def _report(made: Made) -> str:
    """The page's words, and the table for a paper."""
    _evaluate(made)
    said = _call("report", "run0", "-o", "page.html", "--figures", "figures")
    words = _Words((made.root / "page.html").read_text()).said
    return "\n".join([said, *words, (made.root / "figures/table.tex").read_text()])


def _certificate(made: Made) -> Certificate:
    _certify(made)
    return Certificate.load(made.root / "certified0/one.cert.npz")


def _demo(made: Made) -> str:
    sure, known = rounding.confidence(_certificate(made).alpha), np.zeros(SIZE, dtype=np.uint8)
    sample: Any = type("Sample", (), {"labels": known})
    labels = np.zeros(SIZE, dtype=np.int64)
    labels.flat[:2] = -1, 1
    look: Any = type("Look", (), {"classes": ("dark", "bright")})
    held: Any = type("Held", (), {"labels": labels})
    said = _certified(sample, held, look), _correct(sample, labels, look), sure
    return "\n".join(said)


def _verify(made: Made) -> str:
    _certificate(made)
    return _call("verify", "certified0/one.cert.npz")


def _study(made: Made) -> str:
    _certificate(made)
    return _call("study", "correction", "certified0", "-o", "study", "--overwrite")


_ROW = Row(
    "certified", 0.99996, 2 / 3, certified_accuracy=0.99996, certified_miou=2 / 3,
    instance_miou=0.88889, category_miou=0.77778, certified_instance_miou=0.55557,
    certified_category_miou=0.44446, correct_where_certified=0.33336, certified_node=0.22226,
    cig=0.11116, class_cig=0.12346, abstention=0.00004, abstention_all=0.02344, radius=0.16869,
)  # fmt: skip
_OF_ROW = {
    name: Figure(Fraction(str(value)), UP if name.startswith("abst") else DOWN)
    for name, value in vars(_ROW).items()
    if isinstance(value, float)
}
_PICTURES = PictureRow(
    "0.5", "SegCertify, holm", SIGMA, TAU, 100, 10, ALPHA, 0.16869, accuracy=0.88889, miou=2 / 3,
    abstention=0.00004, abstention_all=0.02344, certified_accuracy=0.99996, certified_miou=0.55557,
)  # fmt: skip
_FALSE = FalseRow(
    "0.5", "SegCertify, holm", SIGMA, TAU, 100, 10, ALPHA, False, None, 4, 10**6, 960_001, 1235, 3
)
_CLOUDS = CloudRow(
    "pooled, holm", SIGMA, TAU, 100, 0, 0.16869, 0.88889, 0.77778, 2 / 3, 0.00004, 0.99996, 0.55557,
    0.44446,
)  # fmt: skip


def _of_line(line: object) -> dict[str, Figure]:
    ways = {"sigma": WHOLE, "tau": WHOLE, "alpha": WHOLE, "abstention": UP, "abstention_all": UP}
    return {
        name: Figure(Fraction(str(value)), ways.get(name, DOWN))
        for name, value in vars(line).items()
        if isinstance(value, float)
    }


_MEASURED = Measured(
    "gamma", 0.0512345678, 100, "Holm", 1, 110, 99.4, 0.99996, 0.0001, 0.88889, 0.00123, 0.1686,
)  # fmt: skip
_SCENARIO = Scenario("gamma", (Toy(100, 0.0512345678),), 10, 100, TAU, ALPHA, (2,), (2,))
_COMPARED = Compared("Holm", 100, 3, 0.88889, 0.77778, 0.99996, 0.11116)
_REQUEST = Request(
    (24, 40), 2, cs.Gaussian(SIGMA), TAU, ALPHA, passes=200, probability=0.9812345678
)
_BOUND = PercentileBound(
    0.9999996, 0.1234564, 0.5, 0.1686996, ALPHA, "both", 3, 100, cs.Gaussian(SIGMA)
)
_GOAL = Goal("times", 1.0496, 1.05), Goal("faster", 99.96, 100.0, at_least=True)


def _prospects() -> dict[str, Figure]:
    found = {}
    for row in prospects(_REQUEST):
        for name, value, way in (
            ("even", row.even, UP), ("likely", row.likely, UP), ("chance", row.chance, DOWN),
        ):  # fmt: skip
            if value is not None:
                found[f"{name}, {row.name}"] = Figure(Fraction(value), way)
    return found


_BUDGETS = _plain(("budget", Fraction(1, 1000), WHOLE))
_RUN = {"certified accuracy", "abstention", "abstention of all", "certified mIoU", "radius"}
_SENTENCE = {"alpha", "sigma", "tau", "confidence", "radius", "certified share"}
Output = tuple[Callable[[Made], str], Callable[[Made], Figures], set[str]]
OUTPUTS: dict[str, Output] = {
    "certify": (_certify, lambda m: m.figures, {*_SENTENCE, "abstention of all"}),
    "evaluate": (_evaluate, lambda m: m.figures, {*_RUN, "alpha"}),
    "verify": (_verify, lambda m: m.figures, _SENTENCE),
    "report": (_report, lambda m: m.figures, {*_RUN, *_SENTENCE, "certified IoU 0"}),
    "statement": (lambda m: _certificate(m).statement(), lambda m: m.figures, _SENTENCE),
    "repr": (
        lambda m: repr(_certificate(m)),
        lambda m: m.figures,
        {"certified share", "radius", "alpha"},
    ),
    "study correction": (
        _study,
        lambda m: {**m.figures, **_BUDGETS},
        {"certified share", "tau", "alpha", "sigma", "budget"},
    ),
    "demo": (
        _demo,
        lambda m: {
            **PARAMETERS,
            **_plain(("right", Fraction(958, 960), DOWN), ("wrong", Fraction(1, 960), UP)),
        },
        {"right", "wrong", "confidence"},
    ),
    "table: Markdown": (
        lambda m: comparison_table([_ROW]).markdown(),
        lambda m: _OF_ROW,
        set(_OF_ROW),
    ),
    "table: LaTeX": (lambda m: comparison_table([_ROW]).latex(), lambda m: _OF_ROW, set(_OF_ROW)),
    "table: screen": (
        lambda m: _screen(comparison_table([_ROW]).rich(transposed=True)),
        lambda m: _OF_ROW,
        set(_OF_ROW),
    ),
    "reproduce pictures": (
        lambda m: _all_forms(Tables([_PICTURES], [_FALSE])),
        lambda m: {
            **_of_line(_PICTURES),
            **_plain(("false", Fraction(1235, 960_001), UP)),
        },
        {*_of_line(_PICTURES), "false"},
    ),
    "reproduce clouds": (
        lambda m: _all_forms(Tables([_CLOUDS])),
        lambda m: _of_line(_CLOUDS),
        set(_of_line(_CLOUDS)),
    ),
    "study synthetic": (
        lambda m: _screen(synthetic_table([_MEASURED], _SCENARIO, "")),
        lambda m: _plain(
            ("share", Fraction("0.99996"), DOWN),
            ("at radius", Fraction("0.88889"), DOWN),
            ("error", Fraction("0.00123"), UP),
            ("radius", Fraction("0.1686"), DOWN),
            ("alpha", Fraction(str(ALPHA)), WHOLE),
        ),
        {"share", "at radius", "error", "radius", "alpha"},
    ),
    "study correction: table": (
        lambda m: _screen(correction_table([_COMPARED], "")),
        lambda m: _plain(
            *((k, Fraction(str(v)), DOWN) for k, v in vars(_COMPARED).items() if type(v) is float)
        ),
        {"share", "lowest", "highest"},
    ),
    "plan": (
        lambda m: _screen(plan_table(prospects(_REQUEST), _REQUEST)),
        lambda m: {
            **PARAMETERS,
            **_prospects(),
            **_BUDGETS,
            **_plain(("p", Fraction("0.9812345678"), WHOLE)),
        },
        {"sigma", "tau", "alpha", "radius", "p", "budget"},
    ),
    "percentile": (
        lambda m: _BOUND.statement(),
        lambda m: {
            **{k: v for k, v in PARAMETERS.items() if k not in ("radius", "tau")},
            **_plain(
                ("lower", 0.9999996, DOWN), ("upper", 0.1234564, UP), ("radius", 0.1686996, DOWN)
            ),
        },
        {"lower", "upper", "radius", "alpha", "sigma", "confidence"},
    ),
    "rotations": (
        lambda m: cs.Rotation(SIGMA).size(0.1686996) + cs.Rotation(SIGMA).describe(),
        lambda m: _plain(
            ("radius", 0.1686996, DOWN),
            ("degrees", Fraction(math.degrees(0.1686996)), DOWN),
            ("sigma", Fraction(str(SIGMA)), WHOLE),
        ),
        {"radius", "degrees", "sigma"},
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_is_honest(name, made):
    render, figures, expected = OUTPUTS[name]
    wrong, seen = read(render(made), figures(made))
    assert wrong == []
    assert expected <= seen


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_nearest_number_is_noticed_in_every_output(name, made, monkeypatch):
    """Negative control: the one place that rounds goes to the nearest number."""
    shown = rounding._shown
    monkeypatch.setattr(
        rounding, "_shown", lambda value, decimals, way: shown(value, decimals, round)
    )
    render, figures, _ = OUTPUTS[name]
    wrong, _ = read(render(made), figures(made))
    assert wrong


# --- the page's data, and files for programs -------------------------------------------------


def _data(page: Path, place: str) -> Any:
    """JSON of a page: "report" or the first sample's."""
    found = re.search(rf'<script type="application/json" {place}>(.*?)</script>', page.read_text())
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def mapped(made: Made) -> Path:
    """The page of a radius map, so with a curve."""
    _evaluate(made, "--radius-map")
    _call("report", "run1", "-o", "map.html")
    return made.root / "map.html"


def _wrong_hovers(page: Path) -> list[str]:
    """Words of Plotly's hovers that are not what ``rounding`` makes of the value, or no words."""
    wrong = []
    for key, chart in _data(page, 'id="report"')["charts"].items():
        wrong += re.findall(
            r"%\{[xyz]|\{\w+:|tickformat|hoverformat|texttemplate", json.dumps(chart)
        )
        for trace in chart["data"]:
            assert "%{customdata}" in trace["hovertemplate"]
            places, values = trace["x"], trace["y"]
            if trace.get("orientation") == "h":
                places, values = values, places
            for place, value, said in zip(places, values, trace["customdata"], strict=True):
                numbers = [Fraction(number) for number in re.findall(r"\d+\.\d+", said)]
                if value is None:
                    continue
                exact, step = rounding.share(value), Fraction(1, 10**4)
                shown = numbers[0 if key == "curve" else -1]
                above = shown - exact if key == "boundary" else exact - shown
                if not 0 <= above < step:
                    wrong.append(said)
                if key == "curve" and not 0 <= Fraction(place) - numbers[1] < step:
                    wrong.append(said)
    return wrong


def _wrong_radii(page: Path) -> list[str]:
    """Words that name a larger radius than the number beside them, by which masks are made: of the
    slider's places, and of single pixels."""
    slider = _data(page, 'id="report"')["slider"]
    (part,) = _data(page, 'class="payload"')["runs"]
    pixels = [row for row in part["table"] if row[1] is not None]
    assert len(slider["radii"]) > 200
    assert len(pixels) > 5
    said = [*zip(slider["radii"], slider["texts"], strict=True)]
    said += [(row[1], row[5].removeprefix("radius ")) for row in pixels]
    step = Fraction(1, 10**4)
    return [text for radius, text in said if not 0 <= Fraction(radius) - Fraction(text) < step]


def test_hovers_and_radii_of_the_page_are_words_on_the_honest_side(mapped):
    assert _wrong_hovers(mapped) == _wrong_radii(mapped) == []


def test_a_page_with_the_nearest_numbers_is_noticed(made, mapped, monkeypatch):
    """Negative control."""
    shown = rounding._shown
    monkeypatch.setattr(rounding, "_shown", lambda v, decimals, way: shown(v, decimals, round))
    _evaluate(made, "--radius-map")
    _call("report", "run1", "-o", "nearest.html")
    assert _wrong_hovers(mapped.with_name("nearest.html"))
    assert _wrong_radii(mapped.with_name("nearest.html"))


def test_files_for_programs_hold_the_floats_themselves():
    (row,) = csv.DictReader(io.StringIO(comparison_table([_ROW]).csv()))
    assert all(float(row[name]) == getattr(_ROW, name) for name in _OF_ROW)


def test_a_goal_is_not_shown_as_met_when_it_is_missed():
    assert str(Goal("times", 1.0501, 1.05)) == "times: 1.06, goal at most 1.05: MISSED"
    assert (
        str(Goal("faster", 99.96, 100, at_least=True)) == "faster: 99.9, goal at least 100: MISSED"
    )
