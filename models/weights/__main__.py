"""`python -m models.weights`: list the third-party weights and fetch them."""

from models.closed_pipes import run_quietly
from models.weights.commands import main

raise SystemExit(run_quietly(main))
