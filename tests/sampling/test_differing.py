"""What a model computes with is in its fingerprint, or the certificate says that it is not."""

from __future__ import annotations

import collections
import enum
import functools
import io
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.models.denoised import Denoised
from certiseg.models.grid import OnGrid
from certiseg.models.hrnet import HRNetV2
from certiseg.models.loaded import Origin
from certiseg.models.preprocess import Preprocess
from certiseg.models.scales import Scales
from certiseg.models.serialization import load_bundled
from certiseg.sampling import fingerprint
from certiseg.sampling.fingerprint import made_by, model_fingerprint
from certiseg.sampling.introspection import modules_inside
from certiseg.votes import Source
from differing_models import TEXTS, Holder, Net, made, weights

X = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0))
NOISE = cs.Gaussian(0.25)


@pytest.mark.parametrize("name", TEXTS)
def test_one_thing_apart_is_two_fingerprints(name):
    """Negative control: built alike they are one, though no object is shared."""
    one, other, again = (model_fingerprint(made(name, value)) for value in (2, 3, 2))
    assert one.sha256 != other.sha256
    assert one == again
    assert one.not_covered == ()


@pytest.mark.slow
def test_another_process_finds_the_same():
    """With another order of sets, other addresses, and functions and classes of another module."""
    names = [name for name in TEXTS if "compiled" not in name]  # they would double its time
    text = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "differing_models.py", *names],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = dict(line.split("\t", 1) for line in text.splitlines())
    own = {
        name: "\t".join(model_fingerprint(made(name, value)).sha256 for value in (2, 3))
        for name in names
    }
    assert found == own


@pytest.mark.parametrize("name", ["kept: nested", "kept: module in a list", "global of a method"])
def test_votes_of_two_do_not_add_up_and_a_source_notices(name):
    one, other = (cs.Smoothed(made(name, value), NOISE) for value in (2, 3))
    votes = [
        smoothed.vote(X, 4, seed=1, first_draw=4 * i) for i, smoothed in enumerate((one, other))
    ]
    with pytest.raises(cs.InputError, match="different model"):
        votes[0] + votes[1]
    source = one.source(X, seed=1)
    source.more(2)
    one.model.added = other.model.__dict__.get("kept", 1)
    with pytest.raises(cs.InputError, match="one model for all draws"):
        source.more(2)


def _layer() -> nn.Module:
    return nn.BatchNorm2d(3).train()


@pytest.mark.parametrize(
    "kept",
    [
        lambda: [_layer()],
        lambda: (_layer(),),
        lambda: {"a": [_layer()]},
        lambda: {_layer()},
        lambda: [[[[[[_layer()]]]]]],
        lambda: Holder({"a": Holder([_layer()])}),
        lambda: [functools.partial(_layer().forward)],
    ],
)
def test_training_mode_is_found_wherever_a_module_is_kept(kept):
    model = Net(kept()).eval()
    with pytest.raises(cs.InputError, match="BatchNorm2d"):
        cs.Smoothed(model, NOISE)
    for root in modules_inside(model):
        root.eval()
    cs.Smoothed(model, NOISE)


def test_registered_modules_are_listed_once():
    inner = weights(1)
    model = nn.Sequential(inner, Net([inner]))
    assert list(modules_inside(model)) == [model]


def _cyclic() -> object:
    kept: list[object] = []
    kept += [kept, {"again": kept}]
    return kept


def _much() -> object:
    """2^80 ways lead down it."""
    kept: tuple[object, ...] = (Holder(0),)
    for _ in range(80):
        kept = (kept, kept)
    return kept


def test_cycles_and_many_ways_end():
    for make in (_cyclic, _much):
        assert model_fingerprint(Net(make())) == model_fingerprint(Net(make()))
        assert model_fingerprint(Net(make())).not_covered == ()


def test_what_is_too_deep_or_too_much_is_named():
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert model_fingerprint(Net(deep)).not_covered == ("Net.kept (deeper than 100)",)
    much = [range(3)] * 17_000_000
    assert model_fingerprint(Net(much)).not_covered == ("Net.kept (more than 1000000 values)",)


def _file() -> object:
    return open(__file__)


@pytest.mark.parametrize(
    ("kept", "name"),
    [
        (_file, "Net.kept (TextIOWrapper)"),
        (lambda: {"a": [(i for i in range(3))]}, "Net.kept.a (generator)"),
        (lambda: threading.Thread(), "Net.kept (Thread)"),
        (lambda: torch.empty(3, device="meta"), "Net.kept (Tensor without values)"),
        (lambda: nn.LazyLinear(3).weight, "Net.kept (UninitializedParameter without values)"),
    ],
)
def test_what_shows_nothing_is_named_and_told_apart(kept, name):
    one, other = Net(kept()), Net(kept())
    if isinstance(one.kept, nn.Parameter):
        one, other = Net([one.kept]), Net([other.kept])
    prints = [model_fingerprint(model) for model in (one, one, other)]
    assert [found.not_covered for found in prints] == [(name,)] * 3
    assert prints[0] == prints[1]
    assert prints[0].sha256 != prints[2].sha256
    for model in (one, other):
        made_by(model, Origin("python:m:build", {"m.py": "0" * 64}))
    assert model_fingerprint(one) == model_fingerprint(other)
    assert model_fingerprint(one).code == {"m.py": "0" * 64}


