"""The HDF5 feature store; knows nothing of videos, Luigi or torch."""
