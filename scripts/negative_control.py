"""What CleanRL's continuous PPO does on Pendulum-v1, with and without a bootstrap at the time limit.

From the repository's root, in a virtual environment:
    pip install jax==0.10.2 gymnax==1.0.1 optax==0.2.8 numpy==2.4.6
    python scripts/negative_control.py truncation-is-termination --seeds 2
    python scripts/negative_control.py bootstrap --seeds 2

An episode of Pendulum ends by its limit of 200 steps and in no other way. CleanRL's program sets the value
of what comes after to 0 there; a correct one takes V of the last observation. Everything else is CleanRL's and
the same for both: 2048 steps from one environment, 32 minibatches, 10 epochs, Adam at 3e-4 falling to 0,
γ 0.99, λ 0.95, clip 0.2 for ratio and value, value coefficient ½ of ½, observations and rewards normalised and
clipped to ±10. The program is independent of elegante's: the environment is gymnax's, the gradient JAX's, and
the whole run one compiled loop. Prints the mean return of the training episodes in each tenth of a run.
"""

import argparse
import json
import time

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax

STEPS, MINIBATCHES, EPOCHS = 2048, 32, 10
GAMMA, LAMBDA, LEARNING_RATE, CLIP = 0.99, 0.95, 3e-4, 0.2
VALUE_COEF, LARGEST_NORM = 0.25, 0.5
env, physics = gymnax.make("Pendulum-v1")
adam = optax.chain(optax.clip_by_global_norm(LARGEST_NORM), optax.scale_by_adam(eps=1e-5))


# Networks: two hidden layers of 64 tanh for the mean, the same for the value, one log σ.


def network(key, head_gain):
    sizes = [(3, 64, 2**0.5), (64, 64, 2**0.5), (64, 1, head_gain)]
    return [
        (jax.nn.initializers.orthogonal(gain)(k, (rows, columns)), jnp.zeros(columns))
        for k, (rows, columns, gain) in zip(jax.random.split(key, 3), sizes)
    ]


def forward(layers, x):
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = layers[-1]
    return (x @ weight + bias)[..., 0]


def log_prob(parameters, observation, action):
    log_std = parameters["log_std"]
    z = (action - forward(parameters["policy"], observation)) / jnp.exp(log_std)
    return -0.5 * z**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)


# Running mean and variance: (count, mean, variance).


def seen(statistics, x):
    count, mean, variance = statistics
    total, apart = count + 1, x - mean
    return total, mean + apart / total, (variance * count + apart**2 * count / total) / total


def normalized(statistics, x):
    return jnp.clip((x - statistics[1]) / jnp.sqrt(statistics[2] + 1e-8), -10, 10)


def act(parameters, world, key):
    """One step of the environment, with everything that is learnt from it."""
    state, raw, of_observations, of_returns, discounted, total = world
    draw, turn = jax.random.split(key)
    observation = normalized(of_observations, raw)
    noise = jnp.exp(parameters["log_std"]) * jax.random.normal(draw)
    action = forward(parameters["policy"], observation) + noise
    torque = jnp.clip(action, -2, 2)[None]
    raw, state, reward, _, limit, info = env.step(turn, state, torque, physics)
    reward = jnp.squeeze(reward)
    discounted = GAMMA * discounted + reward
    of_returns = seen(of_returns, discounted)
    total = total + reward
    row = dict(
        observation=observation,
        action=action,
        log_prob=log_prob(parameters, observation, action),
        reward=jnp.clip(reward / jnp.sqrt(of_returns[2] + 1e-8), -10, 10),
        limit=limit,
        final=normalized(of_observations, info["final_observation"]),
        total=jnp.where(limit, total, 0.0),
    )
    of_observations = seen(of_observations, raw)
    return (state, raw, of_observations, of_returns, discounted, jnp.where(limit, 0.0, total)), row


