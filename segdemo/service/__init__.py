"""Beyond one machine, on Ray: questions answered by replicas, and pictures by the million.

Ray is imported when one of these is used, and nothing else of the package imports it or this.
"""

from __future__ import annotations

from segdemo.service.cluster import Cluster
from segdemo.service.ray_engine import RayEngine

__all__ = ["Cluster", "RayEngine"]
