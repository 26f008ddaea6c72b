"""`certiseg verify`: does each certificate follow from its own counts?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from certiseg.cli import options
from certiseg.errors import ClaimError, InputError

OK, FAILED, UNREADABLE = "ok", "failed", "unreadable"


def verify(
    files: Annotated[list[Path], typer.Argument(help="Certificates.", show_default=False)],
    json_lines: options.Json = False,
) -> None:
    """Recompute labels and radius from the stored counts. Exit 1: a claim fails; 2: unreadable."""
    results = []
    for file in files:
        result = _verify(file)
        results.append(result["result"])
        if json_lines:
            print(json.dumps(result), flush=True)
        elif result["result"] == OK:
            print(f"{file}: ok: {result['statement']}", flush=True)
        else:
            word = "FAILED" if result["result"] == FAILED else "error"
            # A broken certificate must be seen even where standard output goes to a file.
            typer.echo(f"{file}: {word}: {result['reason']}", err=True)
    if FAILED in results:
        raise typer.Exit(1)
    if UNREADABLE in results:
        raise typer.Exit(2)


def _verify(file: Path) -> dict[str, Any]:
    from certiseg.certificates.certificate import Certificate
    from certiseg.certify.verify import verify as recompute
    from certiseg.runs.record import radius_record

    try:
        certificate = Certificate.load(file)
        recompute(certificate)
    except ClaimError as error:
        return {"file": str(file), "result": FAILED, "reason": str(error)}
    except InputError as error:
        return {"file": str(file), "result": UNREADABLE, "reason": str(error)}
    return {
        "file": str(file),
        "result": OK,
        "radius": radius_record(certificate),
        "abstention": certificate.abstention,
        "statement": certificate.statement(),
    }
