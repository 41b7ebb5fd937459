"""The demo: synthetic talking faces whose labels can be learnt."""
