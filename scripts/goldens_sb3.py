"""Writes what Stable-Baselines3's VecNormalize makes of some steps, for the tests of crates/env.

From the repository's root, in a virtual environment:
    pip install stable-baselines3==2.9.2 torch==2.15.0 gymnasium==1.4.0 numpy==2.4.6
    python scripts/goldens_sb3.py

Three lanes replay invented observations, rewards and endings, in float64, so that NumPy's batch moments
are float64 as well. After the reset and after each step: the observations and rewards that VecNormalize
returns, the terminal observations, and the mean, variance and weight of both running statistics. What
Gymnasium's own RunningMeanStd says of the same observations must be the same, or nothing is written.
"""

import json
import pathlib

import gymnasium
import numpy as np
import stable_baselines3
from gymnasium.wrappers.utils import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

TARGET = pathlib.Path(__file__).parent.parent / "crates/env/tests/goldens/vec_normalize.json"
LANES, WIDTH, STEPS, GAMMA = 3, 4, 40, 0.9


def observations(rng, shape):
    """Float32 numbers as float64: far from 0, small and wide, always the same, and now and then an outlier."""
    columns = [
        1000 + rng.normal(size=shape),
        rng.normal(scale=0.01, size=shape),
        np.full(shape, 0.25),
        rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 100, 1),
    ]
    return np.stack(columns, axis=-1).astype(np.float32).astype(np.float64)


class Replay(VecEnv):
    """Plays back what it was given."""

    def __init__(self, first, steps):
        box = gymnasium.spaces.Box(-np.inf, np.inf, (WIDTH,), np.float64)
        super().__init__(LANES, box, gymnasium.spaces.Discrete(2))
        self.first, self.steps = first, iter(steps)

    def reset(self):
        return self.first.copy()

    def step_async(self, actions):
        pass

    def step_wait(self):
        obs, rewards, dones, finals = next(self.steps)
        infos = [{"terminal_observation": final.copy()} if done else {} for done, final in zip(dones, finals)]
        return obs.copy(), rewards.copy(), dones.copy(), infos

    def close(self):
        pass

    def get_attr(self, attr_name, indices=None):
        return [None] * LANES

    def set_attr(self, attr_name, value, indices=None):
        raise NotImplementedError

    def env_method(self, method_name, *args, indices=None, **kwargs):
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class, indices=None):
        return [False] * LANES


def statistics(running):
    return {
        "mean": np.atleast_1d(running.mean).tolist(),
        "variance": np.atleast_1d(running.var).tolist(),
        "count": float(running.count),
    }


def state(env):
    return {"observations": statistics(env.obs_rms), "returns": statistics(env.ret_rms)}


def main():
    rng = np.random.default_rng(11)
    first = observations(rng, LANES)
    script = []
    for _ in range(STEPS):
        rewards = rng.normal(-1.0, 3.0, LANES)
        script.append((observations(rng, LANES), rewards, rng.random(LANES) < 0.15, observations(rng, LANES)))

    env, gymnasiums = VecNormalize(Replay(first, script), gamma=GAMMA), RunningMeanStd(shape=(WIDTH,))
    begun = {"raw": first.tolist(), "normalized": env.reset().tolist(), "state": state(env)}
    gymnasiums.update(first)
    steps = []
    for raw, raw_rewards, dones, finals in script:
        obs, rewards, _, infos = env.step(np.zeros(LANES))
        steps.append(
            {
                "raw": raw.tolist(),
                "raw_rewards": raw_rewards.tolist(),
                "raw_finals": [final.tolist() if done else None for final, done in zip(finals, dones)],
                "normalized": obs.tolist(),
                "rewards": rewards.tolist(),
                "finals": [i["terminal_observation"].tolist() if i else None for i in infos],
                "state": state(env),
            }
        )
        gymnasiums.update(raw)
        assert statistics(gymnasiums) == steps[-1]["state"]["observations"]
    goldens = {
        "versions": {
            "stable-baselines3": stable_baselines3.__version__,
            "gymnasium": gymnasium.__version__,
            "numpy": np.__version__,
        },
        "command": "python scripts/goldens_sb3.py",
        "gamma": GAMMA,
        "first": begun,
        "steps": steps,
    }
    TARGET.write_text(json.dumps(goldens) + "\n")


main()
