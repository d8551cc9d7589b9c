"""Runtimes: what executes a model. One file a framework; each imports its framework only when a model needs it."""
