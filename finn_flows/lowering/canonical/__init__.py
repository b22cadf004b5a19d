"""From the graph of a file to one of few kinds of nodes. Each rewriting keeps the graph's function."""
