"""Where pixels come from and labels go."""
