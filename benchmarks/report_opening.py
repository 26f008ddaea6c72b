"""How long does a report take to open in headless Chromium, and how much does it weigh?

    python benchmarks/report_opening.py out/report.html --runs 5

Prints JSON: bytes, and the median time from navigation to first paint (text, tables and still
charts), to the moment at which the first row of pictures is painted, and to the moment at which
charts can be pointed at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import sync_playwright

_ROW = "(canvas => canvas && canvas.width > 0)(document.querySelector('[data-layer=own] canvas'))"
_CHARTS = "!!document.querySelector('.plot[data-key=boundary] .main-svg')"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    times: dict[str, list[float]] = {"first_paint": [], "first_row": [], "charts": []}
    with sync_playwright() as playwright:
        for _ in range(options.runs):
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(options.report.resolve().as_uri(), wait_until="commit")
            # A row is painted once it is near: go there at once, as an impatient reader would.
            page.wait_for_selector("#samples article")
            page.evaluate("document.querySelector('#samples').scrollIntoView()")
            times["first_row"].append(_when(page, _ROW))
            times["charts"].append(_when(page, _CHARTS))
            paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            times["first_paint"].append(page.evaluate(paint))
            version = browser.version
            browser.close()
    found = {f"{name}_ms": round(statistics.median(values)) for name, values in times.items()}
    about = {"bytes": options.report.stat().st_size, "chromium": version, "cpus": os.cpu_count()}
    print(json.dumps({**about, **found}))


def _when(page, condition: str) -> float:
    """Milliseconds since navigation at which the condition holds."""
    page.wait_for_function(condition, polling=5)
    return page.evaluate("performance.now()")


if __name__ == "__main__":
    main()
