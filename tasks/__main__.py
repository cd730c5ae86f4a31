"""`python -m doit_tofu`: the same as `doit-tofu`."""

import sys

from .program import main

if __name__ == "__main__":
    sys.exit(main())
