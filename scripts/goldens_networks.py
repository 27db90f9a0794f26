"""What the scripts that write PyTorch's goldens share: small networks with fixed weights, as numbers that the
tests of crates/trainer can put into theirs. Nothing to run by itself."""

import itertools

import numpy as np
import torch


def exact(array):
    """The nearest 32-bit numbers, as 64-bit ones."""
    return np.asarray(array, dtype=np.float32).astype(np.float64)


def network(rng, widths, largest):
    """Layers from width to width with tanh between them, and weights large enough for it to bend."""
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = torch.nn.Linear(fan_in, fan_out)
        with torch.no_grad():
            weights = exact(rng.uniform(-largest, largest, (fan_out, fan_in)))
            linear.weight.copy_(torch.tensor(weights))
            linear.bias.copy_(torch.tensor(exact(rng.normal(0, 0.3, fan_out))))
        layers += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def linears(net):
    """The layers that have parameters."""
    return [layer for layer in net if isinstance(layer, torch.nn.Linear)]


def named(nets):
    """Every parameter of networks with prefixes, `(prefix, network)`, by the name it has on the other side."""
    found = {}
    for prefix, net in nets:
        for i, linear in enumerate(linears(net)):
            found[f"{prefix}layers.{i}.weight"] = linear.weight
            found[f"{prefix}layers.{i}.bias"] = linear.bias
    return found


def numbers(tensors):
    """Parameters, gradients or moments by name as lists, those of layers as [inputs × outputs]."""
    flat = lambda name, x: (x.T if name.endswith("weight") else x).detach().reshape(-1).tolist()
    return {name: flat(name, tensor) for name, tensor in tensors.items()}
