"""The version of the training code, in a module that imports nothing: fingerprints of trainings need it."""

#: To be raised by a change after which a training with the same settings and seed gives other weights.
TRAINING_VERSION = 2
