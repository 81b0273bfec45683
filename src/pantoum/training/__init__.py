"""A run: the loop over batches and all that it needs to end on time, lose nothing and be trusted."""
