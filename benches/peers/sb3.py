"""PPO and A2C of Stable-Baselines3 on Gymnasium's CartPole-v1."""

from measure import Stopwatch, job, report

import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy


def scheduled(initial, schedule):
    """A function of the fraction of steps that is left."""
    return (lambda left: initial * left) if schedule == "linear" else initial


def learner(settings, env, seed):
    common = dict(
        policy="MlpPolicy",
        env=env,
        seed=seed,
        device="cpu",
        n_steps=settings["n_steps"],
        gamma=settings["gamma"],
        gae_lambda=settings["gae_lambda"],
        learning_rate=scheduled(settings["learning_rate"], settings["schedule"]),
        ent_coef=settings["entropy_coef"],
        vf_coef=settings["value_coef"],
        max_grad_norm=settings["max_grad_norm"],
    )
    if settings["algo"] == "a2c":
        return A2C(policy_kwargs=dict(net_arch=settings["hidden"]), **common)
    optimizer = dict(eps=settings["adam_epsilon"])
    return PPO(
        batch_size=settings["batch_size"],
        n_epochs=settings["epochs"],
        clip_range=scheduled(settings["clip_range"], settings["clip_schedule"]),
        policy_kwargs=dict(net_arch=settings["hidden"], optimizer_kwargs=optimizer),
        **common,
    )


settings, seed, threads = job()
torch.set_num_threads(threads)
model = learner(settings, make_vec_env("CartPole-v1", n_envs=settings["lanes"], seed=seed), seed)
with Stopwatch() as training:
    model.learn(settings["steps"])

episodes = settings["eval_episodes"]
held_out = make_vec_env("CartPole-v1", n_envs=min(10, episodes), seed=10_000 + seed)
returns, _ = evaluate_policy(model, held_out, episodes, deterministic=True, return_episode_rewards=True)
updates = model.num_timesteps // (settings["lanes"] * settings["n_steps"])
report(model.num_timesteps, updates, training, returns)
