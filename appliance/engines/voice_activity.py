"""Voice activity: where somebody speaks."""
