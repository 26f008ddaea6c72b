"""Trained networks for certiseg, as files; there is no code here."""
