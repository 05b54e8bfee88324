"""`python -m bench.inference`: see `bench.inference.run`."""

import sys

from bench.inference.run import main

if __name__ == "__main__":
    sys.exit(main())
