"""Runners and twins, as the coordinator sees them, and all that is said between them."""
