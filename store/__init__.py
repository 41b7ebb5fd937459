"""The HDF5 feature store; knows nothing of videos, Luigi or torch."""

from store.catalog.clip import Clip
from store.catalog.feature_store import FeatureStore
from store.errors import ShardError, StoreError, UtteranceNotFoundError

__all__ = ["Clip", "FeatureStore", "ShardError", "StoreError", "UtteranceNotFoundError"]
