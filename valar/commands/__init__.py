"""Commands of `valar` that neither the pipeline nor the store has: those that start Luigi, the store's, completion."""
