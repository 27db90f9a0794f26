"""Trains with Stable-Baselines3 itself, for comparison seed by seed and curve by curve.

From the repository's root, in a virtual environment:
    pip install stable-baselines3==2.9.2 torch==2.15.0 "gymnasium[classic-control]==1.4.0" numpy==2.4.6
    python scripts/reference_sb3.py CartPole-v1
    python scripts/reference_sb3.py MountainCarContinuous-v0
    python scripts/reference_sb3.py MountainCar-v0 --seeds 0,1
    python scripts/reference_sb3.py CartPole-v1 --algo dqn

PPO or DQN with rl-baselines3-zoo's settings for the environment (hyperparams/ppo.yml, dqn.yml), seeds 0 to 9
unless others are named, on one thread: with PPO about 30 s for a seed of CartPole, 60 s for one of
MountainCarContinuous and three minutes for one of MountainCar, with DQN a minute for one of CartPole. Of each
seed:

  evaluation   of the last policy, 100 episodes with the mode of its distribution, in environments that
               training has not seen, with the normaliser's statistics frozen
  episodes     that ended while training
  passes       the first step, over all lanes together, at which the mean return of the last 100 of them
               is at least the environment's reward threshold; null: never
  rolling      that mean at 1000, 2000, … steps; null while fewer than 100 have ended

The results go to docs/reference, after each seed; those of seeds named with --seeds are only printed. The same
versions on the same CPU give the same file.
"""

import argparse
import datetime
import json
import pathlib
import platform
import sys

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

TARGET = pathlib.Path(__file__).parent.parent / "docs/reference"
SEEDS = range(10)
WINDOW, EVERY = 100, 1000


def linear(initial):
    """From `initial` to 0, by the fraction of steps that is left."""
    return lambda left: left * initial


ALGORITHMS = {"ppo": PPO, "dqn": DQN}

# Of each algorithm and environment: steps, lanes, whether observations and rewards are normalised, and what the
# algorithm is given.
PRESETS = {
    ("ppo", "CartPole-v1"): (
        100_000,
        8,
        False,
        dict(
            n_steps=32,
            batch_size=256,
            n_epochs=20,
            gamma=0.98,
            gae_lambda=0.8,
            ent_coef=0.0,
            learning_rate=linear(1e-3),
            clip_range=linear(0.2),
        ),
    ),
    ("ppo", "MountainCar-v0"): (
        1_000_000,
        16,
        True,
        dict(n_steps=16, n_epochs=4, gamma=0.99, gae_lambda=0.98, ent_coef=0.0),
    ),
    ("ppo", "MountainCarContinuous-v0"): (
        20_000,
        1,
        True,
        dict(
            n_steps=8,
            batch_size=256,
            n_epochs=10,
            gamma=0.9999,
            gae_lambda=0.9,
            ent_coef=0.00429,
            vf_coef=0.19,
            max_grad_norm=5,
            learning_rate=7.77e-5,
            clip_range=0.1,
            use_sde=True,
            policy_kwargs=dict(log_std_init=-3.29, ortho_init=False),
        ),
    ),
    ("dqn", "CartPole-v1"): (
        50_000,
        1,
        False,
        dict(
            learning_rate=2.3e-3,
            batch_size=64,
            buffer_size=100_000,
            learning_starts=1_000,
            gamma=0.99,
            target_update_interval=10,
            train_freq=256,
            gradient_steps=128,
            exploration_fraction=0.16,
            exploration_final_eps=0.04,
            policy_kwargs=dict(net_arch=[256, 256]),
        ),
    ),
}


class Episodes(BaseCallback):
    """Collects every training episode's last step and its return."""

    def __init__(self):
        super().__init__()
        self.ended = []

    def _on_step(self):
        for info in self.locals["infos"]:
            if "episode" in info:
                self.ended.append((self.num_timesteps, float(info["episode"]["r"])))
        return True


