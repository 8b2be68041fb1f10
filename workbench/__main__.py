"""`python -m workbench` is `c8s`."""

import sys

from workbench.cli.main import main

sys.exit(main())
