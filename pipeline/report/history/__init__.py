"""The history of a folder of runs: all its reports, and how two reports differ in data and settings."""
