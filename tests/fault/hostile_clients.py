"""Hostile clients of many kinds at one front door until SIGTERM; prints `begun`, and at the end how many
there were.

.venv/bin/python -m tests.fault.hostile_clients https://127.0.0.1:8935
"""

import asyncio
import contextlib
import itertools
import random
import signal
import ssl
import sys

import hyperframe.frame as frames

from tests.builders.hostile_http import PREFACE, a_raw_peer, an_http2_peer

_PAUSE_S = 0.02  # between two, so that they share a small machine with honest work
_SLOW = 40  # clients that hold a connection open and hardly speak


async def _garbage(uri: str, rng: random.Random) -> None:
    async with a_raw_peer(uri) as peer:
        await peer.send(rng.randbytes(rng.randrange(1, 4000)))


async def _half_a_handshake(uri: str, rng: random.Random) -> None:
    host, _, port = uri.removeprefix("https://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01" + rng.randbytes(rng.randrange(200)))
    await writer.drain()
    writer.transport.abort()


async def _smuggling(uri: str, rng: random.Random) -> None:
    async with a_raw_peer(uri) as peer:
        await peer.send(
            b"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /stream/x HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        await peer.head()


async def _bad_headers(uri: str, rng: random.Random) -> None:
    async with a_raw_peer(uri) as peer:
        junk = rng.randbytes(rng.randrange(300)).hex().encode()
        await peer.send(
            b"POST /segment HTTP/1.1\r\nHost: x\r\nLivepeer-Payment: %s\r\nLivepeer-Segment: %s\r\n"
            b"Content-Length: 5\r\n\r\nhello" % (junk, junk)
        )
        await peer.head()


async def _rapid_reset(uri: str, rng: random.Random) -> None:
    async with an_http2_peer(uri) as peer:
        for stream in range(1, 201, 2):
            await peer.send(peer.request(stream, path="/stream/x"), frames.RstStreamFrame(stream, error_code=8))


async def _ping_flood(uri: str, rng: random.Random) -> None:
    async with an_http2_peer(uri) as peer:
        await peer.send(*(frames.PingFrame(0, rng.randbytes(8)) for _ in range(500)))
        await peer.send(*(frames.SettingsFrame(0, settings={4: 65535 + n}) for n in range(100)))


async def _broken_frames(uri: str, rng: random.Random) -> None:
    async with a_raw_peer(uri, alpn="h2") as peer:
        await peer.send(PREFACE + frames.SettingsFrame(0).serialize() + rng.randbytes(rng.randrange(1, 2000)))


async def _hold(uri: str, rng: random.Random) -> None:
    """Headers a byte at a time."""
    async with a_raw_peer(uri) as peer:
        await peer.send(b"POST /segment HTTP/1.1\r\nHost: x\r\n")
        for number in itertools.count():
            await peer.send(b"X-%d: y\r\n" % number)
            await asyncio.sleep(rng.uniform(0.5, 2))


KINDS = (_garbage, _half_a_handshake, _smuggling, _bad_headers, _rapid_reset, _ping_flood, _broken_frames)


async def _tried(attack, uri: str, rng: random.Random) -> None:
    with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
        await attack(uri, rng)


async def main(uri: str) -> int:
    rng = random.Random(7)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    done = _SLOW

    async def always(attack) -> None:
        while True:
            await _tried(attack, uri, rng)
            await asyncio.sleep(1)

    async def one_after_another() -> None:
        nonlocal done
        for attack in itertools.cycle(KINDS):
            await _tried(attack, uri, rng)
            done += 1
            await asyncio.sleep(_PAUSE_S)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one_after_another())]
        tasks += [group.create_task(always(_hold)) for _ in range(_SLOW)]
        print("begun", flush=True)
        await stop.wait()
        for task in tasks:
            task.cancel()
    return done


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
