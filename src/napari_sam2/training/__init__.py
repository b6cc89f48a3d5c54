"""Synthetic microscopy, simulated clicks, losses, the training loop."""
