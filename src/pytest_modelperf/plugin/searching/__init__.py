"""Searching: faster variants of a test's model, made in twins and measured in turn."""
