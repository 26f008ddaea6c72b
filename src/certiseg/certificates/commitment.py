"""Commitments: parameters of future certificates, published before the first draw (theory T15).

A JSON file holds, for each certificate, everything but its draws, and a digest of the seed that
does not reveal it. T15 states what a commitment proves and what it does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certiseg.certificates.certificate import Certificate
from certiseg.errors import ClaimError, InputError
from certiseg.files.documents import parse_json, small_file
from certiseg.files.fields import RECORD, Fields, checked, hexadecimal, list_of, one_of
from certiseg.noise import noise_record
from certiseg.votes import SEED_BITS

FORMAT = "certiseg-commitment-1"
_LARGEST = 64 * 1024**2
_RECORD: Fields = {
    "format": one_of(FORMAT),
    "seed_digest": hexadecimal(64),
    "certificates": list_of(RECORD, 1, 1_000_000),
}
_PARAMETERS = ("method", "alpha", "tau", "correction", "budget", "selection", "version")
_OF_SOURCE = (
    *("model", "model_name", "not_covered", "code", "input", "input_shape", "value_range", "key"),
    *("engine", "binary", "windows"),
)


def fixed(certificate: Certificate) -> dict[str, Any]:
    """Everything in a certificate that is fixed before sampling except the seed, as JSON values.

    Raises InputError for votes without a source, and for methods whose candidates or levels do not
    follow from votes in the certificate.
    """
    source, stage, looks = certificate.votes.source, certificate.selection_votes, certificate.looks
    if source is None:
        raise InputError(
            "expected votes with a source, got votes without; their seed cannot be fixed"
        )
    if certificate.candidates is not None or certificate.levels is not None:
        raise InputError(
            f"expected a method whose choices are all fixed beforehand, got {certificate.method}; "
            "certify without --thresholds, or by other methods than JointClass"
        )
    record = source.record()
    draws = record["draws"]
    if looks is not None and draws == [[0, certificate.votes.trials]]:
        # Commit to the planned draws: it may stop at any look (theory T7).
        draws = [[0, looks.shares[-1][0]]]
    tree, parameters = certificate.hierarchy, certificate.parameters
    # Such as the cutoffs of regions, which must not look at the draws (theory T16).
    own = {} if parameters is None else {"parameters": dict(parameters)}
    return {
        **own,
        **{name: getattr(certificate, name) for name in _PARAMETERS},
        **{name: record[name] for name in _OF_SOURCE if name in record},
        "noise": noise_record(certificate.noise),
        "draws": draws,
        "selection_draws": None
        if stage is None or stage.source is None
        else stage.source.record()["draws"],
        "looks": None if looks is None else [looks.spending, [list(s) for s in looks.shares]],
        "hierarchy": None if tree is None else tree.fingerprint,
    }


def seed_digest(seed: int) -> str:
    """The digest by which a commitment fixes its seed."""
    data = seed.to_bytes(SEED_BITS // 8, "big")
    return hashlib.sha256(f"{FORMAT} seed\0".encode() + data).hexdigest()


def commitment_content(certificates: Sequence[Certificate], seed: int) -> bytes:
    """Content of a commitment file. certificates: with placeholder votes.

    Raises InputError for two certificates of one input, between which one could choose later.
    """
    entries = [fixed(certificate) for certificate in certificates]
    if len({entry["input"] for entry in entries}) < len(entries):
        raise InputError(
            "expected distinct inputs, got one twice; a commitment has one certificate for each"
        )
    record = {"format": FORMAT, "seed_digest": seed_digest(seed), "certificates": entries}
    return (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


@dataclass(frozen=True)
class Commitment:
    """A commitment read from a file.

    name: of the file. digest: SHA-256 of the file, to be published. certificates: their fixed
    parts (``fixed``), by fingerprint of the input.
    """

    name: str
    digest: str
    seed_digest: str
    certificates: dict[str, dict[str, Any]]

    @staticmethod
    def read(path: str | Path) -> Commitment:
        """Read a commitment file. Raises InputError if it is not one."""
        try:
            content = small_file(Path(path), _LARGEST)
            record = checked(parse_json(content), _RECORD, "a commitment")
            by_input = {str(entry["input"]): entry for entry in record["certificates"]}
            if len(by_input) < len(record["certificates"]):
                raise ValueError("an input twice")
        except (ValueError, KeyError) as error:
            raise InputError(
                f"expected a commitment at {path}, got {error}; make one with certiseg plan "
                "--commit FILE"
            ) from None
        digest = hashlib.sha256(content).hexdigest()
        return Commitment(str(path), digest, record["seed_digest"], by_input)

    def challenged(self, challenge: str) -> int:
        """Seed derived from this commitment and a text published after it (theory T15)."""
        message = f"{FORMAT} challenge\0{self.digest}\0{challenge}".encode()
        return int.from_bytes(hashlib.sha256(message).digest()[: SEED_BITS // 8], "big")

    def difference(self, certificate: Certificate) -> str | None:
        """Describe the first fixed value in which the certificate differs; None if none does."""
        found = fixed(certificate)
        entry = self.certificates.get(found["input"])
        if entry is None:
            return f"the input {found['input'][:12]}..., which is not among those committed to"
        for name in dict.fromkeys([*found, *entry]):
            # Compared as JSON text, in which true, 1 and 1.0 differ.
            then, now = (json.dumps(of.get(name), sort_keys=True) for of in (entry, found))
            if then != now or (name in entry) != (name in found):
                return f"{name} {_short(now)} instead of {_short(then)}"
        return None

    def check(self, certificate: Certificate, challenge: str | None = None) -> None:
        """Raise ClaimError unless the certificate agrees with this commitment in everything fixed.

        challenge: if given, the seed must be ``challenged(challenge)``; else it must have the
        committed digest.
        """
        try:
            other = self.difference(certificate)
        except InputError as error:
            raise ClaimError(str(error)) from None
        source = certificate.votes.source
        if other is None and source is not None and source.own_randomness:
            other = "randomness of the model's own, which no seed fixes"
        elif other is None and source is not None:
            if challenge is None:
                same = seed_digest(source.seed) == self.seed_digest
                seed = "whose digest it holds"
            else:
                same = source.seed == self.challenged(challenge)
                seed = "of it and the challenge"
            if same:
                return
            other = f"another seed than the one {seed}"
        raise ClaimError(f"expected what {self.name} committed to, got {other}")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
