"""Examining: one marked test from its terms to its result, and what the examinations of a process share."""
