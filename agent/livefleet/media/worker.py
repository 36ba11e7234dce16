"""The process that does a device's native work: `python -m livefleet.media.worker`, started by `supervisor` only.

Its stdin is a Unix socket to the agent. It decodes what strangers send, so it is made to be lost: it gets no secrets in
its environment, leaves no core file, is the first that the kernel ends when memory is short, and ends with the agent.
"""

import argparse
import ctypes
import gc
import logging
import math
import os
import resource
import select
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from livefleet.media.cores import usable_cores
from livefleet.media.device import Device, DeviceKind
from livefleet.media.heap import Heap
from livefleet.media.messages import (
    Cancel,
    Done,
    EndSession,
    Failed,
    FromWorker,
    Prove,
    Proven,
    Ready,
    RunJob,
    ToWorker,
    frame,
    receive,
)
from livefleet.media.models import TranscodeError, TranscodeJob
from livefleet.media.probing import probe_device, proof_problem, shelf_for
from livefleet.media.transcode import initial_demand, transcode_to_files
from livefleet.media.turns import Turns
from livefleet.media.warm import Shelf

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_NICENESS = 5  # the agent answers gateways within their 500 ms even when every core encodes
_OOM_SCORE = "500"
_IDLE_S = 5.0  # a live stream's next segment comes sooner


class _Worker:
    def __init__(
        self,
        connection: socket.socket,
        device: Device,
        folder: Path,
        slots: int,
        shelf: Shelf[VideoCodecContext] | None,
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._shelf = shelf
        self._device = device
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="job")
        self._turns = Turns(math.inf if device.kind is DeviceKind.NVIDIA else usable_cores())
        self._heap = Heap()
        self._sending = threading.Lock()
        self._cancelled: dict[int, threading.Event] = {}

    def serve(self) -> None:
        """Take messages until the agent has gone."""
        while (message := self._next_message()) is not None:
            match message:
                case RunJob():
                    self._cancelled[message.id] = threading.Event()
                    self._pool.submit(self._run, message)
                case Cancel(id=number):
                    if (event := self._cancelled.get(number)) is not None:
                        event.set()
                case Prove(id=number):
                    self._pool.submit(self._prove, number)
                case EndSession(session=session):
                    if self._shelf is not None:
                        self._shelf.end(session)

    def _next_message(self) -> ToWorker | None:
        if self._shelf is not None:
            self._shelf.end_idle()
        while not select.select([self._connection], [], [], _IDLE_S)[0]:
            if self._shelf is not None:
                self._shelf.end_idle()
            if not self._cancelled:  # keyed by the jobs there are
                self._heap.give_back()
        return receive(self._connection)

    def send(self, message: FromWorker) -> None:
        """Any thread may answer."""
        with self._sending:
            self._connection.sendall(frame(message))

    def _prove(self, number: int) -> None:
        problem = proof_problem(self._device, self._folder)
        self.send(Failed(number, "ProofFailed", problem) if problem else Proven(number))

    def _run(self, message: RunJob) -> None:
        self.send(self._outcome(message, self._cancelled[message.id]))
        del self._cancelled[message.id]

    def _outcome(self, message: RunJob, cancelled: threading.Event) -> Done | Failed:
        job = TranscodeJob(
            session=message.session,
            sequence=message.sequence,
            source=message.source,
            duration_ms=message.duration_ms,
            profiles=message.profiles,
            orchestrator_id=message.orchestrator_id,
            clip_from_ms=message.clip_from_ms,
            clip_to_ms=message.clip_to_ms,
            calc_perceptual_hash=message.calc_perceptual_hash,
            force_reinit=message.force_reinit,
        )
        try:
            with self._turns.take(initial_demand(job.profiles), cancelled.is_set) as turn:
                outcome = transcode_to_files(
                    job,
                    message.outputs,
                    kind=self._device.kind,
                    is_cancelled=cancelled.is_set,
                    on_demand=turn.demand,
                    shelf=self._shelf,
                )
        except TranscodeError as error:
            return Failed(message.id, error.text, error.detail)
        except Exception as error:  # noqa: BLE001 -- the agent decides; this process serves other jobs
            return Failed(message.id, "TranscoderStopped", f"{type(error).__name__}: {error}")
        return Done(message.id, outcome.encoded_pixels, outcome.decoded_pixels)


def main() -> None:
    """Serve the agent on stdin until it closes it."""
    arguments = argparse.ArgumentParser(prog="livefleet.media.worker")
    arguments.add_argument("--device", required=True)
    arguments.add_argument("--kind", required=True, type=DeviceKind)
    arguments.add_argument("--slots", required=True, type=int)
    arguments.add_argument("--folder", required=True, type=Path)
    arguments.add_argument("--agent", required=True, type=int, help="the agent's process id")
    given = arguments.parse_args()
    _settle(given.agent)
    av.logging.set_level(None)
    connection = socket.socket(fileno=os.dup(0))
    device = Device(given.device, given.kind)
    probe = probe_device(device, given.folder)
    worker = _Worker(connection, device, given.folder, given.slots, shelf_for(device, probe, given.folder))
    gc.freeze()  # what is there now stays: no collection need look at it again
    worker.send(Ready(probe))
    try:
        worker.serve()
    except OSError as error:
        logging.getLogger(__name__).debug("worker.disconnected", extra={"error": str(error)})
    os._exit(0)  # without waiting for native threads: nobody wants their results


def _settle(agent: int) -> None:
    """Take the place of a child that may be lost at any time and must not outlive its agent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stopping is the agent's business, also when a terminal or
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd signals the whole group: it drains first
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent:  # gone before the line above
        os._exit(0)
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


if __name__ == "__main__":
    main()
