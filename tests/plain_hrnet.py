"""HRNetV2 written plainly: the published names and shapes of its weights listed one by one, and a
pass that looks weights up by these names. An oracle for `certiseg.models.hrnet`, with nothing in
common but torch's convolution and interpolation.

Written from the description of ``seg_hrnet`` in github.com/HRNet/HRNet-Semantic-Segmentation.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
MODULES = {2: 1, 3: 4, 4: 3}


def _layer(conv: str, norm: str, source: int, target: int, kernel: int) -> Iterator[tuple]:
    yield f"{conv}.weight", (target, source, kernel, kernel)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{norm}.{part}", (target,)
    yield f"{norm}.num_batches_tracked", ()


def _pair(name: str, source: int, target: int, kernel: int) -> Iterator[tuple]:
    yield from _layer(f"{name}.0", f"{name}.1", source, target, kernel)


def layout(num_classes: int, width: int) -> dict[str, tuple[int, ...]]:
    """Shape of each weight by its published name."""
    w = [width, 2 * width, 4 * width, 8 * width]
    found = [*_layer("conv1", "bn1", 3, 64, 3), *_layer("conv2", "bn2", 64, 64, 3)]
    for block in range(4):
        name, source = f"layer1.{block}", 256 if block else 64
        for step, (a, b, kernel) in enumerate(((source, 64, 1), (64, 64, 3), (64, 256, 1)), 1):
            found += _layer(f"{name}.conv{step}", f"{name}.bn{step}", a, b, kernel)
    found += _pair("layer1.0.downsample", 64, 256, 1)
    found += _pair("transition1.0", 256, w[0], 3)
    found += _pair("transition1.1.0", 256, w[1], 3)
    found += _pair("transition2.2.0", w[1], w[2], 3)
    found += _pair("transition3.3.0", w[2], w[3], 3)
    for branches, modules in MODULES.items():
        for module in range(modules):
            stage = f"stage{branches}.{module}"
            for b in range(branches):
                for block in range(4):
                    name = f"{stage}.branches.{b}.{block}"
                    found += _layer(f"{name}.conv1", f"{name}.bn1", w[b], w[b], 3)
                    found += _layer(f"{name}.conv2", f"{name}.bn2", w[b], w[b], 3)
            for i in range(branches):
                for j in range(branches):
                    name = f"{stage}.fuse_layers.{i}.{j}"
                    if j > i:
                        found += _pair(name, w[j], w[i], 1)
                    for k in range(i - j):
                        last = k == i - j - 1
                        found += _pair(f"{name}.{k}", w[j], w[i] if last else w[j], 3)
    whole = 15 * width
    found += [("last_layer.0.weight", (whole, whole, 1, 1)), ("last_layer.0.bias", (whole,))]
    found += list(_layer("last_layer.0", "last_layer.1", whole, whole, 1))[1:]
    last = "last_layer.3"
    found += [(f"{last}.weight", (num_classes, whole, 1, 1)), (f"{last}.bias", (num_classes,))]
    assert len(found) == len(dict(found))
    return dict(found)


def random_state(num_classes: int, width: int, seed: int = 0) -> State:
    """Weights that keep the size of what passes through, statistics as after a training."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for name, shape in layout(num_classes, width).items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1000)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        elif len(shape) == 1 and name.endswith("weight"):
            state[name] = torch.rand(shape, generator=generator) * 0.4 + 0.2
        else:
            spread = 0.1 if len(shape) < 4 else (2 / (shape[1] * shape[2] * shape[3])) ** 0.5
            state[name] = torch.randn(shape, generator=generator) * spread
    return state


class PlainHRNet:
    """state: of `layout`. Call it with normalised pictures (B, 3, H, W) for logits at 1/4."""

    def __init__(self, state: State, align_corners: bool = False) -> None:
        self.state, self.align_corners = state, align_corners

    def conv(self, x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        s = self.state
        weight = s[f"{conv}.weight"]
        x = F.conv2d(x, weight, s.get(f"{conv}.bias"), stride, padding=weight.shape[-1] // 2)
        mean, var = s[f"{norm}.running_mean"], s[f"{norm}.running_var"]
        return F.batch_norm(x, mean, var, s[f"{norm}.weight"], s[f"{norm}.bias"], eps=1e-5)

    def pair(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return self.conv(x, f"{name}.0", f"{name}.1", stride)

    def resize(self, x: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=self.align_corners)

    def block(self, x: Tensor, name: str, convs: int) -> Tensor:
        y = x
        for step in range(1, convs + 1):
            y = self.conv(y, f"{name}.conv{step}", f"{name}.bn{step}")
            y = y.relu() if step < convs else y
        if f"{name}.downsample.0.weight" in self.state:
            x = self.pair(x, f"{name}.downsample")
        return (y + x).relu()

    def module(self, xs: list[Tensor], name: str) -> list[Tensor]:
        for b in range(len(xs)):
            for block in range(4):
                xs[b] = self.block(xs[b], f"{name}.branches.{b}.{block}", 2)
        sums = []
        for i in range(len(xs)):
            total = torch.zeros_like(xs[i])
            for j in range(len(xs)):
                y, path = xs[j], f"{name}.fuse_layers.{i}.{j}"
                if j > i:
                    y = self.resize(self.pair(y, path), xs[i])
                for k in range(i - j):
                    y = self.pair(y, f"{path}.{k}", stride=2)
                    y = y.relu() if k < i - j - 1 else y
                total = total + y
            sums.append(total.relu())
        return sums

    def __call__(self, x: Tensor) -> Tensor:
        for step in (1, 2):
            x = self.conv(x, f"conv{step}", f"bn{step}", stride=2).relu()
        for block in range(4):
            x = self.block(x, f"layer1.{block}", 3)
        first = self.pair(x, "transition1.0").relu()
        xs = [first, self.pair(x, "transition1.1.0", stride=2).relu()]
        for branches, modules in MODULES.items():
            if branches > 2:
                new = f"transition{branches - 1}.{branches - 1}.0"
                xs.append(self.pair(xs[-1], new, stride=2).relu())
            for module in range(modules):
                xs = self.module(xs, f"stage{branches}.{module}")
        y = torch.cat([xs[0], *(self.resize(x, xs[0]) for x in xs[1:])], 1)
        y = self.conv(y, "last_layer.0", "last_layer.1").relu()
        last = "last_layer.3"
        return F.conv2d(y, self.state[f"{last}.weight"], self.state[f"{last}.bias"])
