"""PPO in JAX on gymnax's CartPole-v1: the whole run, environments included, is one compiled program."""

from measure import Stopwatch, job, report

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax

settings, seed, _ = job()
N, T = settings["lanes"], settings["n_steps"]
GAMMA, LAMBDA = settings["gamma"], settings["gae_lambda"]
UPDATES = -(-settings["steps"] // (N * T))
MINIBATCHES = max(1, N * T // settings["batch_size"])
env, physics = gymnax.make("CartPole-v1")
adam = optax.chain(
    optax.clip_by_global_norm(settings["max_grad_norm"]),
    optax.scale_by_adam(eps=settings["adam_epsilon"]),
)


def scheduled(initial, schedule, left):
    return initial * left if schedule == "linear" else initial


# Networks.


def network(key, outputs, head_gain):
    widths = [4, *settings["hidden"], outputs]
    gains = [2**0.5] * (len(widths) - 2) + [head_gain]
    keys = jax.random.split(key, len(gains))
    orthogonal = jax.nn.initializers.orthogonal
    return [
        (orthogonal(gain)(k, (i, o)), jnp.zeros(o)) for k, gain, i, o in zip(keys, gains, widths, widths[1:])
    ]


def forward(layers, x):
    *hidden, (weight, bias) = layers
    for w, b in hidden:
        x = jnp.tanh(x @ w + b)
    return x @ weight + bias


def log_policy(parameters, observation):
    return jax.nn.log_softmax(forward(parameters["policy"], observation))


def value(parameters, observation):
    return forward(parameters["value"], observation)[..., 0]


def of(log_probs, actions):
    return jnp.take_along_axis(log_probs, actions[..., None], -1)[..., 0]


# One rollout.


def step_all(key, states, actions):
    keys = jax.random.split(key, N)
    return jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, states, actions, physics)


def act(parameters, carry, key):
    states, observations, lengths = carry
    key_action, key_step = jax.random.split(key)
    log_probs = log_policy(parameters, observations)
    actions = jax.random.categorical(key_action, log_probs)
    following, states, rewards, terminated, truncated, info = step_all(key_step, states, actions)
    ended = terminated | truncated
    lengths += 1
    transition = {
        "observation": observations,
        "action": actions,
        "log_prob": of(log_probs, actions),
        "reward": rewards,
        "ended": ended,
        "truncated": truncated & ~terminated,
        "final": info["final_observation"],
        # Every step of CartPole is worth 1.
        "return": jnp.where(ended, lengths, 0),
    }
    return (states, following, jnp.where(ended, 0, lengths)), transition


def advantages(parameters, rollout, last):
    """GAE; a truncation bootstraps from what it led to, and both endings cut the trace."""
    values = value(parameters, rollout["observation"])
    rescue = jnp.where(rollout["truncated"], value(parameters, rollout["final"]), 0.0)
    following = jnp.concatenate([values[1:], value(parameters, last)[None]])
    discount = GAMMA * (1.0 - rollout["ended"])
    delta = rollout["reward"] + GAMMA * rescue + discount * following - values

    def back(trace, row):
        trace = row[0] + LAMBDA * row[1] * trace
        return trace, trace

    _, advantage = jax.lax.scan(back, jnp.zeros(N), (delta, discount), reverse=True)
    return advantage, advantage + values


# Learning.


def loss(parameters, batch, epsilon):
    log_probs = log_policy(parameters, batch["observation"])
    ratio = jnp.exp(of(log_probs, batch["action"]) - batch["log_prob"])
    advantage = batch["advantage"]
    advantage = (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-8)
    clipped = jnp.clip(ratio, 1 - epsilon, 1 + epsilon)
    surrogate = jnp.minimum(ratio * advantage, clipped * advantage).mean()
    entropy = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    error = jnp.square(value(parameters, batch["observation"]) - batch["target"]).mean()
    return -surrogate - settings["entropy_coef"] * entropy + settings["value_coef"] * error


def learn(parameters, moments, batch, key, left):
    learning_rate = scheduled(settings["learning_rate"], settings["schedule"], left)
    epsilon = scheduled(settings["clip_range"], settings["clip_schedule"], left)

    def descend(carry, minibatch):
        parameters, moments = carry
        gradient = jax.grad(loss)(parameters, minibatch, epsilon)
        direction, moments = adam.update(gradient, moments)
        parameters = jax.tree.map(lambda p, d: p - learning_rate * d, parameters, direction)
        return (parameters, moments), None

    def epoch(carry, key):
        order = jax.random.permutation(key, N * T)
        deal = lambda x: x[order].reshape((MINIBATCHES, -1) + x.shape[1:])
        return jax.lax.scan(descend, carry, jax.tree.map(deal, batch))

    keys = jax.random.split(key, settings["epochs"])
    return jax.lax.scan(epoch, (parameters, moments), keys)[0]


def update(carry, number):
    parameters, moments, key, world = carry
    key, key_rollout, key_learn = jax.random.split(key, 3)
    keys = jax.random.split(key_rollout, T)
    world, rollout = jax.lax.scan(lambda c, k: act(parameters, c, k), world, keys)
    advantage, target = advantages(parameters, rollout, world[1])
    kept = {name: rollout[name] for name in ("observation", "action", "log_prob")}
    batch = kept | {"advantage": advantage, "target": target}
    batch = jax.tree.map(lambda x: x.reshape((N * T,) + x.shape[2:]), batch)
    left = 1.0 - number * (N * T) / settings["steps"]
    parameters, moments = learn(parameters, moments, batch, key_learn, left)
    return (parameters, moments, key, world), (rollout["return"].sum(), rollout["ended"].sum())


def train(key):
    key, key_policy, key_value, key_reset = jax.random.split(key, 4)
    parameters = {"policy": network(key_policy, 2, 0.01), "value": network(key_value, 1, 1.0)}
    observations, states = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key_reset, N), physics)
    world = (states, observations, jnp.zeros(N, int))
    start = (parameters, adam.init(parameters), key, world)
    (parameters, *_), episodes = jax.lax.scan(update, start, jnp.arange(UPDATES))
    return parameters, episodes


def evaluate(parameters, key):
    """Returns of the first episode in each of as many lanes, with the most probable actions."""
    count = settings["eval_episodes"]
    start = jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, count), physics)

    def step(carry, key):
        observations, states, running, total = carry
        actions = log_policy(parameters, observations).argmax(-1)
        observations, states, rewards, terminated, truncated, _ = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            jax.random.split(key, count), states, actions, physics
        )
        total += running * rewards
        return (observations, states, running & ~(terminated | truncated), total), None

    carry = (*start, jnp.ones(count, bool), jnp.zeros(count))
    limit = physics.max_steps_in_episode
    return jax.lax.scan(step, carry, jax.random.split(key, limit))[0][3]


with Stopwatch() as compiling:
    program = jax.jit(train).lower(jax.random.key(0)).compile()
with Stopwatch() as training:
    parameters, episodes = jax.block_until_ready(program(jax.random.key(seed)))
returns = np.asarray(jax.jit(evaluate)(parameters, jax.random.key(10_000 + seed)))
report(UPDATES * N * T, UPDATES, training, returns.tolist(), compiling)
