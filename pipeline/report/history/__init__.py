"""All reports of a folder of runs, one line each, and what two of them rest on differently."""
