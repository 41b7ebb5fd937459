"""`python -m models.weights`: list the third-party weights and fetch them."""

from models.weights.commands import main

raise SystemExit(main())
