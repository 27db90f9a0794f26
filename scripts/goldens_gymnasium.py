"""Writes what Gymnasium's environments return, for the tests of crates/env.

From the repository's root, in a virtual environment:
    pip install gymnasium==1.4.0 numpy==2.4.6
    python scripts/goldens_gymnasium.py

Other seeds, every observation, in another folder, and the tests against those:
    python scripts/goldens_gymnasium.py --folder /tmp/goldens --seeds 1000 1200 --every 1
    ELEGANTE_GOLDENS=/tmp/goldens cargo test -p elegante-env --test parity
"""

import argparse
import hashlib
import inspect
import itertools
import json
import math
import pathlib
import random

import gymnasium
import numpy as np

FOLDER = pathlib.Path(__file__).parent.parent / "crates/env/tests/goldens"
SEEDS = [*range(20), 42, 2**32, 2**40 + 1, 2**63, 2**64 - 1]

# --- Policies: (observation, generator) -> action. Continuous actions have three decimals, so that
# --- they are short when written; as float32 they still use every bit.


def right_with(chance, left=0, right=1):
    """Pushes right with this chance, otherwise left."""
    return lambda obs, rng: right if rng.random() < chance else left


def any_of(n):
    return lambda obs, rng: rng.randrange(n)


def any_between(low, high):
    return lambda obs, rng: round(rng.uniform(low, high), 3)


def always(action):
    return lambda obs, rng: action


def balancing(obs, rng):
    """Keeps CartPole's pole up and its cart near the middle for as long as the clock runs."""
    return int(obs[2] + 0.5 * obs[3] + 0.05 * obs[0] + 0.1 * obs[1] > 0)


def drifting(obs, rng):
    """Keeps CartPole's pole up while the cart runs off to the right."""
    return int(obs[2] + 0.3 * obs[3] - 0.04 > 0)


def swinging_up(obs, rng):
    """Pumps energy into Pendulum, then holds it up."""
    cos, sin, speed = (float(x) for x in obs)
    if cos > 0.9:
        return round(-8 * math.atan2(sin, cos) - 2 * speed, 3)
    return math.copysign(2.0, speed if speed * speed / 6 + 5 * (cos - 1) < 0 else -speed)


def rocking(left, right, wait=0):
    """Pushes a mountain car the way it moves, after it has waited for some steps."""
    steps = itertools.count()
    middle = 1 if isinstance(left, int) else 0.0
    return lambda obs, rng: middle if next(steps) < wait else right if obs[1] >= 0 else left


def into_the_wall(left, right):
    """Swings a mountain car up on the left until it hits the end of the world."""
    return lambda obs, rng: left if obs[0] > 0.0 or obs[1] < 0 else right


def pumping(obs, rng):
    """Turns Acrobot's elbow so that the arm swings higher and higher."""
    return 2 if obs[4] < 0 else 0


# --- Records.


def number(x):
    """A float32 as the shortest decimal that reads back as it; anything else as a plain number."""
    return float(str(x)) if isinstance(x, np.float32) else float(x) if isinstance(x, np.floating) else int(x)


def episode(env, seed, options, policy, rng, every, cut=None):
    """One whole episode, or its first `cut` steps: every action, and some of what came of them.

    A row is the time, the return so far and the observation. All of the first and last rows are kept
    and every so many between them; the returns vouch for the rewards in the gaps.
    """
    obs, _ = env.reset(seed=seed, options=options)
    kind = env.action_space
    actions, rows, total, ending = [], [(0, 0.0, obs)], 0.0, None
    while ending is None and len(actions) != cut:
        action = policy(np.atleast_1d(obs), rng)
        given = action if isinstance(kind, gymnasium.spaces.Discrete) else np.array([action], np.float32)
        obs, reward, terminated, truncated, _ = env.step(given)
        actions.append(action)
        total += float(reward)
        rows.append((len(actions), total, obs))
        ending = "terminated" if terminated else "truncated" if truncated else None
    if isinstance(kind, gymnasium.spaces.Discrete):
        actions = "".join(map(str, actions))
    last = len(actions)
    rows = [row for row in rows if row[0] % every == 0 or row[0] < 4 or row[0] > last - 4]
    rows = [[t, total, *(number(x) for x in np.atleast_1d(obs))] for t, total, obs in rows]
    return {"seed": seed, "options": options, "actions": actions, "rows": rows, "ending": ending}


def make(id, options):
    """An environment, made with some options; Acrobot's are attributes of its class."""
    if not id.startswith("Acrobot"):
        return gymnasium.make(id, **options)
    env = gymnasium.make(id)
    for name, value in options.items():
        known = name if hasattr(env.unwrapped, name) else name.upper()
        assert hasattr(env.unwrapped, known), name
        setattr(env.unwrapped, known, value)
    return env


