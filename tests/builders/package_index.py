"""A package index on loopback, with small wheels under real names."""

import base64
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

__all__ = ["a_small_wheel", "an_index", "offer"]


def a_small_wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    """A wheel that pip and uv install: one module that knows its version."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    files = {
        f"{module}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, (2020, 1, 1, 0, 0, 0)), text)
    return path


def offer(index: Path, wheel: Path, *, hashed: bool = True) -> None:
    """Put a wheel's page into an index that lies under `index`."""
    name = wheel.name.split("-")[0].replace("_", "-").lower()
    page = index / name
    page.mkdir(parents=True, exist_ok=True)
    (page / wheel.name).write_bytes(wheel.read_bytes())
    mark = f"#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}" if hashed else ""
    href = wheel.name.replace("+", "%2B")
    (page / "index.html").write_text(
        f'<!doctype html><html><body><a href="{href}{mark}">{wheel.name}</a></body></html>'
    )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        self.server.asked.append(self.path)  # type: ignore[attr-defined] -- of `an_index`


@contextmanager
def an_index(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The folder served: its address, and the paths that were asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        server.asked = asked = []  # type: ignore[attr-defined] -- likewise
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
