"""`certiseg sign`: detached signatures of certificates, to prove their origin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.screen import say


def sign(
    files: Annotated[list[Path], typer.Argument(help="Certificates.", show_default=False)],
    key: Annotated[
        Path,
        typer.Option(
            help="Private Ed25519 key in PEM (openssl genpkey -algorithm ed25519 -out KEY.pem)."
        ),
    ],
    overwrite: options.Overwrite = False,
) -> None:
    """Sign certificates that verify: FILE.sig beside each FILE, for verify --key."""
    from certiseg.certificates.signature import private_key, signature_file
    from certiseg.certificates.signature import sign as sign_content
    from certiseg.certificates.storage import parse, read
    from certiseg.certifiers.verify import verify
    from certiseg.files.atomic import atomic_write
    from certiseg.files.folders import locked

    private = private_key(key)
    for file in files:
        content, target = read(file), signature_file(file)
        verify(parse(content, file).certificate)
        with locked(target.parent, [target.name], overwrite):
            atomic_write(target, sign_content(content, private))
        say(f"{file}: signed: {target}")