def sequence(id, seed, plans, every, **options):
    """Several episodes one after the other; only the first is seeded, then the generator runs on."""
    env, rng = make(id, options), random.Random(seed)
    seeds = itertools.chain([seed], itertools.repeat(None))
    episodes = [episode(env, s, plan[0], plan[1], rng, every, *plan[2:]) for s, plan in zip(seeds, plans)]
    return {"id": id, "options": options, "episodes": episodes}


def transitions(id, states, actions, dtype=np.float64, **options):
    """Single steps in full precision: state, action, state after, reward, and the observation of a
    step that terminated."""
    env = make(id, options).unwrapped
    rows = []
    for state, action in itertools.product(states, actions):
        env.reset(seed=0)
        env.state = np.array(state, dtype)
        start = [float(x) for x in env.state]
        discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
        obs, reward, terminated, _, _ = env.step(action if discrete else np.array([action], np.float32))
        last = [number(x) for x in obs] if terminated else None
        rows.append([start, action, [float(x) for x in env.state], float(reward), last])
    return {"options": options, "rows": rows}


def edges(*limits):
    """Numbers next to each limit on both sides, and the limit itself, as float64 and as float32."""
    near = []
    for limit in limits:
        for x in (np.float64(limit), np.float32(limit)):
            kind = type(x)
            near += [np.nextafter(x, kind(-9)), x, np.nextafter(x, kind(9))]
    return sorted({float(x) for x in near})


def scattered(n, *limits):
    """States from all over the place, the same ones in every run."""
    rng = random.Random(0)
    return [[rng.uniform(low, high) for low, high in limits] for _ in range(n)]


# --- The environments: what is recorded of each.


def cartpole(seeds, every):
    both, wide = right_with(0.5), {"low": -0.2, "high": 0.2}
    mixed = [
        [(None, both), (None, right_with(0.3)), (None, right_with(0.9))],
        [(None, balancing), (wide, both)],
        [(None, drifting), ({"low": 0.1, "high": 0.19}, both), ({"low": -0.15}, drifting), (None, both)],
    ]
    yield "sequences", [sequence("CartPole-v1", s, mixed[i % 3], every) for i, s in enumerate(seeds)]
    yield "sequences", [
        sequence("CartPole-v0", seeds[3], [(None, balancing), (None, both)], every),
        sequence("CartPole-v1", seeds[-1], [(None, both)] * 3, every, sutton_barto_reward=True),
    ]
    tilt = 12 * 2 * math.pi / 360
    states = [
        [x, 0.0 if still else 0.3, theta, 0.0 if still else -0.4]
        for x in edges(-2.4, 0, 2.4) for theta in edges(-tilt, 0, tilt) for still in (True, False)
    ]
    states += scattered(100, (-2.4, 2.4), (-3, 3), (-0.2, 0.2), (-3, 3))
    yield "transitions", [transitions("CartPole-v1", states[::2], [0]), transitions("CartPole-v1", states[1::2], [1])]


def pendulum(seeds, every):
    mixed = [
        [(None, any_between(-2.5, 2.5)), (None, swinging_up)],
        [(None, swinging_up), ({"x_init": math.pi / 2, "y_init": 0.5}, any_between(-2, 2))],
        [(None, any_between(-1, 1)), ({"y_init": 8}, always(2.0)), ({"x_init": 0.0}, swinging_up)],
    ]
    yield "sequences", [sequence("Pendulum-v1", s, mixed[i % 3], every) for i, s in enumerate(seeds)]
    yield "sequences", [
        sequence("Pendulum-v1", seeds[0], [(None, swinging_up), (None, any_between(-2, 2))], every, g=9.81),
        sequence("Pendulum-v1", seeds[1], [(None, any_between(-2, 2))], every, g=0),
    ]
    states = [[theta, speed] for theta in edges(-math.pi, 0, math.pi, 3 * math.pi) for speed in (-7.9, 0.0, 8.0)]
    states += [[1.5, speed] for speed in edges(-8, 8, 7.25)] + scattered(100, (-60, 60), (-8, 8))
    actions = [0.0, 1.234, *edges(-2, 2)[::2], -7.0]
    yield "transitions", [transitions("Pendulum-v1", states, actions[:4]),
                          transitions("Pendulum-v1", states[::5], actions[4:]),
                          transitions("Pendulum-v1", states[::5], [0.7], g=9.81)]


def mountain_car_states(goal):
    fast, slow = edges(-0.07, 0.07), [-0.03, 0.0, 0.03]
    yield from itertools.product(edges(-1.2, goal, 0.6), slow)
    yield from itertools.product([-1.15, -0.5, 0.0, goal - 0.069], fast)
    # Steps that just reach the goal, or just don't: from below, at full speed and slower.
    yield from ([goal - 0.04 + i * 1e-4, speed] for i in range(40) for speed in (0.0385, 0.02))
    yield from scattered(60, (-1.2, 0.6), (-0.07, 0.07))


