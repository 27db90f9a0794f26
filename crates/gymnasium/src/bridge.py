"""Python's side of the bridge: makes Gymnasium's environments, and turns what they say into flat
arrays, which Rust reads in place, and what they are told from bytes."""

import importlib
import inspect
import json
import math
import multiprocessing
import os
import pathlib
import site
import sys
import sysconfig
from difflib import get_close_matches


def enter_virtual_environment():
    """Python inside another program sees the packages of the Python it was built with; those of an
    activated virtual environment are added here, in front of them."""
    root = os.environ.get("VIRTUAL_ENV")
    if not root or pathlib.Path(root) == pathlib.Path(sys.prefix):
        return
    before = list(sys.path)
    site.addsitedir(sysconfig.get_path("purelib", "venv", vars={"base": root, "platbase": root}))
    added = [path for path in sys.path if path not in before]
    sys.path[:] = added + before
    sys.executable = str(pathlib.Path(sysconfig.get_path("scripts", "venv", vars={"base": root}), "python"))


enter_virtual_environment()

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate


# --- Spaces, in the form in which Rust's `Space` is written down.


def bound(x):
    return float(x) if math.isfinite(x) else ("inf" if x > 0 else "-inf")


def written(space):
    """Not `isinstance`: a subclass may mean something else by the same methods."""
    kind = type(space)
    if kind is spaces.Discrete:
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    if kind is spaces.Box:
        with np.errstate(over="ignore"):  # bounds beyond float32 are none
            low, high = (side.astype(np.float32).ravel() for side in (space.low, space.high))
        sides = {"low": [bound(x) for x in low], "high": [bound(x) for x in high]}
        return {"kind": "box", **sides, "shape": list(space.shape)}
    if kind is spaces.MultiDiscrete:
        nvec, start = ([int(n) for n in numbers.ravel()] for numbers in (space.nvec, space.start))
        return {"kind": "multidiscrete", "nvec": nvec, "start": start}
    if kind is spaces.MultiBinary:
        return {"kind": "multibinary", "n": math.prod(space.shape)}
    if kind is spaces.Tuple:
        return {"kind": "tuple", "spaces": [written(part) for part in space.spaces]}
    if kind is spaces.Dict:
        parts = [{"name": str(name), "space": written(part)} for name, part in space.spaces.items()]
        return {"kind": "dict", "parts": parts}
    raise Unsupported(f"{kind.__name__}, in {space}")


class Unsupported(Exception):
    """A space that the other side has no words for."""


def action_written(space):
    if type(space) is spaces.Box and not np.issubdtype(space.dtype, np.floating):
        raise Unsupported(f"a Box of {space.dtype} as actions, in {space}")
    return written(space)


def flattener(space):
    """What turns an observation into something that a row of float32 can be filled with."""
    if type(space) is spaces.Box:
        return np.ravel
    return lambda value: spaces.utils.flatten(space, value)


def reader(space):
    """What turns an action as Rust sends it into one as the environment takes it: always a new one,
    since environments may keep what they are given."""
    if type(space) is spaces.Discrete:
        start = int(space.start)
        return lambda index: start + index
    if type(space) is spaces.Box:
        return lambda raw: np.frombuffer(raw, np.float32).astype(space.dtype).reshape(space.shape)
    if type(space) is spaces.MultiDiscrete:
        return lambda indices: np.array(indices, space.dtype).reshape(space.shape) + space.start
    return lambda switches: np.array(switches, space.dtype).reshape(space.shape)


def mask_for(space, lanes):
    """Where the masks of discrete actions go."""
    return np.ones((lanes, int(space.n) if type(space) is spaces.Discrete else 0), np.uint8)


# --- Environments by name.


def spec_of(id):
    """Gymnasium's own words on an environment, its module imported where the id has one before it."""
    module, _, name = id.rpartition(":")
    if module:
        importlib.import_module(module)
    return gymnasium.spec(name)


def describe(id):
    """What a registry says of an environment; if there is none, a list of similar names."""
    try:
        spec = spec_of(id)
    except gymnasium.error.UnregisteredEnv:
        return json.dumps({"nearest": similar(id)})
    found = {
        # The module to import is part of the name, or a saved run could not be read back.
        "id": f"{module}:{spec.id}" if (module := id.rpartition(":")[0]) else spec.id,
        "steps": spec.max_episode_steps,
        "threshold": spec.reward_threshold,
        "options": list(parameters(spec)),
        "gymnasium": gymnasium.__version__,
    }
    return json.dumps({"found": found})


def similar(id):
    module, colon, name = id.rpartition(":")
    known = {name.lower(): name for name in gymnasium.registry}
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    return [f"{module}{colon}{known[name]}" for name in near]


