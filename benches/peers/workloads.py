"""What is trained: one table that elegante and every peer are given, so that their settings can't differ.

Keys are those of `elegante config`. A run ends at the first update at or after `steps`.
"""

PPO = {
    "env": "CartPole-v1",
    "algo": "ppo",
    "lanes": 8,
    "hidden": [64, 64],
    "gae_lambda": 0.95,
    "gamma": 0.99,
    "schedule": "linear",
    "clip_range": 0.2,
    "clip_schedule": "constant",
    "entropy_coef": 0.0,
    "value_coef": 0.5,
    "max_grad_norm": 0.5,
    "adam_epsilon": 1e-5,
    "eval_episodes": 100,
}

# rl-baselines3-zoo's preset for CartPole-v1.
ZOO = PPO | {
    "steps": 100_000,
    "n_steps": 32,
    "batch_size": 256,
    "epochs": 20,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "learning_rate": 1e-3,
    "clip_schedule": "linear",
}

# CleanRL's defaults but for value clipping. Its value loss has another ½, hence the coefficient.
CLEANRL = PPO | {
    "steps": 500_000,
    "lanes": 4,
    "n_steps": 128,
    "batch_size": 128,
    "epochs": 4,
    "learning_rate": 2.5e-4,
    "entropy_coef": 0.01,
    "value_coef": 0.25,
}

# What Stable-Baselines3 has where an algorithm replays.
REPLAY = {
    "lanes": 1,
    "hidden": [256, 256],
    "activation": "relu",
    "init": "burn-default",
    "gamma": 0.99,
    "eval_episodes": 100,
}

WORKLOADS = {
    # The whole process up to its first optimiser step, with next to no evaluation.
    "start": ZOO | {"steps": 256, "epochs": 1, "eval_episodes": 1},
    "zoo": ZOO,
    "small": CLEANRL,
    "large": CLEANRL | {"steps": 10_000_000, "lanes": 2048, "n_steps": 32, "batch_size": 2048},
    # Spinning Up's simple policy gradient: the literal equation, 50 updates of 5000 steps.
    "reinforce": {
        "env": "CartPole-v1",
        "algo": "reinforce",
        "steps": 250_000,
        "lanes": 1,
        "hidden": [32],
        "init": "burn-default",
        "estimator": "total-return",
        "batch_steps": 5000,
        "normalize": False,
        "gamma": 1.0,
        "learning_rate": 1e-2,
        "schedule": "constant",
        "adam_epsilon": 1e-8,
        "eval_episodes": 100,
    },
    # rl-baselines3-zoo's preset for CartPole-v1.
    "a2c": {
        "env": "CartPole-v1",
        "algo": "a2c",
        "steps": 500_000,
        "lanes": 8,
        "hidden": [64, 64],
        "n_steps": 5,
        "gamma": 0.99,
        "gae_lambda": 1.0,
        "learning_rate": 7e-4,
        "schedule": "constant",
        "entropy_coef": 0.0,
        "value_coef": 0.5,
        "max_grad_norm": 0.5,
        "eval_episodes": 100,
    },
    # The same for what learns from replay, and for Pendulum-v1.
    "dqn": REPLAY | {
        "env": "CartPole-v1",
        "algo": "dqn",
        "steps": 50_000,
        "learning_rate": 2.3e-3,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "target_update_interval": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_fraction": 0.16,
        "exploration_final": 0.04,
    },
    "sac": REPLAY | {
        "env": "Pendulum-v1",
        "algo": "sac",
        "steps": 20_000,
        "learning_rate": 1e-3,
        "batch_size": 256,
        "buffer_size": 1_000_000,
        "learning_starts": 100,
        "tau": 0.005,
        "train_freq": 1,
        "gradient_steps": 1,
    },
}

# Those that run only if they are named.
NAMED = ["a2c", "dqn", "sac"]
# Who runs what unless asked otherwise: `large` takes Stable-Baselines3 about a quarter of an hour.
PEERS = {
    "start": ["elegante", "sb3", "jax", "jax-cached"],
    "zoo": ["elegante", "sb3", "jax", "jax-cached"],
    "small": ["elegante", "sb3", "jax", "jax-cached"],
    "large": ["elegante", "jax", "jax-cached"],
    "reinforce": ["elegante", "torch"],
    "a2c": ["elegante", "sb3"],
    "dqn": ["elegante", "sb3", "sbx"],
    "sac": ["elegante", "sb3", "sbx"],
}
