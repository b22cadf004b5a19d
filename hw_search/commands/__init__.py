"""The commands of `zerocross`, a file for each thing a person wants to do. Heavy imports are inside them."""
