"""Compares ten seeds of ours with Stable-Baselines3's in docs/reference, in numbers and in a picture.

From the repository's root, in a virtual environment:
    pip install matplotlib numpy
    elegante train CartPole-v1 --algo ppo --seeds 0..10 --out ppo-CartPole-v1
    python scripts/compare_sb3.py ppo-CartPole-v1 docs/results/ppo-CartPole-v1-sb3.svg

Prints, for both sides, every seed's evaluation and the step at which the mean return of 100 training
episodes first is at least the environment's threshold, the interquartile mean of the evaluations and the
median of the steps with 95 % bootstrap intervals (a seed that never gets there counts as later than all
others), and where our rolling means lie among the reference's. Draws the learning curves of both.
"""

import argparse
import csv
import json
import pathlib

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt

REFERENCE = pathlib.Path(__file__).parent.parent / "docs/reference"
RESAMPLES = 50_000
OURS, THEIRS = "#b7410e", "#2f5d8a"


def interquartile_mean(values):
    """Mean of the middle half of the last axis."""
    cut = values.shape[-1] // 4
    return np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(axis=-1)


def interval(values, statistic):
    """`statistic` of `values` and its 95 % percentile bootstrap interval over seeds."""
    values = np.asarray(values, float)
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    # Nearest ranks: between a number and infinity there is nothing to interpolate.
    ends = np.percentile(statistic(values[draws]), [2.5, 97.5], method="nearest")
    return statistic(values), *ends


def middle(values):
    """Median of the last axis."""
    return np.median(values, axis=-1)


def rolling(path, window, every, steps):
    """Mean return of the last `window` episodes at `every`, 2·`every`, … steps; NaN before there are as many."""
    with open(path) as file:
        rows = [(int(row["steps"]), float(row["return"])) for row in csv.DictReader(file)]
    ends, sums = np.array([row[0] for row in rows]), np.cumsum([0.0] + [row[1] for row in rows])
    seen = [int(np.searchsorted(ends, limit, side="right")) for limit in range(every, steps + 1, every)]
    return [(sums[n] - sums[n - window]) / window if n >= window else np.nan for n in seen]


def ours(directory, reference):
    """The same as the reference's numbers, from an experiment's directory."""
    summary = json.loads((directory / "summary.json").read_text())
    window, every, steps = reference["window"], reference["every"], summary["steps"]
    curves = [rolling(directory / f"seed-{s['seed']}" / "episodes.csv", window, every, steps) for s in summary["seeds"]]
    return [s["evaluation"]["mean_return"] for s in summary["seeds"]], [s["passes"] for s in summary["seeds"]], curves


def theirs(reference):
    seeds = reference["seeds"]
    curves = [[np.nan if v is None else v for v in s["rolling"]] for s in seeds]
    return [s["evaluation"]["mean"] for s in seeds], [s["passes"] for s in seeds], curves


def tell(name, evaluations, passes):
    thousands = [np.inf if p is None else p / 1000 for p in passes]
    print(name)
    print("  evaluation ", *(f"{value:.1f}" for value in evaluations))
    print("  IQM         {:.1f} [{:.1f}, {:.1f}]".format(*interval(evaluations, interquartile_mean)))
    print("  passes, k  ", *("–" if np.isinf(value) else f"{value:.1f}" for value in thousands))
    print("  median      {:.1f} [{:.1f}, {:.1f}]".format(*interval(thousands, middle)))


def place(a, b, every):
    """Where the median of the curves `a` lies among the curves `b`, where all of both are known."""
    known = np.flatnonzero(~np.isnan(a).any(axis=0) & ~np.isnan(b).any(axis=0))
    if len(known) == 0:
        return print("no step at which every seed of both has a rolling mean")
    low, high, median = b.min(axis=0), b.max(axis=0), middle(a.T)
    inside = [i for i in known if low[i] <= median[i] <= high[i]]
    print(f"our median lies within the reference's seeds at {len(inside)} of {len(known)} places")
    apart = []
    for i in known:
        (_, a_low, a_high), (_, b_low, b_high) = interval(a[:, i], middle), interval(b[:, i], middle)
        if a_low > b_high or b_low > a_high:
            apart.append(f"{(i + 1) * every} ({middle(a[:, i]):.0f} against {middle(b[:, i]):.0f})")
    print("95 % intervals of the medians apart at:", ", ".join(apart) or "none of them")
    means = [interval(x[:, known].mean(axis=1), interquartile_mean) for x in (a, b)]
    print("IQM of the mean height of a curve: ours {:.1f} [{:.1f}, {:.1f}],".format(*means[0]), end=" ")
    print("theirs {:.1f} [{:.1f}, {:.1f}]".format(*means[1]))


def draw(a, b, reference, target):
    plt.rcParams.update({"svg.hashsalt": "elegante", "svg.fonttype": "none", "font.family": "sans-serif"})
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    steps = np.arange(1, a.shape[1] + 1) * reference["every"] / 1000
    axes.plot(steps, b.T, color=THEIRS, linewidth=0.9, alpha=0.8)
    axes.fill_between(steps, a.min(axis=0), a.max(axis=0), color=OURS, alpha=0.16, linewidth=0)
    axes.plot(steps, middle(a.T), color=OURS, linewidth=2.4)
    for label, style in [
        (f"Stable-Baselines3, its {len(b)} seeds", dict(color=THEIRS, linewidth=0.9)),
        (f"elegante, median of {len(a)} seeds", dict(color=OURS, linewidth=2.4)),
        ("elegante, lowest to highest seed", dict(color=OURS, linewidth=8, alpha=0.16)),
    ]:
        axes.plot([], [], label=label, **style)
    axes.axhline(reference["threshold"], color="#777777", linewidth=0.8, linestyle=":")
    axes.set(xlabel="thousand environment steps", ylabel="mean return of 100 training episodes", xlim=(0, steps[-1]))
    axes.set_title(f"{reference['algorithm']} on {reference['env']}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare an experiment with Stable-Baselines3's seeds.")
    parser.add_argument("experiment", type=pathlib.Path, help="what `elegante train --seeds` wrote")
    parser.add_argument("picture", type=pathlib.Path, nargs="?", help="SVG of both sides' curves")
    arguments = parser.parse_args()
    summary = json.loads((arguments.experiment / "summary.json").read_text())
    reference = json.loads((REFERENCE / f"sb3_{summary['algo']}_{summary['env']}.json").read_text())
    *us, our_curves = ours(arguments.experiment, reference)
    *them, their_curves = theirs(reference)
    tell("elegante", *us)
    tell("Stable-Baselines3", *them)
    a, b = np.array(our_curves), np.array(their_curves)
    place(a, b, reference["every"])
    if arguments.picture:
        draw(a, b, reference, arguments.picture)
