"""Writes what PyTorch makes of one minibatch, for the tests of crates/trainer.

From the repository's root, in a virtual environment:
    pip install torch==2.15.0 numpy==2.4.6
    python scripts/goldens_torch.py

Four cases, PPO and A2C with discrete and with continuous actions: networks 4 → 8 → 8 → 2 with tanh and
fixed weights, and a rollout of 8 steps in 2 lanes with a truncation and a termination. Of each: the
advantages and returns, the terms of the loss, every parameter's gradient, its norm before clipping, the
optimiser's moments after the first step, and how far every parameter has moved after each of 10 steps
on that same batch. All inputs are exact in 32 bits, and PyTorch computes in 64. Weights are written as
[inputs × outputs], the transpose of PyTorch's.

Each case takes the first seed whose batch is fit for a comparison in 32 bits: the norm clip is active, a
fifth to four fifths of PPO's ratios are clipped, and no gradient entry is so small that its rounding
would decide its first step, which is about g/(|g| + ε) for Adam and RMSprop alike. Weights are below 1
and steps large for the same reason: a change can't be known better than the weight is.
"""

import itertools
import json
import pathlib

import numpy as np
import torch
from torch.distributions import Categorical, Normal

from goldens_networks import exact, named, network, numbers

TARGET = pathlib.Path(__file__).parent.parent / "crates/trainer/tests/goldens/update.json"
STEPS, LANES, WIDTH, OUTPUTS, UPDATES = 8, 2, 4, 2, 10
GAMMA, LAMBDA = 0.9, 0.8
SMALLEST = 3e-4
torch.set_default_dtype(torch.float64)


def advantages(rewards, values, next_values, endings):
    """Each Â as the sum of the discounted errors that follow it in its episode."""
    out = np.zeros((STEPS, LANES))
    for lane in range(LANES):
        for start in range(STEPS):
            weight = 1.0
            for t in range(start, STEPS):
                bootstrap = 0.0 if endings[t][lane] == "terminated" else next_values[t, lane]
                out[start, lane] += weight * (
                    rewards[t, lane] + GAMMA * bootstrap - values[t, lane]
                )
                weight *= GAMMA * LAMBDA
                if endings[t][lane] is not None:
                    break
    return out


def case(name, algorithm, continuous, settings):
    """The first batch that is fit."""
    batches = (attempt(name, seed, algorithm, continuous, settings) for seed in itertools.count())
    return next(batch for batch in batches if batch is not None)


