"""Templates are sealed and permuted under the school's key."""
