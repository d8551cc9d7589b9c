"""Advice: a small function and a row of the table for each rule. Pure: from what was measured to what would help."""
