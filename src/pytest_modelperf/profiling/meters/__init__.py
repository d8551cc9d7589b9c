"""Meters: one file for each source of power, energy and clocks."""
