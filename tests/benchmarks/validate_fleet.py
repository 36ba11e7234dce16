"""Time to read, merge and check a fleet of 1,000 hosts, beside ruamel's own safe load of the same file.

`python -m tests.benchmarks.validate_fleet [HOSTS]`
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from livefleet.spec import load_fleet
from livefleet.spec.document import read_document
from tests.builders.spec import a_big_fleet

RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    """Median of a few runs."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main(hosts: int = 1000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.yaml"
        path.write_text(a_big_fleet(hosts))
        text = path.read_text()
        plain = seconds(lambda: YAML(typ="safe", pure=True).load(text))
        parsed = seconds(lambda: read_document(path))
        whole = seconds(lambda: load_fleet(path))
    print(f"{hosts} hosts, {text.count(chr(10))} lines, median of {RUNS}")
    print(f"ruamel safe load           {plain:6.3f} s   1.00")
    print(f"parse with positions       {parsed:6.3f} s   {parsed / plain:.2f}")
    print(f"parse, merge and check all {whole:6.3f} s   {whole / plain:.2f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
