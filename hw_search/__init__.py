"""This package runs searches (configuration, space, strategies, evaluations, store) and builds, and holds the command line."""
