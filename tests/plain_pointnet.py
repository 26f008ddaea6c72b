"""The published network written plainly: modules and names as in its checkpoints, points grouped
cloud by cloud and point by point. Slow; an oracle for what `certiseg.models.pointnet` computes.

Written from the description of `pointnet2_part_seg_msg` of
github.com/yanx27/Pointnet_Pointnet2_pytorch. Its sampling starts at the first point here, where the
original draws one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances (len(a), len(b)) between points (n, 3)."""
    return ((a[:, None] - b[None]) ** 2).sum(-1)


def plain_farthest(xyz: Tensor, count: int) -> list[int]:
    picked = [0]
    while len(picked) < count:
        picked.append(int(squares(xyz, xyz[picked]).amin(1).argmax()))
    return picked


def plain_ball(xyz: Tensor, centre: Tensor, radius: float, count: int) -> list[int]:
    inside = [i for i, d in enumerate(squares(centre[None], xyz)[0]) if d <= radius**2]
    return (inside + [inside[0]] * count)[:count]


def plain_three(xyz: Tensor, centres: Tensor, features: Tensor) -> Tensor:
    """Features (n, C) at xyz (n, 3), from features (S, C) of centres (S, 3)."""
    rows = []
    for distances in squares(xyz, centres):
        near = distances.argsort()[:3]
        weight = 1 / (distances[near] + 1e-8)
        rows.append((features[near] * (weight / weight.sum())[:, None]).sum(0))
    return torch.stack(rows)


class _Msg(nn.Module):
    def __init__(self, groups, radii, counts, source, mlps):
        super().__init__()
        self.groups, self.radii, self.counts = groups, radii, counts
        self.conv_blocks, self.bn_blocks = nn.ModuleList(), nn.ModuleList()
        for mlp in mlps:
            widths = [source + 3, *mlp]
            self.conv_blocks.append(
                nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths, mlp, strict=False))
            )
            self.bn_blocks.append(nn.ModuleList(nn.BatchNorm2d(b) for b in mlp))

    def forward(self, xyz, points):
        """xyz (B, n, 3), points (B, C, n) -> centres (B, S, 3), features (B, D, S)."""
        centres = torch.stack([cloud[plain_farthest(cloud, self.groups)] for cloud in xyz])
        found = []
        for radius, count, convs, norms in zip(
            self.radii, self.counts, self.conv_blocks, self.bn_blocks, strict=True
        ):
            grouped = []
            for cloud, features, middle in zip(xyz, points, centres, strict=True):
                chosen = torch.tensor(
                    [plain_ball(cloud, centre, radius, count) for centre in middle]
                )
                relative = cloud[chosen] - middle[:, None]  # (S, K, 3)
                inside = features.T[chosen]  # (S, K, C)
                grouped.append(torch.cat([inside, relative], -1).permute(2, 1, 0))
            y = torch.stack(grouped)  # (B, C + 3, K, S)
            for conv, norm in zip(convs, norms, strict=True):
                y = F.relu(norm(conv(y)))
            found.append(y.max(2)[0])
        return centres, torch.cat(found, 1)


class _All(nn.Module):
    def __init__(self, source, mlp):
        super().__init__()
        self.mlp_convs = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip([source, *mlp], mlp, strict=False)
        )
        self.mlp_bns = nn.ModuleList(nn.BatchNorm2d(b) for b in mlp)

    def forward(self, xyz, points):
        y = torch.cat([xyz.transpose(1, 2), points], 1)[..., None]  # (B, 3 + C, K, 1)
        for conv, norm in zip(self.mlp_convs, self.mlp_bns, strict=True):
            y = F.relu(norm(conv(y)))
        return y.max(2)[0]


class _Back(nn.Module):
    def __init__(self, source, mlp):
        super().__init__()
        self.mlp_convs = nn.ModuleList(
            nn.Conv1d(a, b, 1) for a, b in zip([source, *mlp], mlp, strict=False)
        )
        self.mlp_bns = nn.ModuleList(nn.BatchNorm1d(b) for b in mlp)

    def forward(self, xyz, centres, own, coarse):
        if coarse.shape[2] == 1:
            brought = coarse.expand(-1, -1, own.shape[2])
        else:
            brought = torch.stack(
                [plain_three(*cloud).T for cloud in zip(xyz, centres, coarse.mT, strict=True)]
            )
        y = torch.cat([own, brought], 1)
        for conv, norm in zip(self.mlp_convs, self.mlp_bns, strict=True):
            y = F.relu(norm(conv(y)))
        return y


class PlainPointNet(nn.Module):
    """pointnet2_part_seg_msg, logits instead of log-probabilities."""

    def __init__(self, num_classes: int = 50, extra: int = 0, groups=(512, 128)):
        super().__init__()
        scales = [[32, 32, 64], [64, 64, 128], [64, 96, 128]]
        self.sa1 = _Msg(groups[0], [0.1, 0.2, 0.4], [32, 64, 128], 3 + extra, scales)
        wide = [[128, 128, 256], [128, 196, 256]]
        self.sa2 = _Msg(groups[1], [0.4, 0.8], [64, 128], 128 + 128 + 64, wide)
        self.sa3 = _All(512 + 3, [256, 512, 1024])
        self.fp3 = _Back(1536, [256, 256])
        self.fp2 = _Back(576, [256, 128])
        self.fp1 = _Back(150 + extra, [128, 128])
        self.conv1, self.bn1 = nn.Conv1d(128, 128, 1), nn.BatchNorm1d(128)
        self.drop1 = nn.Dropout(0.5)
        self.conv2 = nn.Conv1d(128, num_classes, 1)

    def forward(self, x: Tensor, category: Tensor) -> Tensor:
        xyz = x[:, :3].transpose(1, 2)
        near, local = self.sa1(xyz, x)
        far, wider = self.sa2(near, local)
        whole = self.sa3(far, wider)
        wider = self.fp3(far, None, wider, whole)
        local = self.fp2(near, far, local, wider)
        kind = F.one_hot(category, 16).float()[:, :, None].expand(-1, -1, x.shape[2])
        found = self.fp1(xyz, near, torch.cat([kind, x[:, :3], x], 1), local)
        return self.conv2(self.drop1(F.relu(self.bn1(self.conv1(found)))))


def filled(network: nn.Module, seed: int) -> nn.Module:
    """Statistics of batch norm as after a training rather than 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1, generator=generator)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
    return network.eval()
