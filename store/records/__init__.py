"""What the store's JSON files say beside its rows: plans, listings, who was erased (FORMAT.md, section 6)."""
