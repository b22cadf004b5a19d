"""Searches (configuration, space, strategies, evaluations, store), builds, and the command line."""
