"""A mirror of MNIST on the loopback, good or bad in a way with a name, and MNIST's four files as they lie on disks."""

from __future__ import annotations

import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

SIZES = {"train": 240, "t10k": 60}
Mode = Literal["good", "cut", "silent", "drip", "loop", "404", "500", "html", "wrong", "endless"]


def idx(numbers: bytes, *dimensions: int, kind: int = 8) -> bytes:
    """A file in MNIST's format: two zeros, the numbers' type, how many dimensions there are and which, the numbers."""
    return bytes([0, 0, kind, len(dimensions)]) + struct.pack(f">{len(dimensions)}I", *dimensions) + numbers


def digits_files() -> dict[str, bytes]:
    """MNIST's four files by name, with fewer digits."""
    files = {}
    for part, count in SIZES.items():
        pixels = bytes((7 * index) % 256 for index in range(count * 784))
        files[f"{part}-images-idx3-ubyte"] = idx(pixels, count, 28, 28)
        files[f"{part}-labels-idx1-ubyte"] = idx(bytes(index % 10 for index in range(count)), count)
    return files


def write_raw(folder: Path, **changed: bytes) -> Path:
    """MNIST's files as torchvision leaves them under `folder`, some of them changed; gives the folder they lie in.

    Args:
        changed: content by the beginning of a name, `train_images` say.
    """
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in digits_files().items():
        short = "_".join(name.split("-")[:2])
        (raw / name).write_bytes(changed.get(short, content))
    return raw


PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in digits_files().items()}
RESOURCES = [(name, hashlib.md5(packed, usedforsecurity=False).hexdigest()) for name, packed in PACKED.items()]


class Mirror(ThreadingHTTPServer):
    """Serves the files, and keeps the names of those that it was asked for."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, mode: Mode) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode = mode
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who is asked goes away in the middle, when it is given up; nobody wants to read that."""


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        content = PACKED.get(name, b"")
        match self.server.mode:
            case "404" | "500":
                self.send_error(int(self.server.mode))
            case "loop":
                self.send_response(302)
                self.send_header("Location", f"{self.server.address}/{name}")
                self.end_headers()
            case "html":
                self._send(b"<!DOCTYPE html><title>Sign in to this network</title>", "text/html")
            case "wrong":
                self._send(content[:-1] + bytes([content[-1] ^ 1]))
            case "cut":
                self._begin(len(content))
                self.wfile.write(content[: len(content) // 2])
            case "silent":
                self.server.over.wait()
            case "drip":
                self._begin(len(content))
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    if self.server.over.wait(0.05):
                        return
            case "endless":
                self._begin(2**40)
                while not self.server.over.is_set():
                    self.wfile.write(bytes(2**20))
            case _:
                self._send(content)

    def _begin(self, length: int, kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, content: bytes, kind: str = "application/octet-stream") -> None:
        self._begin(len(content), kind)
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(mode: Mode = "good") -> Iterator[Mirror]:
    """A mirror, as long as the block."""
    mirror = Mirror(mode)
    thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield mirror
    finally:
        mirror.over.set()
        mirror.shutdown()
        mirror.server_close()
        thread.join()
