"""REINFORCE in plain PyTorch on Gymnasium's CartPole-v1: whole trajectories, each step's log πθ(a|s)
weighted with its trajectory's whole return, one step of Adam a batch."""

from measure import Stopwatch, job, report

import gymnasium
import numpy as np
import torch


def network(hidden):
    widths = [4, *hidden]
    layers = [module for i, o in zip(widths, hidden) for module in (torch.nn.Linear(i, o), torch.nn.Tanh())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 2))


@torch.no_grad()
def sample(logits):
    return torch.distributions.Categorical(logits=logits).sample().item()


@torch.no_grad()
def greedy(logits):
    return logits.argmax().item()


def episode(env, policy, choose, seed=None):
    """Observations, actions and the return of one trajectory."""
    observation, _ = env.reset(seed=seed)
    observations, actions, total, ended = [], [], 0.0, False
    while not ended:
        with torch.no_grad():
            logits = policy(torch.from_numpy(observation))
        observations.append(observation)
        actions.append(choose(logits))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        total += reward
        ended = terminated or truncated
    return observations, actions, total


def batch(env, policy, size):
    """Trajectories until they have `size` steps, the last one to its end."""
    observations, actions, weights = [], [], []
    while len(actions) < size:
        o, a, total = episode(env, policy, sample)
        observations += o
        actions += a
        weights += [total] * len(a)
    return (
        torch.from_numpy(np.array(observations)),
        torch.tensor(actions),
        torch.tensor(weights, dtype=torch.float32),
    )


settings, seed, threads = job()
torch.set_num_threads(threads)
torch.manual_seed(seed)
env = gymnasium.make("CartPole-v1")
env.reset(seed=seed)
policy = network(settings["hidden"])
adam = torch.optim.Adam(policy.parameters(), settings["learning_rate"], eps=settings["adam_epsilon"])

steps = updates = 0
with Stopwatch() as training:
    while steps < settings["steps"]:
        observations, actions, weights = batch(env, policy, settings["batch_steps"])
        log_probs = torch.log_softmax(policy(observations), dim=1)
        chosen = log_probs.gather(1, actions[:, None])[:, 0]
        adam.zero_grad()
        (-(chosen * weights).mean()).backward()
        adam.step()
        steps += len(actions)
        updates += 1

seeds = range(10_000 + seed, 10_000 + seed + settings["eval_episodes"])
report(steps, updates, training, [episode(env, policy, greedy, seed=s)[2] for s in seeds])
