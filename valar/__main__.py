"""`python -m valar`: the command `valar`."""

import sys

from valar.cli import main

if __name__ == "__main__":
    sys.exit(main())
