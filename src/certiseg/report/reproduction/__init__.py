"""Tables and figures of reproduced experiments."""
