"""Training a network: the loop, its state, its checkpoints."""
