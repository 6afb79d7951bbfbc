"""A stack of convolutions, how weights are drawn, and what is followed through a network; shown as they stand here."""

import math

import torch
from torch import Tensor, nn

ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}


class Deep(nn.Sequential):
    """Convolutions of one width, one after the other."""

    def __init__(self, depth: int, width: int, norm: bool, act: type[nn.Module]) -> None:
        layers: list[nn.Module] = []
        for index in range(depth):
            layers.append(nn.Conv2d(width if index else 3, width, 3, padding=1, bias=False))
            layers += [nn.BatchNorm2d(width)] if norm else []
            layers.append(act())
        super().__init__(*layers)


def by_hand(net: nn.Module) -> None:
    """Go through all modules: convolutions by the values they put out, normalisations 1 and 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            module.weight.data.normal_(0, math.sqrt(2 / fan_out))
            if module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
            module.bias.data.zero_()
        elif isinstance(module, nn.Linear):
            module.weight.data.normal_(0, 0.01)
            module.bias.data.zero_()


def by_name(module: nn.Module) -> None:
    """Initialise one module by the name of its class; ``net.apply`` calls this for each."""
    name = type(module).__name__
    if "Conv2d" in name:
        nn.init.kaiming_normal_(module.weight.data, a=0, mode="fan_in")  # type: ignore[arg-type]
    elif "Linear" in name:
        nn.init.kaiming_normal_(module.weight.data, a=0, mode="fan_out")  # type: ignore[arg-type]
        nn.init.constant_(module.bias.data, 0.0)  # type: ignore[arg-type]
    elif "BatchNorm2d" in name:
        nn.init.normal_(module.weight.data, 1.0, 0.02)  # type: ignore[arg-type]
        nn.init.constant_(module.bias.data, 0.0)  # type: ignore[arg-type]


def follow(net: nn.Module, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return what each convolution puts out, with the gradient there, and what each ReLU puts out."""
    found: list[Tensor] = []
    cut: list[Tensor] = []

    def note(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            given.retain_grad()
            found.append(given)
        else:
            cut.append(given.detach().clone())

    handles = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, nn.Conv2d | nn.ReLU)]
    output = net(x)
    for handle in handles:
        handle.remove()
    output = output[-1] if isinstance(output, list) else output
    torch.manual_seed(1)
    output.backward(torch.randn(output.shape))
    return found, cut


def measured(found: list[Tensor], cut: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the deviations of values and gradients at each convolution, and how many units of each ReLU are dead."""
    deviations = torch.stack([values.detach().std() for values in found])
    gradients = torch.stack([torch.zeros(()) if values.grad is None else values.grad.std() for values in found])
    dead = torch.tensor([int((values == 0).all(3).all(2).sum()) for values in cut], dtype=torch.int64)
    return deviations, gradients, dead