def at_the_last_step(id, seed, limit):
    """How long a car that rocks must wait to reach the goal at the very last step it is given."""
    for wait in range(limit):
        last = sequence(id, seed, [(None, rocking(0, 2, wait))], 1)["episodes"][0]
        if last["ending"] == "terminated" and len(last["actions"]) == limit:
            return wait
    return 0


def mountain_car(seeds, every):
    id = "MountainCar-v0"
    mixed = [
        lambda: [(None, rocking(0, 2)), (None, any_of(3)), (None, rocking(0, 2, 40))],
        lambda: [(None, into_the_wall(0, 2)), ({"low": -0.7, "high": 0.45}, rocking(0, 2))],
        lambda: [(None, any_of(3)), ({"low": 0.3, "high": 0.5}, always(2)), ({"high": -0.55}, always(0))],
        lambda: [(None, right_with(0.7, 0, 2)), ({"high": 0.5}, rocking(0, 2))],
    ]
    yield "sequences", [sequence(id, s, mixed[i % 4](), every) for i, s in enumerate(seeds)]
    yield "sequences", [
        sequence(id, seeds[2], [(None, rocking(0, 2))] * 2, every, goal_velocity=0.02),
        sequence(id, seeds[3], [(None, rocking(0, 2))], every, goal_velocity=0.05),
    ]
    found = [(s, wait) for s in seeds[:12] if (wait := at_the_last_step(id, s, 200))]
    yield "sequences", [sequence(id, s, [(None, rocking(0, 2, wait))], every) for s, wait in found[:3]]
    states = [list(state) for state in mountain_car_states(0.5)]
    yield "transitions", [transitions(id, states, [0, 2]), transitions(id, states[::3], [1], goal_velocity=0.03)]


def mountain_car_continuous(seeds, every):
    id = "MountainCarContinuous-v0"
    mixed = [
        lambda: [(None, rocking(-1.0, 1.0)), (None, rocking(-0.7, 1.3, 30)), (None, any_between(-1.5, 1.5), 150)],
        lambda: [(None, into_the_wall(-1.0, 1.0), 300), ({"low": -0.7, "high": 0.4}, rocking(-1.0, 0.9))],
        lambda: [(None, any_between(-1, 1), 200), ({"low": 0.3, "high": 0.4}, always(1.2)), ({"high": -0.55}, rocking(-2.0, 2.0))],
    ]
    yield "sequences", [sequence(id, s, mixed[i % 3](), every) for i, s in enumerate(seeds)]
    yield "sequences", [sequence(id, seeds[i], [(None, any_between(-1.2, 1.2))], every) for i in range(3)]
    # The first step after a reset is a float64 one: the same edges, each as a beginning.
    beginnings = edges(-1.2, 0.45, 0.6) + [0.4501, 0.38, -1.1999, -0.5]
    yield "sequences", [
        sequence(id, seeds[0], [({"low": x, "high": x}, always(a), 2) for x in beginnings], every, goal_velocity=v)
        for a, v in [(1.0, 0), (-1.0, 0), (0.333, 0.0004), (7.0, 0.07), (-7.0, -0.01)]
    ]
    states, actions = [list(state) for state in mountain_car_states(0.45)], [1.0, -1.0, 0.123, *edges(1)[1:], -3.0]
    yield "transitions", [
        transitions(id, states, actions[:3], np.float32),
        transitions(id, states[::4], actions[3:], np.float32),
        *(transitions(id, states[::2], [1.0], np.float32, goal_velocity=v) for v in (0.03, 0.07, 0.0700000001)),
    ]


