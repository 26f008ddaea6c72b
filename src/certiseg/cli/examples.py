"""Examples at the end of a command's help."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("certiseg demo", "certiseg demo --attack", "certiseg demo --clouds"),
    "certify": (
        "certiseg certify street.png --model certiseg:camvid -o out",
        "certiseg certify scans/ --model net.onnx --binary probability --sigma 0.1 -n 200 -o out",
        "certiseg certify street.png --model python:mymodels.py:build --radius-map -o map",
        "certiseg certify chair.txt --model certiseg:solids-rotation --category Chair \\",
        "    --normalise --noise rotation -o out",
    ),
    "evaluate": (
        "certiseg evaluate --model certiseg:nuclei --data nuclei --split test -o eval",
        "certiseg evaluate --model my-model --images images/ --labels labels/ -o eval",
        "certiseg evaluate --model my-model --data cityscapes --root DIR --limit 100 \\",
        "    --workers 2 --resume -o eval",
    ),
    "attack": (
        "certiseg attack street.png --model certiseg:camvid-undefended --epsilon 0.5 -o out",
        "certiseg attack chair.txt --model certiseg:solids --category Chair --angle 10 -o out",
    ),
    "report": (
        "certiseg report eval -o report.html",
        "certiseg report eval other -o both.html --figures figures/",
    ),
    "verify": (
        "certiseg verify out/*.cert.npz",
        "certiseg verify out/*.cert.npz --key PUBLIC.pem",
    ),
    "region": ("certiseg region out/scan.cert.npz --class 1 --box 40,40,120,120",),
    "selftest": (
        "certiseg selftest",
        "certiseg selftest --model python:mymodels.py:build --size 256x256",
    ),
    "plan": (
        "certiseg plan --size 1024x2048 --num-classes 19 -n 110",
        "certiseg plan --size 360x480 --radius 0.2 --model certiseg:camvid",
    ),
    "sign": ("certiseg sign out/*.cert.npz --key KEY.pem",),
    "bench": ("certiseg bench", "certiseg bench overhead --model my-model --size 512x512"),
}


class Exemplified(TyperCommand):
    """A command whose help ends with its examples, as they are typed."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        super().format_epilog(ctx, formatter)
        lines = EXAMPLES.get(str(self.name), ())
        if lines:
            with formatter.section("Examples"):
                for line in lines:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
