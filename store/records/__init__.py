"""The store's JSON files: plans, listings, and which utterances were erased (FORMAT.md, section 6)."""
