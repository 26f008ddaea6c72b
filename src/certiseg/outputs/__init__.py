"""What a model's output says: one label per component and draw, whatever form it comes in."""
