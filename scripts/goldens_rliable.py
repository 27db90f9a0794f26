"""Writes what rliable makes of some scores, for the tests of crates/experiment.

From the repository's root, in a virtual environment:
    pip install rliable==1.2.0 numpy==2.4.6 scipy==1.17.1 arch==7.2.0 pandas==2.3.3
    python scripts/goldens_rliable.py

Point estimates and 95 % stratified-bootstrap intervals of the mean, the median over runs and the
interquartile mean; the probability of improvement and the difference of interquartile means of two
methods; performance profiles. rliable draws its resamples from NumPy's global generator, whatever
`random_state` it is given, so that one is seeded. It takes its `aggregate_median` over the means of tasks;
the median here is the one over the runs of one task, through rliable's own bootstrap.
"""

import json
import pathlib

import numpy as np
from rliable import library, metrics

TARGET = pathlib.Path(__file__).parent.parent / "crates/experiment/tests/goldens/rliable.json"
# Fewer than the test takes: mannwhitneyu is slow.
REPS = 20_000

STATISTICS = {
    "iqm": metrics.aggregate_iqm,
    "mean": lambda scores: np.mean(scores),
    "median": lambda scores: np.median(scores),
}
PAIRS = {
    "probability_of_improvement": metrics.probability_of_improvement,
    "difference_of_iqms": lambda x, y: metrics.aggregate_iqm(x) - metrics.aggregate_iqm(y),
}


def estimate(scores, statistic):
    """rliable's value and interval of one statistic."""
    np.random.seed(0)
    function = lambda *drawn: np.array([statistic(*drawn)])
    value, interval = library.get_interval_estimates({"x": scores}, function, reps=REPS)
    return {"value": float(value["x"][0]), "low": float(interval["x"][0, 0]), "high": float(interval["x"][1, 0])}


def tasks(scores):
    """Each task's runs, from rliable's [runs × tasks]."""
    return scores.T.tolist()


def profile(scores, levels):
    """The share of runs above each level, with rliable's pointwise interval."""
    np.random.seed(0)
    share, interval = library.create_performance_profile({"x": scores}, np.array(levels), reps=REPS)
    ends = zip(levels, share["x"], interval["x"][0], interval["x"][1])
    return [[at, {"value": float(value), "low": float(low), "high": float(high)}] for at, value, low, high in ends]


def one_method(name, scores):
    levels = sorted(set(np.quantile(scores, [0.0, 0.2, 0.5, 0.9]).tolist()))
    return {
        "name": name,
        "tasks": tasks(scores),
        "estimates": {key: estimate(scores, statistic) for key, statistic in STATISTICS.items()},
        "profile": profile(scores, levels),
    }


def two_methods(name, x, y):
    return {
        "name": name,
        "x": x[:, 0].tolist(),
        "y": y[:, 0].tolist(),
        "estimates": {key: estimate([x, y], statistic) for key, statistic in PAIRS.items()},
    }


def main():
    rng = np.random.default_rng(2021)
    spread = lambda runs, centre, scale: np.round(rng.normal(centre, scale, (runs, 1)), 2)
    solved = np.array([[500.0], [500.0], [491.0], [500.0], [458.5], [500.0], [487.25], [500.0]])
    goldens = {
        "one_method": [
            one_method("five runs", spread(5, -150, 20)),
            one_method("ten runs", spread(10, 400, 60)),
            one_method("eight runs with ties", solved),
            one_method("eleven runs of three tasks", np.hstack([spread(11, c, s) for c, s in [(0, 1), (3, 2), (9, 5)]])),
        ],
        "two_methods": [
            two_methods("ten against seven", spread(10, 420, 50), spread(7, 400, 60)),
            two_methods("with ties", solved, solved[:6] - np.array([[0.0], [9.0], [0.0], [0.0], [0.0], [30.0]])),
        ],
    }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(goldens, indent=1) + "\n")


main()
