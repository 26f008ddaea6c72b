"""Labels from a model's output: one per component and draw, for all supported forms of output."""