def attempt(name, seed, algorithm, continuous, settings):
    """One batch, and ten steps on it; nothing if the batch is not fit."""
    rng = np.random.default_rng(seed)
    actor, critic = (network(rng, [WIDTH, 8, 8, outputs], 0.9) for outputs in (OUTPUTS, 1))
    log_std = None
    if continuous:
        log_std = torch.nn.Parameter(torch.tensor(exact([[-0.3, 0.2]])))
    of_policy = {} if log_std is None else {"policy.log_std": log_std}
    learnt = named([("policy.net.", actor)]) | of_policy | named([("value.net.", critic)])
    start = {name: tensor.detach().clone() for name, tensor in learnt.items()}

    rows = STEPS * LANES
    observations = exact(rng.normal(0, 1, (rows, WIDTH)))
    actions = exact(rng.normal(0, 1, (rows, OUTPUTS))) if continuous else rng.integers(0, OUTPUTS, rows)
    rewards = exact(rng.normal(0, 1, (STEPS, LANES)))
    values = exact(rng.normal(0, 1, (STEPS, LANES)))
    next_values = np.vstack([values[1:], exact(rng.normal(0, 1, (1, LANES)))])
    endings = [[None] * LANES for _ in range(STEPS)]
    endings[2][0], endings[5][1] = "truncated", "terminated"
    # What a truncated episode led to is not what the next row shows.
    next_values[2, 0] = exact(rng.normal(0, 1))

    def distribution():
        out = actor(torch.tensor(observations))
        return Normal(out, log_std.exp()) if continuous else Categorical(logits=out)

    def log_probs():
        log_prob = distribution().log_prob(torch.tensor(actions))
        return log_prob.sum(1) if continuous else log_prob

    old_log_probs = exact(log_probs().detach().numpy() + rng.normal(0, 0.3, rows))
    old = torch.tensor(old_log_probs)
    estimates = advantages(rewards, values, next_values, endings)
    returns = torch.tensor((estimates + values).reshape(-1))
    old_values = torch.tensor(values.reshape(-1))
    weights = torch.tensor(estimates.reshape(-1))
    if settings["normalize_advantages"]:
        weights = (weights - weights.mean()) / (weights.std() + 1e-8)

    def losses():
        log_prob = log_probs()
        value = critic(torch.tensor(observations)).squeeze(1)
        entropy = distribution().entropy()
        entropy = (entropy.sum(1) if continuous else entropy).mean()
        terms = {}
        if algorithm == "ppo":
            ratio = torch.exp(log_prob - old)
            clip = settings["clip_range"]
            clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
            policy_loss = -torch.min(ratio * weights, clipped * weights).mean()
            if settings["clip_value"] is not None:
                near = settings["clip_value"]
                value = old_values + torch.clamp(value - old_values, -near, near)
            terms["approx_kl"] = ((ratio - 1) - (log_prob - old)).mean()
            terms["clip_fraction"] = ((ratio - 1).abs() > clip).double().mean()
        else:
            policy_loss = -(log_prob * weights).mean()
        value_loss = torch.nn.functional.mse_loss(value, returns)
        loss = policy_loss - settings["entropy_coef"] * entropy + settings["value_coef"] * value_loss
        return terms | {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "loss": loss,
        }

    if algorithm == "ppo":
        optimizer = torch.optim.Adam(
            learnt.values(), lr=settings["learning_rate"], eps=settings["epsilon"]
        )
    else:
        optimizer = torch.optim.RMSprop(
            learnt.values(), lr=settings["learning_rate"], alpha=0.99, eps=settings["epsilon"]
        )
    first, changes, norms = {}, [], []
    for step in range(UPDATES):
        terms = losses()
        optimizer.zero_grad()
        terms["loss"].backward()
        gradients = numbers({name: tensor.grad for name, tensor in learnt.items()})
        norm = torch.nn.utils.clip_grad_norm_(learnt.values(), settings["max_grad_norm"])
        optimizer.step()
        norms.append(norm.item())
        changes.append(numbers({name: tensor - start[name] for name, tensor in learnt.items()}))
        if step == 0:
            clipped = min(1, settings["max_grad_norm"] / norm.item())
            smallest = min(abs(x) * clipped for values in gradients.values() for x in values)
            share = terms.get("clip_fraction", 0.5)
            if clipped == 1 or not 0.2 < share < 0.8 or smallest < SMALLEST:
                return None
            state = "exp_avg" if algorithm == "ppo" else "square_avg"
            moments = {name: optimizer.state[tensor][state] for name, tensor in learnt.items()}
            first = {
                "terms": {name: term.item() for name, term in terms.items()},
                "gradients": gradients,
                "moments": numbers(moments),
            }
    flat = lambda array: np.asarray(array).reshape(-1).tolist()
    return {
        "name": name,
        "seed": seed,
        "settings": settings,
        "weights": numbers(start),
        "observations": flat(observations),
        "actions": flat(actions),
        "old_log_probs": flat(old_log_probs),
        "rewards": flat(rewards),
        "values": flat(values),
        "next_values": flat(next_values),
        "endings": [ending for row in endings for ending in row],
        "advantages": flat(estimates),
        "returns": returns.tolist(),
        "first": first,
        "grad_norms": norms,
        "changes": changes,
    }


def settings(**others):
    """What the cases have in common, and what not."""
    common = {"entropy_coef": 0.01, "value_coef": 0.5, "max_grad_norm": 0.5, "epsilon": 1e-5}
    return common | others


ppo = dict(learning_rate=1e-2, clip_range=0.2, normalize_advantages=True)
a2c = dict(learning_rate=2e-3)
goldens = {
    "torch": torch.__version__,
    "command": "python scripts/goldens_torch.py",
    "gamma": GAMMA,
    "lambda": LAMBDA,
    "lanes": LANES,
    "cases": [
        case("ppo discrete", "ppo", False, settings(**ppo, clip_value=None)),
        case("ppo continuous", "ppo", True, settings(**ppo, clip_value=0.5)),
        case("a2c discrete", "a2c", False, settings(**a2c, normalize_advantages=False)),
        case("a2c continuous", "a2c", True, settings(**a2c, normalize_advantages=True)),
    ],
}
TARGET.write_text(json.dumps(goldens) + "\n")
