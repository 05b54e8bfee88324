"""Makes a reference instance, and on demand its matrix: a process of its own, since making it takes more than holding.

python -m bench.arrays.make SCALE SEED OUT.npz [--matrix MATRIX.npz]
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from bench.arrays.instance import make, make_matrix, save_named


def main(argv: list[str] | None = None) -> int:
    """Write the files and say on one line of JSON how large the instance is."""
    parser = argparse.ArgumentParser(prog="bench.arrays.make", description=__doc__)
    parser.add_argument("scale")
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--matrix", type=Path)
    told = parser.parse_args(argv)
    arrays = make(told.scale, told.seed)
    arrays.save(told.out)
    said = {
        "sites": arrays.sites,
        "classes": arrays.classes,
        "pairs": arrays.pairs,
        "constant_usd": arrays.unservable_usd,
    }
    if told.matrix is not None:
        matrix = make_matrix(told.scale, told.seed)
        save_named(told.matrix, {
            "cost": matrix.cost, "upper": matrix.upper, "integer": matrix.integer, "data": matrix.rows.data,
            "indices": matrix.rows.indices, "indptr": matrix.rows.indptr, "shape": np.array(matrix.rows.shape),
            "row_lower": matrix.row_lower, "row_upper": matrix.row_upper,
        })  # fmt: skip
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
