"""Writes what NumPy's seeding and generator return, for the tests of crates/env.

From the repository's root, in a virtual environment:
    pip install numpy==2.4.6
    python scripts/goldens_numpy.py
"""

import json
import pathlib

import numpy as np

TARGET = pathlib.Path(__file__).parent.parent / "crates/env/tests/goldens/numpy.json"
SEEDS = [0, 1, 42, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
ENTROPY_WORDS = [[7], [1, 2, 3], [0, 0, 0, 0], [5, 4, 3, 2, 1, 0], list(range(1, 12))]
BOUNDS = [(-0.05, 0.05), (0.0, 1.0), (-1.5, 1e6)]


def stream(seed):
    """The first numbers of one seed: raw, as fractions, between bounds, and after a mixture."""
    draw = np.random.default_rng(seed)
    between = [[low, high, float(draw.uniform(low, high))] for low, high in BOUNDS for _ in range(3)]
    return {
        "seed": seed,
        "sequence": [int(x) for x in np.random.SeedSequence(seed).generate_state(4, np.uint64)],
        "raw": [int(x) for x in np.random.PCG64(seed).random_raw(8)],
        "random": [float(x) for x in np.random.default_rng(seed).random(8)],
        "uniform": between,
    }


def sequence(words):
    """What a seed sequence of several 32-bit words generates."""
    state = np.random.SeedSequence(words).generate_state(6, np.uint64)
    return {"words": words, "sequence": [int(x) for x in state]}


goldens = {
    "numpy": np.__version__,
    "command": "python scripts/goldens_numpy.py",
    "streams": [stream(seed) for seed in SEEDS],
    "sequences": [sequence(words) for words in ENTROPY_WORDS],
}
TARGET.write_text(json.dumps(goldens, indent=1) + "\n")
