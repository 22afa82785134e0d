"""Installs and runs the appliance's process tree: one template for the demo and for production."""