def advantages(parameters, rollout, world, bootstrap):
    """GAE; where an episode ends, V of its last observation comes next if `bootstrap`, else 0."""
    value = forward(parameters["value"], rollout["observation"])
    after = forward(parameters["value"], normalized(world[2], world[1]))
    following = jnp.concatenate([value[1:], after[None]])
    final = forward(parameters["value"], rollout["final"]) if bootstrap else 0.0
    following = jnp.where(rollout["limit"], final, following)
    error = rollout["reward"] + GAMMA * following - value
    trace = GAMMA * LAMBDA * (1.0 - rollout["limit"])

    def back(later, row):
        now = row[0] + row[1] * later
        return now, now

    _, advantage = jax.lax.scan(back, 0.0, (error, trace), reverse=True)
    return advantage, value


def loss(parameters, batch):
    ratio = jnp.exp(log_prob(parameters, batch["observation"], batch["action"]) - batch["log_prob"])
    advantage = batch["advantage"]
    advantage = (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)
    surrogate = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)
    value, old = forward(parameters["value"], batch["observation"]), batch["value"]
    clipped = old + jnp.clip(value - old, -CLIP, CLIP)
    worse = jnp.maximum((value - batch["target"]) ** 2, (clipped - batch["target"]) ** 2)
    return -surrogate.mean() + VALUE_COEF * worse.mean()


def update(carry, left, bootstrap):
    parameters, moments, key, world = carry
    key, acting, dealing = jax.random.split(key, 3)
    step = lambda world, key: act(parameters, world, key)
    world, rollout = jax.lax.scan(step, world, jax.random.split(acting, STEPS))
    advantage, value = advantages(parameters, rollout, world, bootstrap)
    batch = rollout | dict(advantage=advantage, value=value, target=advantage + value)

    def descend(carry, minibatch):
        parameters, moments = carry
        change, moments = adam.update(jax.grad(loss)(parameters, minibatch), moments)
        change = jax.tree.map(lambda c: -LEARNING_RATE * left * c, change)
        return (optax.apply_updates(parameters, change), moments), None

    def epoch(carry, key):
        order = jax.random.permutation(key, STEPS)
        deal = lambda x: x[order].reshape((MINIBATCHES, -1) + x.shape[1:])
        return jax.lax.scan(descend, carry, jax.tree.map(deal, batch))

    (parameters, moments), _ = jax.lax.scan(epoch, (parameters, moments), jax.random.split(dealing, EPOCHS))
    return (parameters, moments, key, world), (rollout["total"].sum(), rollout["limit"].sum())


def train(key, updates, bootstrap):
    key, policy, value, reset = jax.random.split(key, 4)
    parameters = dict(policy=network(policy, 0.01), value=network(value, 1.0), log_std=jnp.zeros(()))
    raw, state = env.reset(reset, physics)
    of_observations = seen((1e-4, jnp.zeros(3), jnp.ones(3)), raw)
    of_returns = (1e-4, jnp.zeros(()), jnp.ones(()))
    world = (state, raw, of_observations, of_returns, 0.0, 0.0)
    left = 1.0 - jnp.arange(updates) / updates
    step = lambda carry, left: update(carry, left, bootstrap)
    return jax.lax.scan(step, (parameters, adam.init(parameters), key, world), left)[1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Continuous PPO with CleanRL's settings on Pendulum-v1.")
    parser.add_argument("limit", choices=["bootstrap", "truncation-is-termination"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=float, default=1e6)
    arguments = parser.parse_args()
    updates = int(arguments.steps) // STEPS
    run = jax.jit(lambda key: train(key, updates, arguments.limit == "bootstrap"))
    for seed in range(arguments.seeds):
        began = time.perf_counter()
        totals, ends = (np.asarray(x) for x in jax.block_until_ready(run(jax.random.key(seed))))
        tenths = zip(np.array_split(totals, 10), np.array_split(ends, 10))
        curve = [round(float(t.sum() / e.sum())) for t, e in tenths]
        seconds = round(time.perf_counter() - began)
        print(json.dumps(dict(limit=arguments.limit, seed=seed, returns=curve, seconds=seconds)), flush=True)
