"""From utterances to a network's input."""
