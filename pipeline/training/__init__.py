"""From the store to checkpoints: the trainings of each seed, and of folds."""
