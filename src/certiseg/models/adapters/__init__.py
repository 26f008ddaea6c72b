"""Base models of other libraries, each imported on demand."""
