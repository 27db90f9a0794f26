"""Writes what PyTorch makes of a minibatch of replayed transitions, for the tests of crates/trainer.

From the repository's root, in a virtual environment:
    pip install torch==2.15.0 numpy==2.4.6
    python scripts/goldens_dqn.py

DQN in five forms: plain, double with weights of prioritised replay, dueling with a clipped gradient,
double and dueling over five quantiles, and noisy (Fortunato et al., 2018), double and dueling. Networks
are 4 → 8 → 8 → outputs with tanh and fixed weights; the target network has weights of its own. Noise is
given as the numbers ε of each layer's inputs and outputs, anew for each network in each step; they keep
away from 0, so that no gradient of σ vanishes. Of each form: the targets, the loss, every parameter's gradient and its
norm before clipping, and how far every parameter has moved after each of 10 steps of Adam on that batch.
All inputs are exact in 32 bits, and PyTorch computes in 64. Weights are written as [inputs × outputs], the
transpose of PyTorch's.

Each case takes the first seed whose batch is fit for a comparison in 32 bits: errors lie on both sides of
Huber's corner and not next to it, no two actions are so close that rounding would choose between them,
and no gradient entry is so small that its rounding would decide its first step, which is about
g/(|g| + ε) for Adam.
"""

import itertools
import json
import pathlib

import numpy as np
import torch

from goldens_networks import exact, linears, named, network, numbers

TARGET = pathlib.Path(__file__).parent.parent / "crates/trainer/tests/goldens/dqn.json"
ROWS, WIDTH, ACTIONS, UPDATES, GAMMA = 12, 4, 3, 10, 0.9
SMALLEST, APART = 3e-4, 1e-3
torch.set_default_dtype(torch.float64)


def values(rng, outputs):
    """A network of Q."""
    return network(rng, [WIDTH, 8, 8, outputs], 0.9)


def spread(rng, outputs):
    """σ of such a network's weights, in the form of another."""
    net = values(rng, outputs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.tensor(exact(rng.uniform(0.1, 0.5, tuple(parameter.shape)))))
    return net


def parameters(net, sigma):
    """Every parameter by the name it has on the other side."""
    return named([("net.", net)] + [("sigma.", sigma)] * (sigma is not None))


def noise(rng, net):
    """ε of each layer's inputs and ε′ of its outputs."""
    numbers = lambda n: exact(rng.choice([-1, 1], n) * rng.uniform(0.3, 2, n)).tolist()
    return [[numbers(layer.in_features), numbers(layer.out_features)] for layer in linears(net)]


def disturbed(net, sigma, epsilons):
    """What such a network says with μ + σ ∘ f(ε′) f(ε)ᵀ for weights."""
    f = lambda x: torch.sign(torch.tensor(x)) * torch.tensor(x).abs().sqrt()

    def say(x):
        layers = list(zip(linears(net), linears(sigma), epsilons))
        for i, (mean, std, (inputs, outputs)) in enumerate(layers):
            weight = mean.weight + std.weight * torch.outer(f(outputs), f(inputs))
            x = torch.nn.functional.linear(x, weight, mean.bias + std.bias * f(outputs))
            x = torch.tanh(x) if i + 1 < len(layers) else x
        return x

    return say


def quantiles(net, observations, settings):
    """[rows, actions, quantiles] of the return."""
    out = net(torch.tensor(observations))
    out = out.view(len(observations), -1, settings["quantiles"])
    if not settings["dueling"]:
        return out
    advantage, value = out[:, :ACTIONS], out[:, ACTIONS:]
    return value + advantage - advantage.mean(1, keepdim=True)


def quantile_loss(predicted, targets, weights):
    """Equation 10 of Dabney et al. (2018), summed over what is predicted, pair by pair."""
    n = predicted.shape[1]
    total = 0
    for row in range(len(predicted)):
        for j in range(n):
            level = (j + 0.5) / n
            for k in range(n):
                error = targets[row, k] - predicted[row, j]
                huber = torch.nn.functional.huber_loss(
                    predicted[row, j], targets[row, k], delta=1.0
                )
                side = abs(level - (1.0 if error < 0 else 0.0))
                total = total + weights[row] * side * huber / n
    return total / len(predicted)


def case(name, **settings):
    """The first batch that is fit."""
    batches = (attempt(name, seed, settings) for seed in itertools.count())
    return next(batch for batch in batches if batch is not None)


