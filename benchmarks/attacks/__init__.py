"""The kinds of attack of `benchmarks/abuse.py`, one in each module."""
