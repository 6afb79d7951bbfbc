"""The labs: ideas that every tutorial explains, to be touched. To add one: a file, and its name in the table below.

A lab has ``TITLE``, ``TASKS``, ``settings()``, ``snippet(**settings)`` and ``run(picture, **settings)``, as
``segdemo.labs.lab.Lab`` says.
"""

from __future__ import annotations

from segdemo.labs import alexnet, checkpoints, containers, features, initialisation, layers, lenet, own_layer, unet
from segdemo.labs.lab import Lab

LABS: dict[str, Lab] = {
    module.__name__.rpartition(".")[2]: module
    for module in (layers, own_layer, lenet, containers, alexnet, initialisation, checkpoints, features, unet)
}
