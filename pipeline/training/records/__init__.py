"""What a training leaves beside its weights: its record, its metrics, its name among the curves."""
