"""The commands `python -m pipeline COMMAND`; each module has HELP, add_arguments and run."""
