"""What tests share: helpers beside them can be imported from anywhere below."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