def test_what_changes_no_label_or_has_no_address_is_no_matter():
    """Locks, handles and devices count as themselves; random states are named, and change."""
    for kept in (threading.Lock(), torch.device("cuda"), torch.device("cpu")):
        assert model_fingerprint(Net([kept])).not_covered == ()
    assert len({model_fingerprint(Net([torch.device(d)]))[0] for d in ("cuda", "cpu")}) == 1
    for kept in (torch.Generator(), random.Random(1), np.random.default_rng(1)):
        model = Net(kept)
        first = model_fingerprint(model)
        assert first.not_covered == (f"Net.kept (state of {type(kept).__name__})",)
        torch.rand(3, generator=kept) if isinstance(kept, torch.Generator) else kept.random()
        assert model_fingerprint(model) == first


def test_ways_out_of_the_process_are_named():
    def asks(x):
        subprocess.run(["true"], check=True)
        return x

    def reads(x):
        with open(__file__) as file:
            return x * len(file.read())

    assert model_fingerprint(asks).not_covered == ("subprocess (of subprocess)",)
    (named,) = model_fingerprint(reads).not_covered
    assert named.endswith("reads (calls open)")


def test_statement_and_record_say_it():
    model = Net({f"file {i}": _file() for i in range(5)})
    made_by(model, Origin("python:m:build", {"m.py": "0" * 64, 'n ".py': "1" * 64}))
    certificate = cs.Smoothed(model, NOISE).certify(X, 40, seed=1)
    source = certificate.votes.source
    assert source.not_covered == tuple(f"Net.kept.file {i} (TextIOWrapper)" for i in range(5))
    assert Source.from_record(json.loads(json.dumps(source.record()))) == source
    said = certificate.statement()
    assert ', code "m.py" 000000000000, "n \'.py" 111111111111, not covered: ' in said
    assert '"Net.kept.file 2 (TextIOWrapper)" and 2 more)' in said
    clean = cs.Smoothed(Net(1), NOISE).certify(X, 40, seed=1)
    assert clean.votes.source.not_covered == ()
    assert "not covered" not in clean.statement()
    assert ", code " not in clean.statement()


@pytest.mark.parametrize(
    ("field", "value"),
    [("not_covered", "text"), ("not_covered", [1]), ("code", ["m.py"]), ("code", {"m.py": 1})],
)
def test_damaged_records_are_refused(field, value):
    record = cs.Smoothed(Net(1), NOISE).vote(X, 3).source.record()
    with pytest.raises(cs.InputError, match=field):
        Source.from_record({**record, field: value})


def _cache() -> nn.Module:
    class Cached(Net):
        not_fingerprinted = ("table",)

        @functools.cached_property
        def doubled(self) -> int:
            return 2 * self.kept

        @functools.lru_cache  # noqa: B019
        def half(self, size: int) -> float:
            return size / 2

        def forward(self, x):
            self.__dict__.setdefault("table", {})[x.shape] = x
            return x * self.doubled + self.half(x.shape[-1])

    return Cached(1)


def _normed() -> nn.Module:
    net = nn.Sequential(
        torch.nn.utils.weight_norm(nn.Conv2d(3, 3, 1)),
        torch.nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 3, 1)),
        nn.BatchNorm2d(3),
    )
    net.load_state_dict({name: value / 2 for name, value in net.state_dict().items()})
    return net.eval()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: load_bundled("camvid"),
        lambda: load_bundled("camvid-lite2"),
        lambda: OnGrid(load_bundled("camvid"), 4),
        lambda: Scales(load_bundled("camvid"), (0.5, 1.0), flip=True),
        lambda: Denoised(load_bundled("camvid-denoiser"), load_bundled("camvid")),
        lambda: Preprocess(HRNetV2(3), [0.5] * 3, [0.5] * 3).eval(),
        lambda: torch.jit.script(weights(1)),
        lambda: torch.jit.freeze(torch.jit.script(nn.Sequential(weights(1)).eval())),
        lambda: torch.jit.trace(weights(1), X[None]),
        lambda: torch.fx.symbolic_trace(weights(1)),
        lambda: torch.compile(weights(1), backend="eager"),
        lambda: torch.compile(weights(1).forward, backend="eager"),
        lambda: torch.no_grad()(weights(1).forward),
        _cache,
        _normed,
    ],
)
@pytest.mark.slow
def test_passes_leave_the_fingerprint_of_honest_models(make):
    torch.manual_seed(0)
    model = make()
    before = model_fingerprint(model)
    with torch.inference_mode():
        for draws in (1, 3, 2):
            model(torch.rand(draws, 3, 64, 64))
    assert model_fingerprint(model) == before


