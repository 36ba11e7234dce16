"""`python -m tests.benchmarks [NAME...]`: run the benchmark scripts of this folder one after another."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(names: list[str]) -> int:
    scripts = {p.stem: p for p in sorted(HERE.glob("*.py")) if not p.name.startswith("_")}
    unknown = [name for name in names if name not in scripts]
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(scripts)}\n")
        return 2
    failed = 0
    for name in names or list(scripts):
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode != 0
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
