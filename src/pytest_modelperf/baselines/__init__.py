"""Baselines: the file format, the store, and the name of a machine."""
