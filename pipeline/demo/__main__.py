"""`python -m pipeline.demo FOLDER`: make the demo's data set."""

from pipeline.demo.dataset import main

raise SystemExit(main())
