"""Fixtures of tests in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import WIDE, Opened, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # WebGL without a graphics card; a container's root user has no sandbox.
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        started = playwright.chromium.launch(executable_path=path, args=options)
        yield started
        started.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., Opened]]:
    pages: list[Opened] = []

    def open_file(file: Path, size: tuple[int, int] = WIDE, *, charts: bool = False) -> Opened:
        pages.append(Opened(browser, file, size, charts=charts))
        return pages[-1]

    yield open_file
    for one in pages:
        one.page.close()
