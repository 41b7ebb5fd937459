"""The version of the training code, light to import: whoever names a training asks for it."""

#: Raised when a training with the same settings and seed ends with other weights.
TRAINING_VERSION = 2
