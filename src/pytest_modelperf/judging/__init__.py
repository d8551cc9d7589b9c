"""Judging: pure functions from results to figures, budgets and verdicts."""
