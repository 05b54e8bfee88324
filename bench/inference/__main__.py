"""Inference of unmeasured pairs beside baselines: errors, coverage and width of 90 % intervals, seconds, memory."""

import sys

from bench.inference.run import main

if __name__ == "__main__":
    sys.exit(main())
