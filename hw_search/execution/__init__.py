"""How candidates are trained: as tasks, in stacks, by workers here or on a cluster, and stored."""
