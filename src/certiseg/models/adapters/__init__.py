"""Base models of other libraries, each loaded when it is asked for."""
