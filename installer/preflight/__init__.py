"""Looks at a machine before anything is changed on it. Standard library alone: it runs where nothing is installed."""
