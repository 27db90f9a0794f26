"""PPO, A2C, DQN and SAC of Stable-Baselines3, or of sbx, which has its interface on JAX, on Gymnasium.

The library is the first argument.
"""

import importlib
import sys

from measure import Stopwatch, job, report

import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

# What the libraries call our settings of algorithms that replay.
REPLAYING = {
    "learning_rate": "learning_rate",
    "gamma": "gamma",
    "tau": "tau",
    "batch_size": "batch_size",
    "buffer_size": "buffer_size",
    "learning_starts": "learning_starts",
    "target_update_interval": "target_update_interval",
    "train_freq": "train_freq",
    "gradient_steps": "gradient_steps",
    "exploration_fraction": "exploration_fraction",
    "exploration_final": "exploration_final_eps",
}


def scheduled(initial, schedule):
    """A function of the fraction of steps that is left."""
    return (lambda left: initial * left) if schedule == "linear" else initial


def learner(library, settings, env, seed):
    algorithm = getattr(library, settings["algo"].upper())
    common = dict(policy="MlpPolicy", env=env, seed=seed, device="cpu")
    network = dict(net_arch=settings["hidden"])
    if settings["algo"] in ("dqn", "sac"):
        if (settings["activation"], settings["init"]) != ("relu", "burn-default"):
            sys.exit("these have ReLU, and the initial weights that their layers come with")
        own = {name: settings[key] for key, name in REPLAYING.items() if key in settings}
        return algorithm(policy_kwargs=network, **own, **common)
    common |= dict(
        n_steps=settings["n_steps"],
        gamma=settings["gamma"],
        gae_lambda=settings["gae_lambda"],
        learning_rate=scheduled(settings["learning_rate"], settings["schedule"]),
        ent_coef=settings["entropy_coef"],
        vf_coef=settings["value_coef"],
        max_grad_norm=settings["max_grad_norm"],
    )
    if settings["algo"] == "a2c":
        return algorithm(policy_kwargs=network, **common)
    return algorithm(
        batch_size=settings["batch_size"],
        n_epochs=settings["epochs"],
        clip_range=scheduled(settings["clip_range"], settings["clip_schedule"]),
        policy_kwargs=network | dict(optimizer_kwargs=dict(eps=settings["adam_epsilon"])),
        **common,
    )


settings, seed, threads = job()
torch.set_num_threads(threads)
library = importlib.import_module(sys.argv[1])
model = learner(library, settings, make_vec_env(settings["env"], n_envs=settings["lanes"], seed=seed), seed)
with Stopwatch() as training:
    model.learn(settings["steps"])

episodes = settings["eval_episodes"]
held_out = make_vec_env(settings["env"], n_envs=min(10, episodes), seed=10_000 + seed)
returns, _ = evaluate_policy(model, held_out, episodes, deterministic=True, return_episode_rewards=True)
# Of a rollout where there are rollouts, of a minibatch else.
if "n_steps" in settings:
    updates = model.num_timesteps // (settings["lanes"] * settings["n_steps"])
else:
    updates = model._n_updates
report(model.num_timesteps, updates, training, returns)
