"""What a graph's nodes are and mean: products, quantizers, levels, and the regions between tensors of integers."""
