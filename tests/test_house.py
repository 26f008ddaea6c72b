"""The house rules: imports point down, the torch-free rooms load no torch, import is light, and
the quick tests are of every room."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TORCH_FREE = (
    "certiseg",
    "certiseg.errors",
    "certiseg.files",
    "certiseg.files.documents",
    "certiseg.files.fields",
    "certiseg.stats",
    "certiseg.noise",
    "certiseg.votes",
    "certiseg.certifiers",
    "certiseg.certificates",
    "certiseg.metrics",
    "certiseg.hierarchies",
    "certiseg.studies",
    "certiseg.datasets",
    "certiseg.report",
    "certiseg.cli.main",
)

# Imports one module after the other, and every module below those that are marked, and says when
# torch is there for the first time; and how many modules there are at the end.
_LOOK = """
import importlib, pkgutil, sys
first = None
for name in sys.argv[1:]:
    module = importlib.import_module(name.rstrip("*"))
    if name.endswith("*"):
        for found in pkgutil.walk_packages(module.__path__, module.__name__ + "."):
            importlib.import_module(found.name)
    if first is None and "torch" in sys.modules:
        first = module.__name__
print(first, len(sys.modules))
"""


def loads_torch(*modules: str, path: Path = ROOT / "src") -> tuple[str, int]:
    """After which of the modules, and all below them, a fresh interpreter has torch ("None": it has
    none), and how many modules it has then. The root is imported alone."""
    below = {m for m in modules if m != "certiseg" and (path / Path(*m.split("."))).is_dir()}
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, *(f"{m}*" if m in below else m for m in modules)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    torch, number = done.stdout.split()
    return torch, int(number)


def test_rooms_load_no_torch() -> None:
    assert loads_torch(*TORCH_FREE)[0] == "None"


def test_a_room_that_loads_torch_is_noticed(tmp_path: Path) -> None:
    """Negative control: the same look at a package whose inner module imports torch (an empty
    one, found first)."""
    (tmp_path / "torch.py").touch()
    room = tmp_path / "planted" / "inner"
    room.mkdir(parents=True)
    (room.parent / "__init__.py").write_text("")
    (room / "__init__.py").write_text("")
    (room / "deep.py").write_text("import torch\n")
    (tmp_path / "free.py").touch()
    assert loads_torch("free", "planted", "free", path=tmp_path)[0] == "planted"


def test_import_certiseg_is_light() -> None:
    """`import certiseg` brings little beyond what the interpreter itself loads: no NumPy, SciPy,
    Pillow or rich. Counted rather than timed, since times depend on the machine."""
    assert loads_torch("certiseg")[1] < 150


def test_every_extra_is_installed_by_a_job() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "extras.yml").read_text())["jobs"]
    tried = jobs["extra"]["strategy"]["matrix"]["extra"]
    assert sorted([*tried, "dev", "docs"]) == sorted(extras["optional-dependencies"])


def imports_point_down(source: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """Run the import contract of `config` on the package below `source`."""
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--config",
            config,
            "--no-cache",
            "--no-logo",
        ],
        capture_output=True,
        text=True,
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
    )


@pytest.fixture
def copied_source(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", "weights", "*.egg-info")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignore)
    return tmp_path / "src"


def test_imports_point_down() -> None:
    done = imports_point_down(ROOT / "src", ROOT / "pyproject.toml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "word"),
    [
        ("votes.py", "from certiseg.runs import record", "Imports point down"),
        ("report/tables.py", "import torch", "load no torch"),
        ("metrics/confusion.py", "import certiseg.sampling.sampler", "load no torch"),
        ("attic.py", "", "certiseg.attic"),
    ],
    ids=["upward", "torch", "torch by a detour", "a room not in the plan"],
)
@pytest.mark.slow
def test_a_wrong_import_is_noticed(copied_source: Path, file: str, line: str, word: str) -> None:
    """Negative controls on a copy of the tree."""
    target = copied_source / "certiseg" / file
    text = target.read_text() if target.exists() else ""
    target.write_text(f"{text}\n{line}\n")
    done = imports_point_down(copied_source, ROOT / "pyproject.toml")
    assert done.returncode != 0
    assert word in done.stdout, done.stdout


def marked_slow(node: ast.AST) -> bool:
    """Whether `pytest.mark.slow` is anywhere in it."""
    marks = (each for each in ast.walk(node) if isinstance(each, ast.Attribute))
    return any(ast.unparse(mark) == "pytest.mark.slow" for mark in marks)


def quick_rooms(tests: Path) -> set[str]:
    """The rooms of which a file below `tests` has a test without the mark `slow`: a file is of the
    folder it is in, and of the rooms that it imports where they have no folder there."""
    found = set()
    for file in tests.rglob("test_*.py"):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        everything = [
            node
            for node in body
            if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)
        ]
        tested = [node for node in body if isinstance(node, ast.FunctionDef)]
        tested = [node for node in tested if node.name.startswith("test_")]
        if any(map(marked_slow, everything)) or all(
            any(map(marked_slow, node.decorator_list)) for node in tested
        ):
            continue
        imported = {node.module or "" for node in body if isinstance(node, ast.ImportFrom)}
        named = {module.split(".")[1] for module in imported if module.startswith("certiseg.")}
        found |= {room for room in named if not (tests / room).is_dir()}
        found |= {file.relative_to(tests).parts[0]}
    return found


def test_quick_tests_are_of_every_room() -> None:
    """What `make test` runs."""
    rooms = {path.parent.name for path in (ROOT / "src" / "certiseg").glob("*/__init__.py")}
    assert len(rooms) > 10
    assert rooms - quick_rooms(ROOT / "tests") == set()


def test_a_room_of_slow_tests_alone_is_noticed(tmp_path: Path) -> None:
    """Negative control: by file and by test; one quick test is enough."""
    (tmp_path / "noise").mkdir()
    file = tmp_path / "noise" / "test_laws.py"
    slow, test = "import pytest\n@pytest.mark.slow\n", "def test_it():\n    pass\n"
    file.write_text(f"import pytest\npytestmark = pytest.mark.slow\n{test}")
    assert quick_rooms(tmp_path) == set()
    file.write_text(slow + test)
    assert quick_rooms(tmp_path) == set()
    file.write_text(f"from certiseg.stats import normal\n{slow}{test}{test}")
    assert quick_rooms(tmp_path) == {"noise", "stats"}
