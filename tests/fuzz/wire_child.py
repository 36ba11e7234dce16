"""The fuzzer's own process: libFuzzer takes the arguments, and ends it."""

import sys

import atheris

with atheris.instrument_imports(include=["livefleet.wire", "livefleet.payments", "tests.fuzz.parsers"]):
    from tests.fuzz.parsers import run


def one(data: bytes) -> None:
    """libFuzzer minds what is raised, nothing else."""
    run(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
