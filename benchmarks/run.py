"""`make bench`: run all parts, print their tables and write them into benchmarks/README.md.

`python -m benchmarks.run a c` runs and writes just these parts.
"""

from __future__ import annotations

import sys

from benchmarks import report
from benchmarks.parts import PARTS


def main(wanted: list[str]) -> int:
    """Run the parts wanted, or all of them when none is named."""
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"There is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    print(report.machine(), flush=True)
    for name in wanted or PARTS:
        table = PARTS[name]()
        print(f"\n{table.markdown()}", flush=True)
        report.write(table)
    print(f"\nWritten to {report.README.name} in benchmarks/.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
