"""Running: what happens around a marked test in the process where it runs, its runner."""
