"""Who is at the conductor's door: let in at once where the key is known, closed and counted where it is not."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench import protocol
from bench.engine.door import Door, listening
from bench.engine.door_strangers import Strangers
from bench.errors import BenchError
from bench.machine.knock import Address, KnockError, knock
from bench.protocol import ArmHello

KEY = b"k" * 32


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Door, Strangers]]:
    strangers = Strangers(folder / "strangers.log")
    made = Door(folder, strangers, tcp=("127.0.0.1", 0))
    try:
        yield made, strangers
    finally:
        made.close()
        strangers.close()


def hello(number: int = 1) -> bytes:
    return protocol.encode(ArmHello(f"a#{number}.0", 0, os.getpid()))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connected(made: Door, *, tcp: bool) -> socket.socket:
    one = socket.create_connection(made.tcp_address) if tcp else socket.socket(socket.AF_UNIX)
    if not tcp:
        one.connect(made.address)
    one.settimeout(20.0)
    return one


def closed(one: socket.socket) -> bool:
    """Whether the other end closes it; waits for that."""
    with suppress(ConnectionResetError):
        while one.recv(4096):
            pass
    return True


@pytest.fixture(params=[False, True], ids=["here", "tcp"])
def tcp(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_who_knows_the_key_comes_in_with_its_hello(tmp_path: Path, tcp: bool) -> None:
    with opened(tmp_path) as (made, strangers):
        address: Address = made.tcp_address if tcp else made.address
        with knock([address], made.key, hello()) as client:
            until(lambda: made.waiting == 1)
            ((ours, heard),) = made.arrived()
            assert heard == ArmHello("a#1.0", 0, os.getpid())
            for size in (0, 1, 300_000):
                threading.Thread(target=client.send_bytes, args=(b"x" * size,)).start()
                assert ours.recv_bytes() == b"x" * size
            ours.send_bytes(b"go")
            assert client.recv_bytes() == b"go"
            ours.close()
        assert strangers.counts == {}


def test_both_ends_of_a_tcp_connection_miss_a_machine_that_says_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as (made, _), knock([made.tcp_address], made.key, hello()) as client:
        until(lambda: made.waiting == 1)
        ((ours, _),) = made.arrived()
        for descriptor in (client.fileno(), ours.fileno()):
            with socket.socket(fileno=os.dup(descriptor)) as end:
                assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 11_000
                    assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        ours.close()


def test_a_wrong_key_is_told_at_both_ends(tmp_path: Path, tcp: bool) -> None:
    with opened(tmp_path) as (made, strangers):
        address: Address = made.tcp_address if tcp else made.address
        with pytest.raises(KnockError, match="does not know the key of this run"):
            knock([address], b"guessed", hello())
        until(lambda: strangers.counts == {"wrong secret": 1})


def test_what_is_no_hello_is_refused_with_the_reason_and_not_tried_again(tmp_path: Path) -> None:
    no_hellos = (b"[]", b"null", b'{"op":"hello-arm"}', b"\xff", b'{"op":"taken"}', b"[" * 10_000)
    with opened(tmp_path) as (made, strangers):
        for number, words in enumerate(no_hellos):
            with pytest.raises(KnockError, match="bytes, "):
                knock([made.tcp_address], made.key, words)
            until(lambda seen=number + 1: strangers.counts == {"no hello": seen})
        if hasattr(socket, "SO_PEERCRED"):
            with pytest.raises(KnockError, match=f"says that it is process {os.getppid()}"):
                knock([made.address], made.key, protocol.encode(ArmHello("a#1.0", 0, os.getppid())))
            assert knock([made.tcp_address], made.key, protocol.encode(ArmHello("a#1.0", 0, os.getppid())))


def test_a_port_that_is_taken_is_told_with_what_is_allowed(tmp_path: Path) -> None:
    with opened(tmp_path) as (made, strangers):
        port = made.tcp_address[1]
        with pytest.raises(BenchError, match=f"port {port} of 127.0.0.1 is taken .* allowed: .* 0 takes any"):
            Door(tmp_path, strangers, tcp=("127.0.0.1", port))
        with pytest.raises(BenchError, match=r"port 70000 .* allowed: 0 .* to 65535"):
            listening("", 70000)
        with pytest.raises(BenchError, match=r"port 1 of host\.invalid cannot be listened on"):
            listening("host.invalid", 1)


@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_ipv6_is_an_address_like_any_other(tmp_path: Path) -> None:
    strangers = Strangers(tmp_path / "strangers.log")
    made = Door(tmp_path, strangers, tcp=("::1", 0))
    knock([made.tcp_address], made.key, hello()).close()
    until(lambda: made.waiting == 1)
    made.close()
