"""The replicas as an application of Ray Serve: found if it runs already, else deployed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from segdemo.service.cluster import Cluster
from segdemo.service.replica import CALLS, Replica

ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
HEALTH_SECONDS = 10
THERE = ("RUNNING", "UNHEALTHY")  # the latter brings lost replicas back by itself
LOOK = 0.5  # seconds between two looks at an application that comes up


def handle_of(
    cluster: Cluster, name: str, networks: Mapping[str, Any] | None, replicas: int | None, processors: int, waiting: int
) -> Any:
    """Return a handle to the replicas; those of an application that is there already stay as they are.

    That it comes up just now, for another page, or that some of its replicas are lost, is no reason to deploy it anew:
    that would end all others.

    Args:
        cluster: where.
        name: of the application.
        networks: as for :class:`Replica`.
        replicas: how many; None has as many as there are processors for.
        processors: of each.
        waiting: calls that may wait.
    """
    from ray import serve

    serve.start(proxy_location="Disabled")  # the page is asked, never Serve: nothing listens for HTTP
    while (status := _status_of(name)) == "DEPLOYING":
        time.sleep(LOOK)
    if status in THERE:
        return serve.get_app_handle(name)
    count = replicas or max(1, cluster.processors // processors)
    plain: Any = serve.deployment(Replica)  # a decorated class would be pickled by value, locks and all
    deployed = plain.options(
        name="Replica",
        num_replicas=count,
        ray_actor_options={"num_cpus": processors},
        max_ongoing_requests=CALLS,
        max_queued_requests=waiting,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=5,
        request_router_config={"request_router_class": ROUTER},
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )
    return serve.run(
        deployed.bind(networks, processors), name=name, route_prefix=None, logging_config={"log_level": "WARNING"}
    )


def _status_of(name: str) -> str:
    """Return what Serve says of an application, "" when it knows none."""
    from ray import serve

    found = serve.status().applications.get(name)
    return "" if found is None else str(getattr(found.status, "value", found.status))