def parameters(spec):
    """What `gymnasium.make` takes for this environment, as far as the usual values can be written in
    TOML: names with those values."""
    yield "max_episode_steps", -1 if spec.max_episode_steps is None else spec.max_episode_steps
    maker = spec.entry_point if callable(spec.entry_point) else load_env_creator(spec.entry_point)
    for name, parameter in inspect.signature(maker).parameters.items():
        value = spec.kwargs.get(name, parameter.default)
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and name != "max_episode_steps" and simple(value):
            yield name, plain(value)


def plain(value):
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def changed(id, options):
    """The options that are not as usual anyway: what TOML had no words for stays as it was."""
    usual = dict(parameters(spec_of(id)))
    return {name: value for name, value in options.items() if usual.get(name) != value}


def simple(value):
    if isinstance(value, (list, tuple)):
        return all(map(simple, value))
    finite = isinstance(value, float) and math.isfinite(value)
    whole = isinstance(value, int) and -(2**63) <= value < 2**63
    return isinstance(value, str) or finite or whole


# --- Stepping.


class Lane:
    """One environment."""

    def __init__(self, id, options):
        # What the checker would look at, the other side looks at, at every step.
        self.env = gymnasium.make(id, disable_env_checker=True, **changed(id, options))
        space = self.env.observation_space
        self.spaces = json.dumps([written(space), action_written(self.env.action_space)])
        self.flat, self.read = flattener(space), reader(self.env.action_space)
        self.obs = np.zeros((1, spaces.utils.flatdim(space)), np.float32)
        self.mask = mask_for(self.env.action_space, 1)
        self.masked = False

    def see(self, obs, info):
        self.obs[0] = self.flat(obs)
        mask = info.get("action_mask")
        if mask is not None and self.mask.size:
            self.mask[0] = mask
            self.masked = True

    def reset(self, seed, options):
        self.see(*self.env.reset(seed=seed, options=options))
        return self.masked

    def step(self, action):
        obs, reward, terminated, truncated, info = self.env.step(self.read(action))
        self.see(obs, info)
        return float(reward), bool(terminated), bool(truncated)

    def close(self):
        self.env.close()


class Workers:
    """One environment in each of several processes: `gymnasium.vector`'s, which begin the next episode
    in the step that ends one."""

    def __init__(self, id, lanes, options):
        # A fork would copy the locks of Rust's threads, held or not.
        methods = multiprocessing.get_all_start_methods()
        context = "forkserver" if "forkserver" in methods else "spawn"
        multiprocessing.set_executable(sys.executable)
        vector = {"autoreset_mode": AutoresetMode.SAME_STEP, "context": context}
        self.env = gymnasium.make_vec(
            id, lanes, "async", vector, disable_env_checker=True, **changed(id, options)
        )
        self.lanes = lanes
        space = self.env.single_observation_space
        self.spaces = json.dumps([written(space), action_written(self.env.single_action_space)])
        self.flat, self.read = flattener(space), reader(self.env.single_action_space)
        self.obs = np.zeros((lanes, spaces.utils.flatdim(space)), np.float32)
        self.final = np.zeros_like(self.obs)
        self.rewards = np.zeros(lanes)
        self.endings = np.zeros(lanes, np.uint8)  # 0 none, 1 terminated, 2 truncated
        self.mask = mask_for(self.env.single_action_space, lanes)
        self.masked = False

    def see(self, obs, infos):
        if type(self.env.single_observation_space) is spaces.Box:
            self.obs[:] = obs.reshape(self.lanes, -1)
        else:
            for row, one in zip(self.obs, iterate(self.env.observation_space, obs)):
                row[:] = self.flat(one)
        mask = infos.get("action_mask")
        if mask is not None and self.mask.size:
            self.mask[infos["_action_mask"]] = np.stack(mask[infos["_action_mask"]])
            self.masked = True

    def reset(self, seeds):
        self.see(*self.env.reset(seed=seeds))
        return self.masked

    def reset_lane(self, lane, seed, options):
        seeds, chosen = [None] * self.lanes, np.zeros(self.lanes, np.bool_)
        seeds[lane], chosen[lane] = seed, True
        self.see(*self.env.reset(seed=seeds, options={**(options or {}), "reset_mask": chosen}))
        return self.masked

    def step(self, actions):
        batch = np.stack([self.read(action) for action in actions])
        obs, self.rewards[:], terminated, truncated, infos = self.env.step(batch)
        self.endings[:] = np.where(terminated, 1, np.where(truncated, 2, 0))
        self.see(obs, infos)
        for lane in np.flatnonzero(self.endings):
            self.final[lane] = self.flat(infos["final_obs"][lane])

    def close(self):
        self.env.close()
