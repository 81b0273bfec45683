"""What the ranks of a run say to each other: commands, gradients, states, spans of the validation text."""
