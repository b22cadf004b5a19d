"""The commands of `zerocross`, one file per group of related commands. Heavy imports are inside the functions."""
