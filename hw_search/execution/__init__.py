"""Execution of trainings: tasks, stacks, workers on this machine or a cluster, and the store."""