def rolling_means(episodes):
    """(step, mean return of the last WINDOW episodes) at each episode's end, once there are as many."""
    returns = [r for _, r in episodes]
    return [
        (step, float(np.mean(returns[i + 1 - WINDOW : i + 1])))
        for i, (step, _) in enumerate(episodes)
        if i + 1 >= WINDOW
    ]


def thinned(means, steps):
    """The latest of `means` at each multiple of EVERY."""
    at = lambda limit: next((m for s, m in reversed(means) if s <= limit), None)
    values = (at(limit) for limit in range(EVERY, steps + 1, EVERY))
    return [None if v is None else round(v, 2) for v in values]


def train(algorithm, env_id, seed):
    steps, lanes, normalized, settings = PRESETS[algorithm, env_id]
    env = make_vec_env(env_id, n_envs=lanes, seed=seed)
    if normalized:
        env = VecNormalize(env, gamma=settings["gamma"])
    model = ALGORITHMS[algorithm]("MlpPolicy", env, seed=seed, device="cpu", **settings)
    episodes = Episodes()
    model.learn(steps, callback=episodes)
    return model, episodes.ended


def evaluate(model, env_id, seed):
    """Returns of 100 episodes, as many from each lane: else short ones would be counted more often."""
    env = make_vec_env(env_id, n_envs=10, seed=10_000 + seed)
    training = model.get_vec_normalize_env()
    if training is not None:
        env = VecNormalize(env, training=False, norm_reward=False)
        env.obs_rms = training.obs_rms
    returns, _ = evaluate_policy(model, env, n_eval_episodes=100, deterministic=True, return_episode_rewards=True)
    return returns


def result(algorithm, env_id, seed):
    model, episodes = train(algorithm, env_id, seed)
    returns = evaluate(model, env_id, seed)
    means = rolling_means(episodes)
    threshold = gymnasium.spec(env_id).reward_threshold
    return {
        "seed": seed,
        "steps": model.num_timesteps,
        "evaluation": {
            "mean": round(float(np.mean(returns)), 2),
            "std": round(float(np.std(returns)), 2),
            "min": round(float(np.min(returns)), 2),
            "max": round(float(np.max(returns)), 2),
        },
        "episodes": len(episodes),
        "passes": next((step for step, mean in means if mean >= threshold), None),
        "rolling": thinned(means, PRESETS[algorithm, env_id][0]),
    }


def write(algorithm, env_id, seeds):
    """The whole file, with a line for each seed."""
    head = {
        "env": env_id,
        "algorithm": algorithm.upper(),
        "settings": f"rl-baselines3-zoo, hyperparams/{algorithm}.yml",
        "threshold": gymnasium.spec(env_id).reward_threshold,
        "window": WINDOW,
        "every": EVERY,
        "command": " ".join(["python", "scripts/reference_sb3.py", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "versions": {
            "stable-baselines3": stable_baselines3.__version__,
            "torch": torch.__version__,
            "gymnasium": gymnasium.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    rows = ",\n".join("    " + json.dumps(seed) for seed in seeds)
    lines.append('  "seeds": [\n' + rows + "\n  ]")
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / f"sb3_{algorithm}_{env_id}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train with Stable-Baselines3, for reference.")
    parser.add_argument("env", choices=sorted({env_id for _, env_id in PRESETS}))
    parser.add_argument("--algo", choices=ALGORITHMS, default="ppo")
    numbers = lambda listed: [int(seed) for seed in listed.split(",")]
    parser.add_argument("--seeds", type=numbers, default=SEEDS, help="a list, 0,3,7; all ten if not given")
    arguments = parser.parse_args()
    algorithm, env_id = arguments.algo, arguments.env
    if (algorithm, env_id) not in PRESETS:
        parser.error(f"no settings of {algorithm} for {env_id}")
    torch.set_num_threads(1)
    seeds = []
    for seed in arguments.seeds:
        seeds.append(result(algorithm, env_id, seed))
        if arguments.seeds is SEEDS:
            write(algorithm, env_id, seeds)
        brief = {key: value for key, value in seeds[-1].items() if key != "rolling"}
        print(json.dumps(brief), flush=True)
