"""Reads a run's event files with TensorBoard itself and compares them with the run's own logs.

In a virtual environment:
    pip install tensorboard==2.21.0
    elegante train CartPole-v1 --tensorboard --histograms-every 20000 --eval-every 20000 --out run
    python scripts/check_tensorboard.py run

Scalars against metrics.jsonl, histograms by their sums, the configuration as text, hyper-parameters as
the hparams plugin reads them. Ends with an error at the first difference.
"""

import json
import math
import pathlib
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

# TensorBoard's name, the name in metrics.jsonl, and the factor between them.
SCALARS = [
    ("rollout/ep_rew_mean", "mean_return_100", 1),
    ("rollout/ep_len_mean", "mean_length_100", 1),
    ("time/fps", "steps_per_second", 1),
    ("train/loss", "loss", 1),
    ("train/entropy_loss", "entropy", -1),
    ("train/grad_norm", "grad_norm", 1),
    ("train/learning_rate", "learning_rate", 1),
    ("train/approx_kl", "approx_kl", 1),
    ("train/clip_fraction", "clip_fraction", 1),
    ("train/explained_variance", "explained_variance", 1),
    ("train/value_loss", "value_loss", 1),
]


def same(ours, theirs, what):
    if len(ours) != len(theirs):
        sys.exit(f"{what}: {len(theirs)} values in metrics.jsonl, {len(ours)} in the event files")
    for (step, value), (other_step, other) in zip(ours, theirs):
        if step != other_step or not math.isclose(value, other, rel_tol=1e-6, abs_tol=1e-12):
            sys.exit(f"{what}: {value} at {step} is {other} at {other_step} in metrics.jsonl")


def main(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    info = json.loads((run / "run.json").read_text())
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()

    def scalar(tag):
        return [(event.step, event.value) for event in events.Scalars(tag)]

    updates = [line for line in lines if line["event"] == "update"]
    for tag, key, factor in SCALARS:
        theirs = [(line["steps"], factor * line[key]) for line in updates if line.get(key) is not None]
        if theirs:
            same(scalar(tag), theirs, tag)
            print(f"{tag}: {len(theirs)} values")
    evaluations = [(line["steps"], line["mean_return"]) for line in lines if line["event"] == "evaluation"]
    if info["evaluation"]:
        evaluations.append((info["steps"], info["evaluation"]["mean_return"]))
    if evaluations:
        same(scalar("eval/mean_reward"), evaluations, "eval/mean_reward")
        print(f"eval/mean_reward: {len(evaluations)} values")

    histograms = sorted(tags["histograms"])
    for tag in histograms:
        for event in events.Histograms(tag):
            bars = event.histogram_value
            if sum(bars.bucket) != bars.num or np.any(np.diff(bars.bucket_limit) <= 0) or bars.min > bars.max:
                sys.exit(f"{tag} at {event.step}: {bars}")
    print(f"histograms: {len(histograms)} tensors, such as {', '.join(histograms[-2:])}")

    text = tensor_util.make_ndarray(events.Tensors("config")[0].tensor_proto)[0].decode()
    if (run / "config.toml").read_text() not in text:
        sys.exit("the text `config` is not config.toml")
    print(f"config: {len(text)} characters of text")

    for file in sorted((run / "tensorboard").iterdir()):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "hparams":
                    data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                    kind = data.WhichOneof("data")
                    if kind == "session_start_info":
                        found = data.session_start_info.hparams
                        if found["seed"].number_value != info["seed"] or found["env"].string_value != info["env"]:
                            sys.exit(f"hyper-parameters: {found}")
                        print(f"hyper-parameters: {len(found)}, seed {found['seed'].number_value:g}")
                    else:
                        print(f"hparams: {kind}")


main(pathlib.Path(sys.argv[1]))
