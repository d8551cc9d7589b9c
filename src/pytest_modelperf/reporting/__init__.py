"""Reporting: one file a format. Reporters get a finished report and compute nothing."""
