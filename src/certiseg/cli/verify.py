"""`certiseg verify`: recompute certificates from their counts; check signatures and commitments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certiseg.cli import options
from certiseg.errors import ClaimError, InputError
from certiseg.screen import remark, say

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from certiseg.certificates.commitment import Commitment

OK, FAILED, UNREADABLE = "ok", "failed", "unreadable"


def verify(
    files: Annotated[list[Path], typer.Argument(help="Certificates.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(help="Public Ed25519 key in PEM: each FILE.sig must be its signature."),
    ] = None,
    commitment: Annotated[
        Path | None,
        typer.Option(help="File of plan --commit, which fixes all but the draws."),
    ] = None,
    challenge: Annotated[
        str | None, typer.Option(help="With --commitment: the text passed to certify.")
    ] = None,
    json_lines: options.Json = False,
) -> None:
    """Recompute labels, radius and statement from the stored counts. Exit code 1: a claim fails; 2:
    unreadable."""
    from certiseg.certificates.commitment import Commitment
    from certiseg.certificates.signature import public_key

    if challenge is not None and commitment is None:
        raise InputError("expected --commitment with --challenge, got none; name its file")
    signer = None if key is None else public_key(key)
    promised = None if commitment is None else Commitment.read(commitment)
    asked = ((OK, True), ("signed", signer), ("as committed", promised))
    words = ", ".join(word for word, given in asked if given)
    results = []
    for file in files:
        result = _verify(file, signer, promised, challenge)
        results.append(result["result"])
        if json_lines:
            print(json.dumps(result), flush=True)
        elif result["result"] == OK:
            say(f"{file}: {words}: {result['statement']}")
            if not result["as_stored"]:
                remark(f"note: {file}: {_REWORDED}")
        else:
            word = "FAILED" if result["result"] == FAILED else "error"
            # A failed certificate must be visible even if standard output goes to a file.
            remark(f"{file}: {word}: {result['reason']}")
    if promised is not None:
        remark(f"note: {_not_shown(promised, results.count(OK), challenge)}")
    if FAILED in results:
        raise typer.Exit(1)
    if UNREADABLE in results:
        raise typer.Exit(2)


_REWORDED = "statement recomputed, the stored one differs (it was written by another version)"


def _not_shown(promised: Commitment, held: int, challenge: str | None) -> str:
    """What a commitment does not prove (theory T15)."""
    alone = (
        "that nobody drew under its seed before"
        if challenge is None
        else "that nobody knew the challenge before"
    )
    return (
        f"inputs that {promised.name} (SHA-256 {promised.digest}) committed to: "
        f"{len(promised.certificates)}, certificates that hold here: {held}; it cannot show when "
        f"it was made, {alone}, nor that there is no other: compare its SHA-256 with the one "
        "published beforehand"
    )


def _verify(
    file: Path, signer: Ed25519PublicKey | None, promised: Commitment | None, challenge: str | None
) -> dict[str, Any]:
    from certiseg.certificates.signature import check
    from certiseg.certificates.storage import parse, read
    from certiseg.certifiers.verify import verify as recompute
    from certiseg.runs.record import radius_record

    try:
        content = read(file)
        if signer is not None:
            check(content, file, signer)
        found = parse(content, file)
        recompute(found.certificate)
        if promised is not None:
            promised.check(found.certificate, challenge)
    except ClaimError as error:
        return {"file": str(file), "result": FAILED, "reason": str(error)}
    except InputError as error:
        return {"file": str(file), "result": UNREADABLE, "reason": str(error)}
    certificate, sentence = found.certificate, found.certificate.statement()
    return {
        "file": str(file),
        "result": OK,
        "signed": signer is not None,
        "committed": None if promised is None else promised.digest,
        "radius": radius_record(certificate),
        "abstention": certificate.abstention,
        "statement": sentence,
        "as_stored": sentence == found.statement,
    }
