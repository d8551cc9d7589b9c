"""Counters: what calls of a model do beside taking time. One file a source; `take` asks them."""
