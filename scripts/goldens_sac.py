"""Writes what PyTorch makes of minibatches of replayed transitions, for the tests of crates/trainer.

From the repository's root, in a virtual environment:
    pip install torch==2.15.0 numpy==2.4.6
    python scripts/goldens_sac.py

Actors with critics of their own in six forms: SAC with a learnt temperature, with a fixed one, with
state-dependent exploration, SAC for a choice among three, TD3 and DDPG. Networks are inputs → 8 → 8 → outputs
with tanh and fixed weights; targets have weights of their own. Of each of ten updates on one batch: the noise
that it was given, the targets, what it measures, and, after the first and the last, how far every parameter has
moved since the beginning.
All inputs are exact in 32 bits, and PyTorch computes in 64. Weights are written as [inputs × outputs], the
transpose of PyTorch's. Adam's ε is large, so that no rounding of a small gradient decides a step.

Each case takes the first seed at which no row lies next to a corner: two critics that say the same, a
log σ or a mean at its limit.
"""

import itertools
import json
import math
import pathlib

import numpy as np
import torch
from torch.nn.functional import mse_loss, softplus

from goldens_networks import exact, named, network, numbers

TARGET = pathlib.Path(__file__).parent.parent / "crates/trainer/tests/goldens/sac.json"
ROWS, WIDTH, DIMS, CHOICES, UPDATES, GAMMA = 12, 4, 2, 3, 10, 0.9
RATE, EPSILON, TAU, ALPHA, APART = 1e-2, 1e-2, 0.05, 0.5, 1e-3
torch.set_default_dtype(torch.float64)


class Corner(Exception):
    """A number lies where rounding would decide."""


def net(rng, inputs, outputs):
    """Of an actor or a critic."""
    return network(rng, [inputs, 8, 8, outputs], 0.6)


