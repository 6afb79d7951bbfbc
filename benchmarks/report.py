"""Tables, on the screen and in benchmarks/README.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

README = Path(__file__).with_name("README.md")
PLACE = len("### (a)")  # the beginning of a heading, which tells one part from the others
BEGIN, END = "<!-- results: written by `make bench` -->", "<!-- end of results -->"
PACKAGES = ("torch", "torchvision", "gradio", "numpy", "matplotlib", "torchlens")


@dataclass
class Table:
    """One part of the benchmark.

    Args:
        title: heading.
        note: how it was measured.
        head: names of the columns.
        rows: cells.
    """

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def markdown(self) -> str:
        """Write the table out."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return "\n".join([f"### {self.title}", "", self.note, "", *(f"| {' | '.join(line)} |" for line in lines)])


def machine() -> str:
    """Describe in one paragraph what the numbers were taken on."""
    processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {installed(name)}" for name in PACKAGES)
    return (
        f"Taken on {datetime.date.today():%Y-%m-%d}: {processor[1] if processor else platform.machine()}, "
        f"{os.cpu_count()} cores, {gibibytes:.0f} GiB of memory, no GPU used, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}."
    )


def installed(package: str) -> str:
    """Return the version of a package, or say that it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def write(table: Table) -> None:
    """Put a table, and what it was taken on, in its place between the two marks of benchmarks/README.md."""
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    found, _, after = rest.partition(END)
    parts = {part[:PLACE]: part.strip() for part in re.split(r"^(?=### \()", found, flags=re.MULTILINE) if part.strip()}
    new = f"{table.markdown()}\n\n{machine()}"
    parts[new[:PLACE]] = new
    results = "\n\n".join(parts[place] for place in sorted(parts))
    README.write_text(f"{before}{BEGIN}\n\n{results}\n\n{END}{after}", "utf-8")
