"""Ranks: the processes that torchrun starts, which call a model together."""
