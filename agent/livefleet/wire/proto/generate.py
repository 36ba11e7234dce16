"""Generate the modules beside the .proto files: `python -m livefleet.wire.proto.generate`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[2]


def main(out: Path = SOURCES) -> int:
    """Run protoc from grpcio-tools; returns its exit code. `out` is where `livefleet/wire/proto/` is written below."""
    from grpc_tools import protoc  # noqa: PLC0415 -- a development dependency

    protos = [str(p.relative_to(SOURCES)) for p in sorted(HERE.glob("*.proto"))]
    return int(
        protoc.main(
            ["protoc", f"-I{SOURCES}", f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *protos]
        )
    )


if __name__ == "__main__":
    sys.exit(main())
