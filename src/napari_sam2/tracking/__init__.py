"""Promptable segmentation of movies: prompts, memory bank, session."""
