"""Tables: complete results of a space of activations, and comparisons of search strategies on them."""
