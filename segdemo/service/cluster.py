"""Which Ray cluster is used: the one this machine is part of, or one whose address is given."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from segdemo.errors import InputError

AUTO = "auto"
ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})", re.ASCII)


def ray_module() -> ModuleType:
    """Import Ray; nothing is reported to its makers unless somebody has asked for that.

    Raises:
        InputError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise InputError(
            "engine_missing",
            'Computing on a cluster needs Ray, which is not installed. Run `pip install "segdemo[ray]"`, or leave '
            "--engine out.",
        ) from None
    return ray


@dataclass(frozen=True)
class Cluster:
    """A cluster, joined for as long as this process lives or until it is left.

    How a cluster authenticates (``RAY_AUTH_MODE``, its token) is Ray's own setting and stays as it is.

    Args:
        ray: the module.
        joined: whether this process joined it here, so that it should leave it too.
    """

    ray: Any
    joined: bool

    @classmethod
    def at(cls, address: str = AUTO) -> Cluster:
        """Join a cluster, or go on with the one that this process is part of already.

        Args:
            address: ``"auto"`` for the one that this machine is part of, or ``"HOST:PORT"`` of its head.

        Raises:
            InputError: Ray is not installed, the address is none, or no cluster is there.
        """
        check_address(address)
        ray = ray_module()
        if ray.is_initialized():
            return cls(ray, joined=False)
        try:
            ray.init(address=address, namespace="segdemo", log_to_driver=False, logging_level="warning")
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise InputError(
                "engine_unreachable",
                "No Ray cluster answers at {address}: {reason}. One is needed that this machine is part of. Start it "
                "with `ray start --head`, or join it with `ray start --address=HOST:PORT`. If it asks for a token, set "
                "RAY_AUTH_MODE=token.",
                address=address,
                reason=(str(error).strip().splitlines() or [type(error).__name__])[0].rstrip("."),
            ) from error
        return cls(ray, joined=True)

    @property
    def processors(self) -> int:
        """How many processors it has."""
        return int(self.ray.cluster_resources().get("CPU", 1))

    @property
    def free(self) -> int:
        """How many of its processors nobody has taken."""
        return int(self.ray.available_resources().get("CPU", 0))

    def leave(self) -> None:
        """Leave it, if it was joined here; what runs on it goes on for others."""
        if self.joined and self.ray.is_initialized():
            self.ray.shutdown()


def check_address(address: str) -> None:
    """Refuse what is no address of a cluster.

    Raises:
        InputError: ``engine_client`` for ``ray://``, whose clients cannot stream; ``engine_address`` for the rest.
    """
    if address.startswith("ray://"):
        raise InputError(
            "engine_client",
            "{address} is the address of a Ray client, which cannot stream answers. The program has to run on a "
            "machine of the cluster: start it there, with --engine auto.",
            address=address,
        )
    found = ADDRESS.fullmatch(address)
    if address != AUTO and (found is None or not 0 < int(found["port"]) < 65536):
        raise InputError(
            "engine_address",
            "{address!r} is no address of a Ray cluster. Give auto, or HOST:PORT as `ray start --head` prints it.",
            address=address,
        )
