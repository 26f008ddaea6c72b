"""The report at the end of a command that wrote a run."""

from __future__ import annotations

from pathlib import Path

from certiseg.errors import InputError


def page_line(out: Path) -> str:
    """Write OUT/report.html if its libraries are installed. Returns the line to print about it."""
    from certiseg.report.page.interactive import need_page_libraries
    from certiseg.report.write import write_report
    from certiseg.runfolder.layout import PAGE

    try:
        need_page_libraries()
    except InputError:
        return f"for an HTML report: pip install 'certiseg[report]', then certiseg report {out}"
    # The results are written already; an error here must not hide them.
    try:
        written = write_report([out], out / PAGE)
        refuted = f" (does not follow: {written.refuted[0]})" if written.refuted else ""
        return f"report, for any browser: {written.page}{refuted}"
    except InputError as error:
        return f"no report: {error}"
