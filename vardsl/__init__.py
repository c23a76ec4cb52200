"""vardsl: a small language for computing with tensors and their gradients."""
