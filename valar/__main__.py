"""`python -m valar`: the command `valar`."""

import sys

from valar.entry import main

if __name__ == "__main__":
    sys.exit(main())
