"""Builds and verifies the one archive that a dealership's machine is installed from, without internet."""