def acrobot(seeds, every):
    id, wide = "Acrobot-v1", {"low": -3.5, "high": 3.5}
    mixed = [[(None, pumping), (None, any_of(3))], [(None, any_of(3)), (wide, pumping)],
             [(None, pumping), ({"high": 2.0}, any_of(3), 100), (wide, any_of(3), 100)]]
    yield "sequences", [sequence(id, s, mixed[i % 3], every) for i, s in enumerate(seeds)]
    odd = {"link_length_1": 1.3, "link_mass_1": 0.7, "link_mass_2": 1.9, "link_com_pos_1": 0.37,
           "link_com_pos_2": 0.61, "link_moi": 0.83}
    yield "sequences", [
        sequence(id, seeds[0], [(None, pumping)], every, book_or_nips="nips"),
        sequence(id, seeds[1], [(None, any_of(3))] * 2, every, torque_noise_max=0.5),
        sequence(id, seeds[2], [(None, pumping)], every, dt=0.05),
        sequence(id, seeds[3], [(None, any_of(3))], every, **odd),
        sequence(id, seeds[4], [(None, pumping)], every, max_vel_1=2.0, max_vel_2=3.0, avail_torque=[-2.0, 0.5, 2.0]),
    ]
    fast = [-4 * math.pi, 4 * math.pi, 0.0], [-9 * math.pi, 9 * math.pi, 0.0]
    angles = [*edges(-math.pi, math.pi), 0.0, 1.5]
    states = [[t1, t2, 0.0, 0.0] for t1, t2 in itertools.product(angles, angles)]
    states += [[0.3, -2.0, v1, v2] for v1, v2 in itertools.product(*fast)]
    states += scattered(150, (-math.pi, math.pi), (-math.pi, math.pi), (-12, 12), (-28, 28))
    # Tips that just reach the line, or just don't: the upper link level, the lower one upright.
    states += [[math.pi / 2, math.pi / 2 + i * 0.001, 0.0, 0.0] for i in range(-20, 20)]
    states += [[2.0943951 + i * 0.001, 0.0, 0.3, 0.1] for i in range(-20, 20)]
    yield "transitions", [transitions(id, states, [1]), transitions(id, states[::3], [0, 2]),
                          transitions(id, states[::3], [2], book_or_nips="nips")]


def tables(id, **options):
    """What comes of every action in every state: probability, next state, reward, whether it ends."""
    env = gymnasium.make(id, **options).unwrapped
    actions = range(env.action_space.n)
    outcomes = [[[[float(p), int(s), float(r), bool(end)] for p, s, r, end in env.P[state][action]]
                 for action in actions] for state in range(env.observation_space.n)]
    start = [float(p) for p in env.initial_state_distrib]
    return {"id": id, "options": options, "start": start, "outcomes": outcomes}


def frozen_lake(seeds, every):
    id, two_starts = "FrozenLake-v1", ["SFHS", "FFFF", "HFFG"]
    mixed = [(None, any_of(4))] * 6
    yield "sequences", [sequence(id, s, mixed, every) for s in seeds]
    yield "sequences", [sequence("FrozenLake8x8-v1", s, mixed, every) for s in seeds[::2]]
    odd = [{"is_slippery": False}, {"success_rate": 0.8}, {"map_name": "8x8"}, {"desc": two_starts},
           {"desc": two_starts, "reward_schedule": [2.5, -1.0, -0.1]}]
    yield "sequences", [sequence(id, s, mixed, every, **options) for s, options in zip(seeds, odd)]
    yield "tables", [tables(id), tables("FrozenLake8x8-v1"), *(tables(id, **options) for options in odd)]


def cliff_walking(seeds, every):
    edge = iter("0" + "1" * 11 + "2")
    along = lambda obs, rng: int(next(edge))
    mixed = [(None, any_of(4), 150)]
    yield "sequences", [sequence("CliffWalking-v1", s, mixed * 2, every) for s in seeds]
    yield "sequences", [sequence("CliffWalkingSlippery-v1", s, mixed * 2, every) for s in seeds]
    yield "sequences", [sequence("CliffWalking-v1", seeds[0], [(None, along), (None, any_of(4), 50)], every)]
    yield "tables", [tables("CliffWalking-v1"), tables("CliffWalkingSlippery-v1")]


ENVS = {
    "cartpole": ("CartPole-v1", cartpole),
    "pendulum": ("Pendulum-v1", pendulum),
    "mountain_car": ("MountainCar-v0", mountain_car),
    "mountain_car_continuous": ("MountainCarContinuous-v0", mountain_car_continuous),
    "acrobot": ("Acrobot-v1", acrobot),
    "frozen_lake": ("FrozenLake-v1", frozen_lake),
    "cliff_walking": ("CliffWalking-v1", cliff_walking),
}


def goldens(id, records, seeds, every):
    """Everything about one environment, and where it comes from."""
    source = pathlib.Path(inspect.getfile(type(gymnasium.make(id).unwrapped)))
    found = {
        "gymnasium": gymnasium.__version__,
        "numpy": np.__version__,
        "command": "python scripts/goldens_gymnasium.py",
        "source": {
            "file": "/".join(source.parts[-4:]),
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        },
    }
    for kind, some in records(seeds, every):
        found.setdefault(kind, []).extend(some)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "END"))
    parser.add_argument("--every", type=int, default=16, help="keep every so many observations of an episode")
    parser.add_argument("envs", nargs="*", default=list(ENVS))
    args = parser.parse_args()
    seeds = list(range(*args.seeds)) if args.seeds else SEEDS
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.envs:
        text = json.dumps(goldens(*ENVS[name], seeds, args.every), separators=(",", ":"))
        (args.folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
