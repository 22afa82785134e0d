"""Installs and upgrades on the target. This half runs on the system's python3 with its standard library alone."""
