"""vardsl: a small language for computing with tensors and their gradients."""

__version__ = "0.1.0"
