"""Benchmarks of certification (`certiseg bench`): each module answers one question."""
