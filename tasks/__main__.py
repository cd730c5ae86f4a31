"""`python -m doit_tofu`: the same as `doit-tofu`."""

import sys

from .program import main

sys.exit(main())
