"""One method in a process of its own: `python -m benchmarks.alone METHOD NETWORK REPEATS` prints JSON.

Peak memory is the highest resident size during the first call, less the resident size just before it. The kernel's mark
is set back before the call, so that what start-up needed does not hide what the call needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def megabytes(field: str) -> float:
    """Read one of the kernel's figures about this process: ``VmRSS`` now, ``VmHWM`` the highest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {field}")


def measure(method: str, network: str, repeats: int) -> dict[str, Any]:
    """Call a method once for its memory, then some more times for its time."""
    from benchmarks.methods import METHODS, Case

    prepare = METHODS[method]
    prepare(Case(network, small=True))()
    call = prepare(Case(network))
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    before = megabytes("VmRSS")
    kept = call()
    peak = megabytes("VmHWM") - before
    del kept
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        kept = call()
        seconds.append(time.perf_counter() - started)
        del kept
    return {"megabytes": peak, "seconds": seconds}


def in_its_own_process(method: str, network: str, repeats: int = 0) -> dict[str, Any]:
    """Return ``megabytes`` and ``seconds`` of a method, or ``trouble``: the last line it complained with.

    Args:
        method: name in ``METHODS``.
        network: name in ``NETWORKS``.
        repeats: calls to time after the one that is weighed.
    """
    command = [sys.executable, "-m", "benchmarks.alone", method, network, str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = [line for line in done.stderr.splitlines() if line.strip()]
        return {"trouble": complaint[-1] if complaint else f"ended with code {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
