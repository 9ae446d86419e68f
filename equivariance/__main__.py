"""`python -m equivariance`."""

import sys

from equivariance.cli import main

sys.exit(main())
