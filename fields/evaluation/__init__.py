"""Values of a graph of fields on lattices and at points, in bounded memory, and what is settled by them."""
