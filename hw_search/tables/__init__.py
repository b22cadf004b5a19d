"""Spaces that are known completely, and searches of them."""
