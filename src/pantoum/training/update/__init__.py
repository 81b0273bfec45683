"""One update of the weights: gradients of the members and shards, their sum, the optimiser, the guard."""