def attempt(name, seed, settings):
    """One batch, and ten steps on it; nothing if the batch is not fit."""
    rng = np.random.default_rng(seed)
    outputs = (ACTIONS + settings["dueling"]) * settings["quantiles"]
    online, target = values(rng, outputs), values(rng, outputs)
    noisy = settings.get("noisy", False)
    sigma, target_sigma = [spread(rng, outputs) if noisy else None for _ in range(2)]
    drawn = [[noise(rng, online) for _ in range(3)] for _ in range(UPDATES)] if noisy else []
    learnt = parameters(online, sigma)
    start = {name: tensor.detach().clone() for name, tensor in learnt.items()}
    observations = exact(rng.normal(0, 1, (ROWS, WIDTH)))
    following = exact(rng.normal(0, 1, (ROWS, WIDTH)))
    actions = rng.integers(0, ACTIONS, ROWS)
    rewards = exact(rng.normal(0, 1, ROWS))
    # Over one to three steps, and two that terminated.
    discounts = exact(GAMMA ** rng.integers(1, 4, ROWS))
    discounts[[3, 8]] = 0
    weights = exact(rng.uniform(0.2, 1, ROWS)) if settings["weighted"] else np.ones(ROWS)

    def networks(step):
        """What learns, the target, and what chooses for it if the form is double."""
        if not noisy:
            return online, target, online
        of_online, of_target, of_chooser = drawn[step]
        return (
            disturbed(online, sigma, of_online),
            disturbed(target, target_sigma, of_target),
            disturbed(online, sigma, of_chooser),
        )

    def targets(target, chooser):
        with torch.no_grad():
            said = quantiles(target, following, settings)
            chooser = chooser if settings["double"] else target
            values = quantiles(chooser, following, settings).mean(2)
            top = values.sort(1).values
            if (top[:, -1] - top[:, -2]).min() < APART:
                return None
            best = values.argmax(1)
            chosen = said[torch.arange(ROWS), best]
            return torch.tensor(rewards)[:, None] + torch.tensor(discounts)[:, None] * chosen

    optimizer = torch.optim.Adam(learnt.values(), lr=settings["learning_rate"], eps=1e-5)
    first, changes, norms = {}, [], []
    for step in range(UPDATES):
        learner, *others = networks(step)
        aims = targets(*others)
        if aims is None:
            return None
        predicted = quantiles(learner, observations, settings)[torch.arange(ROWS), actions]
        errors = (aims[:, None, :] - predicted[:, :, None]).abs()
        if ((errors - 1).abs() < APART).any() or (errors < APART).any():
            return None
        share = (errors > 1).double().mean()
        if step == 0 and not 0.2 < share < 0.8:
            return None
        if settings["quantiles"] == 1:
            rows = torch.nn.functional.smooth_l1_loss(predicted, aims, reduction="none")[:, 0]
            loss = (torch.tensor(weights) * rows).mean()
        else:
            loss = quantile_loss(predicted, aims, torch.tensor(weights))
        optimizer.zero_grad()
        loss.backward()
        gradients = numbers({name: tensor.grad for name, tensor in learnt.items()})
        norm = torch.nn.utils.clip_grad_norm_(learnt.values(), settings["max_grad_norm"])
        if step == 0:
            clipped = min(1, settings["max_grad_norm"] / norm.item())
            smallest = min(abs(x) * clipped for values in gradients.values() for x in values)
            if smallest < SMALLEST or settings["clips"] != (clipped < 1):
                return None
            first = {"loss": loss.item(), "targets": aims.reshape(-1).tolist(), "gradients": gradients}
        optimizer.step()
        norms.append(norm.item())
        changes.append(numbers({name: tensor - start[name] for name, tensor in learnt.items()}))
    flat = lambda array: np.asarray(array).reshape(-1).tolist()
    told = {
        "name": name,
        "seed": seed,
        "settings": settings,
        "weights": numbers(start),
        "target_weights": numbers(parameters(target, target_sigma)),
        "observations": flat(observations),
        "actions": flat(actions),
        "rewards": flat(rewards),
        "next_observations": flat(following),
        "discounts": flat(discounts),
        "importance": flat(weights) if settings["weighted"] else [],
        "first": first,
        "grad_norms": norms,
        "changes": changes,
    }
    return told | {"noise": drawn} if noisy else told


def settings(**others):
    """What the cases have in common, and what not."""
    common = {
        "learning_rate": 1e-2,
        "max_grad_norm": 10.0,
        "clips": False,
        "double": False,
        "dueling": False,
        "quantiles": 1,
        "weighted": False,
    }
    return common | others


goldens = {
    "torch": torch.__version__,
    "command": "python scripts/goldens_dqn.py",
    "actions": ACTIONS,
    "cases": [
        case("plain", **settings()),
        case("double, weighted", **settings(double=True, weighted=True)),
        case("dueling, clipped", **settings(dueling=True, max_grad_norm=0.3, clips=True)),
        case(
            "double, dueling, quantiles, weighted",
            **settings(double=True, dueling=True, quantiles=5, weighted=True),
        ),
        case("noisy, double, dueling", **settings(double=True, dueling=True, noisy=True)),
    ],
}
TARGET.write_text(json.dumps(goldens) + "\n")
