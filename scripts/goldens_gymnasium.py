"""Writes what Gymnasium's CartPole returns, for the tests of crates/env.

From the repository's root, in a virtual environment:
    pip install gymnasium==1.4.0 numpy==2.4.6
    python scripts/goldens_gymnasium.py
"""

import itertools
import json
import pathlib
import random

import gymnasium
import numpy as np

TARGET = pathlib.Path(__file__).parent.parent / "crates/env/tests/goldens/cartpole.json"


def at_random(chance):
    """Pushes right with this chance."""
    return lambda obs, rng: int(rng.random() < chance)


def balancing(obs, rng):
    """Keeps the pole up and the cart near the middle for as long as the clock runs."""
    return int(obs[2] + 0.5 * obs[3] + 0.05 * obs[0] + 0.1 * obs[1] > 0)


def drifting(obs, rng):
    """Keeps the pole up while the cart runs off to the right."""
    return int(obs[2] + 0.3 * obs[3] - 0.04 > 0)


def episode(env, seed, options, policy, rng):
    """One whole episode, its first observation included."""
    obs, _ = env.reset(seed=seed, options=options)
    record = {"seed": seed, "options": options, "actions": "", "obs": [obs], "rewards": []}
    ending = None
    while ending is None:
        action = policy(obs, rng)
        obs, reward, terminated, truncated, _ = env.step(action)
        record["actions"] += str(action)
        record["obs"].append(obs)
        record["rewards"].append(float(reward))
        ending = "terminated" if terminated else "truncated" if truncated else None
    record["obs"] = [[shortest(x) for x in obs] for obs in record["obs"]]
    return record | {"ending": ending}


def shortest(x):
    """The shortest decimal that reads back as this float32."""
    return float(str(np.float32(x)))


def sequence(id, seed, plans, **make):
    """Several episodes one after the other; only the first is seeded, then the generator runs on."""
    env, rng = gymnasium.make(id, **make), random.Random(seed)
    episodes = [
        episode(env, seed if i == 0 else None, options, policy, rng)
        for i, (options, policy) in enumerate(plans)
    ]
    return {"id": id, "options": make, "episodes": episodes}


def states(env):
    """States on both sides of every limit, and some from all over the place."""
    x_edges, theta_edges = edges(env.x_threshold), edges(env.theta_threshold_radians)
    for x, theta, still in itertools.product(x_edges, theta_edges, [True, False]):
        yield [x, 0.0 if still else 0.3, theta, 0.0 if still else -0.4]
    rng = random.Random(0)
    for _ in range(100):
        yield [rng.uniform(-most, most) for most in (2.4, 3.0, 0.2, 3.0)]


def transitions():
    """Single steps in full precision."""
    env = gymnasium.make("CartPole-v1").unwrapped
    rows = []
    for state, action in itertools.product(states(env), [0, 1]):
        env.reset(seed=0)
        env.state = np.array(state)
        _, reward, terminated, _, _ = env.step(action)
        after = [float(v) for v in env.state]
        rows.append({"state": state, "action": action, "after": after,
                     "reward": float(reward), "terminated": bool(terminated)})
    return rows


def edges(limit):
    """The limit itself, its neighbours, and the middle."""
    above, below = float(np.nextafter(limit, 9.0)), float(np.nextafter(limit, 0.0))
    return [-above, -limit, -below, 0.0, below, float(limit), above]


wide = {"low": -0.2, "high": 0.2}
goldens = {
    "gymnasium": gymnasium.__version__,
    "numpy": np.__version__,
    "command": "python scripts/goldens_gymnasium.py",
    "sequences": [
        sequence("CartPole-v1", 42, [(None, at_random(0.5))] * 8),
        sequence("CartPole-v1", 2**64 - 1, [(None, at_random(0.3)), (None, at_random(0.9)), (None, at_random(0))]),
        sequence("CartPole-v1", 0, [(None, balancing), (None, drifting), (wide, at_random(0.5))]),
        sequence("CartPole-v1", 7, [({"low": 0.1, "high": 0.19}, at_random(0.5)), ({"low": -0.15}, drifting)]),
        sequence("CartPole-v0", 3, [(None, balancing), (None, at_random(0.5))]),
        sequence("CartPole-v1", 2**40 + 1, [(None, at_random(0.5))] * 3, sutton_barto_reward=True),
    ],
    "transitions": transitions(),
}
TARGET.write_text(json.dumps(goldens, separators=(",", ":")) + "\n")
