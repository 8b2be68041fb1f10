"""`python -m embedded`."""

import sys

from embedded.main import main

sys.exit(main())
