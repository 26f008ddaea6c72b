"""What is claimed and the evidence for it: the record, its sentence, its file. No torch."""

from certiseg.certificates.certificate import Certificate

__all__ = ["Certificate"]
