"""What a training leaves beside its weights: its record, its metrics, and the folder of its curves."""
