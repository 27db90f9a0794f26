"""How many outputs of rectified units are zeros in a minibatch of a run's own replay buffer.

From the repository's root, in a virtual environment with Python 3.11:
    pip install numpy==2.4.6 safetensors==0.7.0
    python scripts/zeros.py RUN

RUN is a run of DQN, SAC or TD3 on a flat observation; its last checkpoint has the buffer and the parameters. For
each hidden layer of DQN's network or of the first critic: of all outputs, those that are not 0; of all outputs of
six rows together, those that are not 0 in any of the six; and of all units, those that are on in any row.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

TOGETHER = 6


def layers(parameters, sizes):
    """W and b of each, from the vector of all of them."""
    for rows, columns in zip(sizes, sizes[1:]):
        weights, parameters = np.split(parameters, [rows * columns])
        biases, parameters = np.split(parameters, [columns])
        yield weights.reshape(rows, columns), biases
    assert parameters.size == 0, "the network is not a plain one"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the minibatch")
    args = parser.parse_args()
    config = tomllib.loads((args.run / "config.toml").read_text())
    assert config["network"]["activation"] == "relu", "only rectified units are ever off"
    checkpoint = load_file(max((args.run / "checkpoints").glob("step-*.safetensors")))

    count = checkpoint["replay.rewards"].size
    rows = np.random.default_rng(args.seed).integers(count, size=config[config["algo"]]["batch_size"])
    x = checkpoint["replay.observations"].reshape(count, -1)[rows]
    if "online" in checkpoint:
        parameters = checkpoint["online"]
    else:
        parameters, _ = np.split(checkpoint["critics"], 2)
        x = np.hstack([x, checkpoint["replay.actions"].reshape(count, -1)[rows]])
    hidden = config["network"]["hidden"]
    outputs = (parameters.size - sum((a + 1) * b for a, b in zip([x.shape[1], *hidden], hidden))) // (hidden[-1] + 1)

    print(f"{len(rows)} rows of {count}")
    *hidden, _ = layers(parameters, [x.shape[1], *hidden, outputs])
    for i, (weights, biases) in enumerate(hidden, start=1):
        x = np.maximum(x @ weights + biases, 0)
        on = x != 0
        strips = np.array_split(on, range(TOGETHER, len(on), TOGETHER))
        together = np.mean([strip.any(axis=0) for strip in strips])
        print(f"layer {i}: {on.mean():.0%} of outputs, {together:.0%} of six rows', {on.any(axis=0).mean():.0%} of units")


if __name__ == "__main__":
    main()