def test_clouds_keep_theirs_too():
    model = load_bundled("solids")
    model = model.of(model.categories[0])
    before = model_fingerprint(model)
    with torch.inference_mode():
        for draws in (1, 3):
            model(torch.rand(draws, 3, 300))
    assert model_fingerprint(model) == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_programs_are_read():
    """Values that TorchScript keeps, and weights that freezing made constants."""

    class Times(nn.Module):
        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.by

    one, other, again = (torch.jit.script(Times(by)) for by in (2, 3, 2))
    assert model_fingerprint(one) == model_fingerprint(again)
    assert model_fingerprint(one)[0] != model_fingerprint(other)[0]
    one, other, again = (
        torch.jit.freeze(torch.jit.script(nn.Sequential(weights(by)).eval())) for by in (2, 3, 2)
    )
    assert model_fingerprint(one) == model_fingerprint(again)
    assert model_fingerprint(one)[0] != model_fingerprint(other)[0]


def test_layout_and_precision_of_tensors():
    """Where values lie in memory is no matter, their type is."""
    one, other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    other.load_state_dict(one.state_dict())
    other = other.to(memory_format=torch.channels_last)
    assert model_fingerprint(one) == model_fingerprint(other)
    assert model_fingerprint(one)[0] != model_fingerprint(other.double())[0]


def test_the_identity_of_the_process_is_a_last_resort(monkeypatch):
    """Negative control: of what shows nothing of itself it is all there is."""
    models = [Net(Holder([1])), Net(_file())]
    before = [model_fingerprint(model) for model in models]
    monkeypatch.setattr(fingerprint, "_PROCESS", "another")
    assert [model_fingerprint(m) == b for m, b in zip(models, before, strict=True)] == [True, False]


def test_what_libraries_are_given_counts(monkeypatch):
    """A function put into a library, and one put into its layers."""
    models = (lambda x: nn.functional.relu(x), nn.Sequential(nn.ReLU()))
    before = [model_fingerprint(model)[0] for model in models]
    assert [model_fingerprint(model)[0] for model in models] == before
    monkeypatch.setattr(nn.functional, "relu", lambda x: x)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: x)
    after = [model_fingerprint(model)[0] for model in models]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_hooks_of_all_modules_count():
    model = weights(1)
    before = model_fingerprint(model)
    handle = nn.modules.module.register_module_forward_hook(lambda layer, given, result: -result)
    assert model_fingerprint(model) != before
    handle.remove()
    assert model_fingerprint(model) == before


def test_attributes_of_tensors_count():
    one, other = weights(1), weights(1)
    for model, scale in ((one, 2), (other, 3)):
        model.weight.scale = [scale, model.weight]
    assert model_fingerprint(one)[0] != model_fingerprint(other)[0]


def test_a_member_kept_by_a_class_counts():
    kind = enum.Enum("Kind", "A B")
    one, other = (type("Own", (Net,), {"kind": member})(1) for member in kind)
    assert model_fingerprint(one)[0] != model_fingerprint(other)[0]


def test_what_python_does_not_see_of_an_object_is_named():
    """A type of an extension with attributes of its own beside what pickle keeps of it."""

    class Own(collections.deque):
        pass

    one, other = Own([1]), Own([2])
    one.name = other.name = "same"
    assert model_fingerprint(Net(one))[0] != model_fingerprint(Net(other))[0]

    class Log(io.FileIO):
        pass

    with Log(os.devnull) as log:
        log.level = 1
        assert model_fingerprint(Net(log)).not_covered == ("Net.kept (Log)",)


def test_nothing_is_imported_for_a_name(tmp_path, monkeypatch):
    """Names of builtins are no packages, even where a file has one; what is imported in a pass is
    read beforehand, so that the first pass changes nothing."""
    (tmp_path / "sorted.py").write_text("raise SystemExit")
    (tmp_path / "p4_late.py").write_text("by = 2\n")
    monkeypatch.syspath_prepend(tmp_path)

    def model(x):
        import p4_late

        return sorted(x) if p4_late.by == 3 else x

    before = model_fingerprint(model)
    assert "sorted" not in sys.modules
    model(X)
    assert model_fingerprint(model) == before
    sys.modules["p4_late"].by = 3
    assert model_fingerprint(model)[0] != before[0]
    del sys.modules["p4_late"]

    def missing(x):
        import p4_no_such_package

        return p4_no_such_package.of(x)

    (named,) = model_fingerprint(missing).not_covered
    assert named.endswith("missing (imports p4_no_such_package)")
