"""Fuzz what reads strangers' bytes, guided by coverage, for a while.

    .venv/bin/python -m tests.fuzz.wire [--seconds 60] [--seed 1] [--keep FOLDER]
    .venv/bin/python -m tests.fuzz.wire --make-corpus    write the seeds anew, from the protocol's vectors

Starts from the seeds in tests/fuzz/corpus. Input that raises what nobody foresaw, takes 10 s, or fills 1 GB is kept
under FOLDER; the exit code is then not 0.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from livefleet.kernel import Pixels
from livefleet.media import Rendition
from livefleet.wire.proto import lp_rpc_pb2 as pb
from livefleet.wire.results import encode_result
from tests.builders.wire import a_profile
from tests.fuzz.parsers import BOUNDARY, TARGETS

CORPUS = Path(__file__).parent / "corpus"
_VECTORS = Path(__file__).parents[1] / "data" / "wire-vectors.json"
_LONGEST = 8192  # bytes of an input


def seeds() -> dict[str, bytes]:
    """A name and an input for each kind of message in the vectors, and an upload."""
    vectors = json.loads(_VECTORS.read_text())
    numbers = {target.__name__: number for number, target in enumerate(TARGETS)}
    found = {}

    def add(target: str, name: str, data: bytes) -> None:
        found[f"{target}-{name}"] = bytes([numbers[target]]) + data

    for number, payment in enumerate(vectors["payments"]):
        add("payment_message", str(number), _raw(payment["payment_protobuf"]))
        add("payment_header", str(number), payment["header_Livepeer_Payment"].encode())
    for number, segment in enumerate(vectors["segments"]):
        add("segment_message", str(number), _raw(segment["segdata_protobuf"]))
    add("segment_header", "0", vectors["segments"][0]["header_Livepeer_Segment"].encode())
    for number, each in enumerate(vectors["capabilities"]):
        add("capabilities", str(number), _raw(each["protobuf"]))
    add("discovery", "0", _raw(vectors["orchestrator_request"]["request_protobuf"]))
    result = pb.TranscodeResult(seq=1, data=pb.TranscodeData(sig=_raw(vectors["transcode_result"]["sig"])))
    result.data.segments.add(url="https://127.0.0.1:8935/stream/0badcafe/a/1.ts", pixels=100)
    add("answers", "result", result.SerializeToString())
    segment = pb.SegData.FromString(_raw(vectors["segments"][0]["segdata_protobuf"]))
    add("answers", "task", pb.NotifySegment(url="https://o/stream/1.tempfile", segData=segment).SerializeToString())
    renditions = [Rendition(b"rendition A", Pixels(100)), Rendition(b"rendition B", Pixels(200))]
    body = b"".join(encode_result([a_profile(), a_profile()], renditions, BOUNDARY.decode()))
    add("upload", "0", b"\x00\x40multipart/mixed; boundary=" + BOUNDARY + b"\n" + body)
    return found


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def make_corpus() -> None:
    """Write the seeds into the checkout."""
    shutil.rmtree(CORPUS, ignore_errors=True)
    CORPUS.mkdir()
    for name, data in seeds().items():
        (CORPUS / name).write_bytes(data)


def fuzz(seconds: float, seed: int, keep: Path) -> subprocess.CompletedProcess[str]:
    """One run in a process of its own: the fuzzer ends it as it likes."""
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as grown:
        return subprocess.run(
            [
                # libFuzzer looks at the peak, which a process inherits of whoever started it: a shell, then, not us.
                *("sh", "-c", '"$@"; exit $?', "sh"),
                *(sys.executable, "-m", "tests.fuzz.wire_child"),
                *(f"-max_total_time={round(seconds)}", f"-seed={seed}", f"-max_len={_LONGEST}"),
                *("-timeout=10", "-rss_limit_mb=1024", f"-artifact_prefix={keep}/"),
                *(grown, str(CORPUS)),
            ],
            text=True,
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            timeout=seconds + 120,
        )


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, default=Path("fuzz-wire"))
    options.add_argument("--make-corpus", action="store_true")
    given = options.parse_args()
    if given.make_corpus:
        make_corpus()
        return 0
    done = fuzz(given.seconds, given.seed, given.keep)
    print(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
