"""The certificate: its record, statement and file, and the interface of methods. No torch."""

from certiseg.certificates.certificate import Certificate

__all__ = ["Certificate"]