def copies(tensors):
    """Parameters as they are now."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def moved(tensors, start):
    """How far parameters have moved."""
    return numbers({name: tensor - start[name] for name, tensor in tensors.items()})


def apart(values, limit):
    """Refuses values at a limit."""
    if ((values - limit).abs() < APART).any():
        raise Corner


def log_slope(u):
    """log(1 − tanh² u)."""
    return 2 * (math.log(2) - u - softplus(-2 * u))


class Case:
    """An actor, its critics, and everything they learn from."""

    def __init__(self, name, seed, critics=2, fixed=None):
        self.name, self.fixed = name, fixed
        self.discrete = name == "discrete SAC"
        self.certain = name in ("TD3", "DDPG")
        self.sde = name == "SAC with gSDE"
        self.delay = 2 if name == "TD3" else 1
        self.rng = rng = np.random.default_rng(seed)
        outputs = CHOICES if self.discrete else DIMS if self.certain or self.sde else 2 * DIMS
        judged = (WIDTH, CHOICES) if self.discrete else (WIDTH + DIMS, 1)
        self.actor = net(rng, WIDTH, outputs)
        self.target_actor = net(rng, WIDTH, outputs)
        self.critics = [net(rng, *judged) for _ in range(critics)]
        self.targets = [net(rng, *judged) for _ in range(critics)]
        self.log_std = torch.tensor(exact(rng.normal(-1, 0.3, (8, DIMS)))).requires_grad_()
        self.log_alpha = torch.tensor(exact([math.log(ALPHA)])).requires_grad_()
        self.goal = 0.98 * math.log(CHOICES) if self.discrete else -float(DIMS)
        self.observations = exact(rng.normal(0, 1, (ROWS, WIDTH)))
        self.following = exact(rng.normal(0, 1, (ROWS, WIDTH)))
        self.acted = exact(rng.uniform(-0.95, 0.95, (ROWS, DIMS)))
        if not self.certain:
            # What was drawn is stored, before tanh.
            self.acted = exact(np.arctanh(self.acted))
        if self.discrete:
            self.acted = rng.integers(0, CHOICES, ROWS)
        self.rewards = exact(rng.normal(0, 1, ROWS))
        # Over one to three steps, and two that terminated.
        self.discounts = exact(GAMMA ** rng.integers(1, 4, ROWS))
        self.discounts[[3, 8]] = 0

    def named_actor(self):
        return named([("net.", self.actor)]) | ({"log_std": self.log_std} if self.sde else {})

    def named_critics(self, critics):
        return named([(f"{i}.", critic) for i, critic in enumerate(critics)])

    def choice(self, observations, noise):
        """tanh of what is drawn, and its log-density; of a choice among n, all log-probabilities."""
        if self.discrete:
            return None, torch.log_softmax(self.actor(observations), 1)
        if self.sde:
            features = self.actor[:-1](observations)
            out = self.actor[-1](features)
            apart(out.abs(), 2)
            mean, sigma = out.clamp(-2, 2), self.log_std.exp()
            std = ((features**2) @ (sigma**2) + 1e-6).sqrt()
            u = mean + features @ (sigma * noise)
        else:
            mean, log_std = self.actor(observations).chunk(2, 1)
            apart(log_std, 2)
            std = log_std.clamp(-20, 2).exp()
            u = mean + std * noise
        density = torch.distributions.Normal(mean, std).log_prob(u) - log_slope(u)
        return u.tanh(), density.sum(1)

    def soft_value(self, critics, observations, choice, alpha, learning=False):
        """min Q − α log π, or its mean over a choice."""
        action, log_prob = choice
        if self.discrete:
            q = torch.stack([net(observations) for net in critics]).min(0).values.detach()
            return (log_prob.exp() * (q - alpha * log_prob)).sum(1)
        judged = torch.cat([observations, action], 1)
        said = torch.stack([net(judged)[:, 0] for net in critics])
        if learning and len(critics) > 1:
            apart(said[0] - said[1], 0)
        return said.min(0).values - alpha * log_prob

    def draw(self):
        """What an update is given, as arrays."""
        rng = self.rng
        if self.discrete or self.name == "DDPG":
            return []
        if self.sde:
            return [exact(rng.normal(0, 1, (8, DIMS)))] * 2
        if self.certain:
            return [exact(rng.normal(0, 0.2, (ROWS, DIMS)))]
        return [exact(rng.normal(0, 1, (ROWS, DIMS))) for _ in range(2)]

    def values(self, observations):
        """What every critic says of the actions of the batch."""
        if self.discrete:
            acted = torch.tensor(self.acted)
            return [net(observations)[torch.arange(ROWS), acted] for net in self.critics]
        acted = torch.tensor(self.acted)
        judged = torch.cat([observations, acted if self.certain else acted.tanh()], 1)
        return [net(judged)[:, 0] for net in self.critics]

    def run(self):
        """Ten updates."""
        adam = lambda of: torch.optim.Adam(of, lr=RATE, eps=EPSILON)
        actor, critics = self.named_actor(), self.named_critics(self.critics)
        target_critics = self.named_critics(self.targets)
        target_actor = named([("net.", self.target_actor)])
        everything = (actor, critics, target_critics, target_actor)
        start = [copies(part) for part in everything]
        optimizers = adam(actor.values()), adam(critics.values()), adam([self.log_alpha])
        steps = [self.update(i, everything, start, optimizers) for i in range(UPDATES)]
        flat = lambda array: np.asarray(array).reshape(-1).tolist()
        return {
            "name": self.name,
            "critics": len(self.critics),
            "entropy_coef": self.fixed,
            "actor": numbers(start[0]),
            "target_actor": numbers(start[3]) if self.certain else None,
            "weights": numbers(start[1]),
            "target_weights": numbers(start[2]),
            "observations": flat(self.observations),
            "actions": flat(self.acted),
            "rewards": flat(self.rewards),
            "next_observations": flat(self.following),
            "discounts": flat(self.discounts),
            "steps": steps,
        }

    def update(self, i, everything, start, optimizers):
        """One of them: temperature, critics, actor, targets."""
        actor, critics, target_critics, target_actor = everything
        noise = self.draw()
        tensors = [torch.tensor(x) for x in noise] or [None, None]
        now, then = torch.tensor(self.observations), torch.tensor(self.following)
        told = {}
        alpha = None
        if not self.certain:
            choice = self.choice(now, tensors[0])
            log_prob = (choice[1].exp() * choice[1]).sum(1) if self.discrete else choice[1]
            told["entropy"] = -log_prob.mean().item()
            alpha = self.log_alpha.exp().item() if self.fixed is None else self.fixed
            told["ent_coef"] = alpha
            if self.fixed is None:
                loss = -(self.log_alpha * (log_prob + self.goal).detach()).mean()
                told["ent_coef_loss"] = loss.item()
                self.descend(optimizers[2], loss)
        with torch.no_grad():
            value = self.next_value(then, tensors, alpha)
            aims = torch.tensor(self.rewards) + torch.tensor(self.discounts) * value
        said = self.values(now)
        loss = sum(mse_loss(value, aims) for value in said) * (1 if self.certain else 0.5)
        told["critic_loss"] = loss.item()
        told["q_value"] = sum(value.mean().item() for value in said) / len(said)
        self.descend(optimizers[1], loss)
        due = (i + 1) % self.delay == 0
        if due:
            if self.certain:
                judged = torch.cat([now, self.actor(now).tanh()], 1)
                loss = -self.critics[0](judged).mean()
            else:
                loss = -self.soft_value(self.critics, now, choice, alpha, learning=True).mean()
            told["actor_loss"] = loss.item()
            self.descend(optimizers[0], loss)
            pairs = [(critics, target_critics)]
            pairs += [(actor, target_actor)] if self.certain else []
            with torch.no_grad():
                for online, target in pairs:
                    for name, tensor in target.items():
                        tensor.copy_(TAU * online[name] + (1 - TAU) * tensor)
        learnt = not self.certain and self.fixed is None
        shown = dict(zip(("actor", "critics", "target_critics", "target_actor"), everything, strict=True))
        if not self.certain:
            del shown["target_actor"]
        changes = [moved(part, began) for part, began in zip(shown.values(), start)]
        return {
            "noise": [x.reshape(-1).tolist() for x in noise],
            "targets": aims.tolist(),
            "told": told,
            "alpha": self.log_alpha.exp().item() if learnt else self.fixed,
            "moved": dict(zip(shown, changes, strict=True)) if i in (0, UPDATES - 1) else None,
            "log_alpha": self.log_alpha.item() if learnt else None,
        }

    def next_value(self, then, tensors, alpha):
        """The value of what follows, by the targets."""
        if not self.certain:
            choice = self.choice(then, tensors[1])
            return self.soft_value(self.targets, then, choice, alpha)
        action = self.target_actor(then).tanh()
        if tensors[0] is not None:
            action = (action + tensors[0].clamp(-0.5, 0.5)).clamp(-1, 1)
        judged = torch.cat([then, action], 1)
        return torch.stack([net(judged)[:, 0] for net in self.targets]).min(0).values

    @staticmethod
    def descend(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def case(name, **settings):
    """The first seed that has nothing at a corner."""
    for seed in itertools.count():
        try:
            return Case(name, seed, **settings).run() | {"seed": seed}
        except Corner:
            pass


goldens = {
    "torch": torch.__version__,
    "command": "python scripts/goldens_sac.py",
    "learning_rate": RATE,
    "adam_epsilon": EPSILON,
    "tau": TAU,
    "cases": [
        case("SAC"),
        case("SAC with α fixed", fixed=0.3),
        case("SAC with gSDE"),
        case("discrete SAC"),
        case("TD3"),
        case("DDPG", critics=1),
    ],
}
TARGET.write_text(json.dumps(goldens) + "\n")
