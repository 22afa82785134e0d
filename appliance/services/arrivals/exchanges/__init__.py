"""Cloud exchanges: one module for each maker's events, which all say the same of a call."""
