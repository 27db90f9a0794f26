"""Environments of the tests, each with something that Gymnasium's own have not."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Recorder(gymnasium.Env):
    """Sees what it was last told, and its own past: spaces of every kind, seeds, options."""

    def __init__(self, actions="discrete", pair=(1, 2), unspeakable=None):
        self.action_space = {
            "discrete": spaces.Discrete(3, start=5),
            "box": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
            "multidiscrete": spaces.MultiDiscrete([[2, 3], [4, 5]]),
            "multibinary": spaces.MultiBinary((2, 2)),
            "whole": spaces.Box(0, 9, (1,), np.int64),
            "text": spaces.Text(4),
            "tuple": spaces.Tuple([spaces.Discrete(2)]),
        }[actions]
        self.observation_space = spaces.Dict(
            {
                "told": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
                "count": spaces.Discrete(4, start=1),
                "pair": spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2, 2])]),
            }
        )
        self.pair = pair
        self.kept = None

    def see(self):
        pair = (np.array([1, 0], np.int8), np.array([0, 1]))
        return {"told": self.told, "count": self.count, "pair": pair}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 1
        self.told = np.full((2, 2), (options or {}).get("fill", self.np_random.random()))
        return self.see(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        assert not isinstance(action, np.ndarray) or action is not self.kept, "the same array twice"
        self.kept = action
        self.count += 1
        self.told = np.resize(np.asarray(action, np.float64), (2, 2))
        return self.see(), float(self.pair[0]), self.count == 4, self.count >= 3, {}


class Troubled(gymnasium.Env):
    """Fails where it is told to."""

    observation_space = spaces.Box(-1.0, 1.0, (1,))
    action_space = spaces.Discrete(2)

    def __init__(self, where="nowhere"):
        self.where = where
        self.trouble("init")

    def trouble(self, here):
        try:
            if here == self.where:
                {}["the gripper"]
        except KeyError as error:
            raise RuntimeError(f"the robot fell over in {here}") from error

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.trouble("reset")
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.trouble("step")
        nan = np.nan if self.where == "nan" else 0.0
        return np.array([nan], np.float32), 0.0, False, False, {}


class Strange(gymnasium.Env):
    """Shows what nobody can flatten."""

    observation_space = spaces.Sequence(spaces.Discrete(2))
    action_space = spaces.Discrete(2)


for world in (Recorder, Troubled, Strange):
    gymnasium.register(f"Test/{world.__name__}-v0", world, reward_threshold=2.5)
