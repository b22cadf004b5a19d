"""Search strategies (evolution, surrogate, NASB's mixtures), and the selection after a rung."""
