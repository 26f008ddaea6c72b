"""Pages of reports in headless Chromium."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WIDE, NARROW = (1280, 900), (390, 844)


def chromium() -> str:
    """Where Chromium is. Without it, or Playwright, tests skip on a laptop and fail in CI."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = [path for path in map(shutil.which, names) if path]
    if found and importlib.util.find_spec("playwright"):
        return found[0]
    words = "needs Chromium and Playwright: apt-get install chromium; make install-dev"
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


class Opened:
    """A page from a file:// address, and all that it complained about or asked the network for."""

    def __init__(
        self, browser: Any, file: Path, size: tuple[int, int] = WIDE, *, charts: bool = False
    ) -> None:
        self.page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        if not charts:
            # Loading Plotly takes longer than all else: what needs no charts goes without.
            self.page.add_init_script("delete window.DecompressionStream")
        self.page.goto(file.as_uri())

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def ready(self) -> Any:
        """Wait for charts, or the words in their place, and for the samples to be unpacked."""
        self.page.wait_for_selector(".plot .main-svg, .plot .failed", state="attached")
        self.page.evaluate("Promise.all(rows.map((row) => row.show()))")
        return self.page

    def choose(self, radius: float) -> float:
        """Slide to the first radius that is no smaller, or to the end; returns where it stands."""
        chosen: float = self.page.evaluate(
            """(radius) => {
              const slider = document.getElementById("radius"), { radii } = report.slider;
              const place = radii.findIndex((r) => r >= radius);
              slider.value = place < 0 ? radii.length - 1 : place;
              slider.dispatchEvent(new Event("input", { bubbles: true }));
              return radii[slider.value];
            }""",
            radius,
        )
        self.settle()
        return chosen

    def settle(self) -> None:
        """Until what was asked for is painted."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def mask(self, sample: int, layer: str = "own", run: int = 0) -> np.ndarray:
        """RGB (H, W, 3) as it stands in the canvas."""
        pixels = self.page.evaluate(
            """async ([sample, layer, run]) => {
              const row = rows[sample];
              await row.show();  // a row that is far away has given its pixels back
              const find = (kind) => `.tile[data-layer="${kind}"][data-run="${run}"] canvas`;
              const canvas = row.stage.querySelector(find(layer))
                ?? row.stage.querySelector(find("column"));
              const { width, height } = canvas;
              const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
              return [height, width, Array.from(data)];
            }""",
            [sample, layer, run],
        )
        height, width, data = pixels
        return np.array(data).reshape(height, width, 4)[..., :3]
