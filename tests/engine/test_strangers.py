"""Who is at the conductor's door: let in at once where the key is known, closed and counted where it is not."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tiers import examples

from bench import protocol
from bench.engine import door
from bench.engine.door import Door, listening, pending_limit
from bench.engine.door_handshake import Handshake, StrangerError
from bench.engine.door_strangers import Strangers
from bench.errors import BenchError
from bench.machine.knock import ANSWER, LONGEST_HELLO, MAGIC, Address, KnockError, find_door, frame, knock
from bench.protocol import ArmHello
from peers.flood import FIRST_WORDS, Flood, called, recorder

KEY = b"k" * 32
NEVER = 3600.0  # seconds: that long a test does not take


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


def closed(one: socket.socket) -> bool:
    """Whether the other end closes it; waits for that."""
    try:
        while one.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
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


# --- strangers


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits that end in no test: whoever comes in does so because nobody is in its way."""
    monkeypatch.setattr(door, "HANDSHAKE", NEVER)


def recorded(made: Door) -> bytes:
    """What a genuine process has said at this door."""
    with recorder(made.tcp_address) as (address, said), knock([address], made.key, hello(0)):
        until(lambda: made.waiting == 1)
        for channel, _ in made.arrived():
            channel.close()
    return bytes(said)


@pytest.mark.parametrize("most", [64, 1])
def test_nobody_genuine_is_kept_out_by_strangers_that_never_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: None, most: int
) -> None:
    """A door that keeps each stranger a place until its time is over lets in nobody after the first 16 of each kind."""
    monkeypatch.setattr(door, "PENDING", most)
    with opened(tmp_path) as (made, strangers):
        flood = Flood([made.address, made.tcp_address], recorded(made))
        genuine: list[ArmHello] = []
        for number in range(40):
            for _ in range(2 * len(FIRST_WORDS)):
                flood.one()
            assert made.pending <= most
            address: Address = made.tcp_address if number % 2 else made.address
            with knock([address], made.key, hello(number), patience=20.0):
                until(lambda: made.waiting == 1)
                genuine += [heard for channel, heard in made.arrived() if channel.close() is None]
        assert [heard.id for heard in genuine] == [f"a#{number}.0" for number in range(40)]
        sent = flood.sent
        stay = sent["silence"] + sent["half a message"]
        until(lambda: sum(strangers.counts.values()) + made.pending >= sum(sent.values()))
        counts = strangers.counts
        # Who is closed to make room is of that kind, whatever it had said; a genuine one knocks again.
        room = counts.pop("too many at once")
        assert room >= stay - most
        expected = {
            "wrong secret": sent["wrong secret"] + sent["replay"],
            "garbage": sent["garbage"] + sent["another protocol"],
            "too long": sent["2 GiB announced"],
            "closed early": sent["hangs up"],
        }
        assert {kind for kind, number in counts.items() if number > expected[kind]} == set()
        assert sum(expected.values()) - sum(counts.values()) <= room - (stay - most)
        flood.close()
    lines = (tmp_path / "strangers.log").read_text().splitlines()
    assert len(lines) == len({line.partition(":")[0] for line in lines}) == 5


def test_who_says_nothing_or_half_of_something_has_a_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tcp: bool
) -> None:
    monkeypatch.setattr(door, "HANDSHAKE", 0.2)
    with opened(tmp_path) as (made, strangers):
        address: Address = made.tcp_address if tcp else made.address
        with called(address) as silent, called(address) as half, called(address) as late:
            half.sendall(frame(MAGIC + b"n" * 32)[:10])
            late.sendall(frame(MAGIC + b"n" * 32))
            assert closed(silent)
            assert closed(half)
            assert closed(late)
        assert strangers.counts == {"silence": 2, "half a message": 1}
        assert made.pending == 0


def test_what_was_recorded_opens_no_door_again_and_what_a_door_says_opens_none(tmp_path: Path) -> None:
    with opened(tmp_path) as (made, strangers):
        with called(made.tcp_address) as replay:
            replay.sendall(recorded(made))
            assert closed(replay)
        with called(made.tcp_address) as mirror:
            opening = frame(MAGIC + b"n" * 32)
            mirror.sendall(opening)
            answer = mirror.recv(4 + ANSWER, socket.MSG_WAITALL)
            mirror.sendall(frame(answer[-32:]))
            assert closed(mirror)
        assert strangers.counts == {"wrong secret": 2}
        assert made.waiting == 0


@given(some.binary(max_size=200))
@settings(max_examples=examples(200))
def test_whatever_is_said_first_is_no_way_in_and_memory_has_a_limit(words: bytes) -> None:
    """Before the key is proved nothing is kept but a message of a handshake, whatever is announced."""
    for said in (words, frame(words), frame(MAGIC + words), frame((MAGIC + words)[:48].ljust(48)) + words):
        handshake = Handshake(KEY)
        rest = said
        try:
            while rest:
                take, rest = rest[: handshake.wanted], rest[handshake.wanted :]
                handshake.take(take)
                assert handshake.half <= 4 + 48
        except StrangerError:
            pass
        assert not handshake.proved
        assert handshake.hello is None


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, Strangers]]:
    with opened(tmp_path_factory.mktemp("door")) as made:
        yield made


@given(some.binary(max_size=300), some.booleans(), some.booleans())
@settings(max_examples=examples(100))
def test_whatever_is_said_first_closes_that_connection_alone(
    standing: tuple[Door, Strangers], words: bytes, framed: bool, over_tcp: bool
) -> None:
    made, strangers = standing
    before = sum(strangers.counts.values())
    with called(made.tcp_address if over_tcp else made.address) as other:
        with called(made.tcp_address if over_tcp else made.address) as stranger:
            with suppress(OSError):
                stranger.sendall(frame(words) if framed else words)
                stranger.shutdown(socket.SHUT_WR)
            assert closed(stranger)
        other.sendall(frame(MAGIC + b"n" * 32))
        assert len(other.recv(4 + ANSWER, socket.MSG_WAITALL)) == 4 + ANSWER
    until(lambda: sum(strangers.counts.values()) == before + 2)
    assert made.pending == 0


def test_a_hello_has_a_limit_too(tmp_path: Path) -> None:
    with opened(tmp_path) as (made, strangers):
        with pytest.raises(KnockError, match=r"closed|reset"):
            knock([made.tcp_address], made.key, b"x" * (LONGEST_HELLO + 1), patience=0.1)
        assert set(strangers.counts) == {"too long"}


def test_without_descriptors_the_longest_silent_stranger_makes_room(tmp_path: Path, patient: None) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with opened(tmp_path) as (made, strangers), ExitStack() as stack:
        callers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for one in callers:
            one.settimeout(20.0)
        callers[0].connect(made.address)
        until(lambda: made.pending == 1)
        free = os.dup(0)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            assert pending_limit() == free // 4
            callers[1].connect(made.address)
            assert closed(callers[0])
            until(lambda: made.pending == 1)
            assert strangers.counts == {"too many at once": 1}
            assert made.refused == ""
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the other side


def test_a_door_that_closes_is_knocked_at_again(tmp_path: Path) -> None:
    closes = 3
    with opened(tmp_path) as (made, _), socket.create_server(("127.0.0.1", 0)) as between:

        def relay() -> None:
            for _ in range(closes):
                between.accept()[0].close()
            with recorder(made.tcp_address) as (address, _):
                knocker, there = between.accept()[0], called(address)
                with knocker, there, suppress(OSError):
                    there.sendall(knocker.recv(4096))
                    knocker.sendall(there.recv(4096))
                    there.sendall(knocker.recv(4096))
                    knocker.sendall(there.recv(4096))

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        knock([between.getsockname()[:2]], made.key, hello()).close()
        thread.join(10.0)
        until(lambda: made.waiting == 1)


def test_patience_ends_and_says_with_whom() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host, port = gone.getsockname()[:2]
    with pytest.raises(KnockError, match=f"did not let this process in; {host}:{port}: .*refused"):
        knock([(host, port)], KEY, hello(), patience=0.1)
    began = time.monotonic()
    with pytest.raises(KnockError, match="nobody-is-here: "):  # such a socket is there before its name is told
        knock(["\0nobody-is-here"], KEY, hello())
    assert time.monotonic() - began < 100


def test_the_address_that_answers_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as (made, _), socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()[:2]
        gone.close()
        words: list[str] = []

        def own(connected: socket.socket) -> bytes:
            words.append(connected.getsockname()[0])
            return hello()

        connection, address = find_door([dead, made.tcp_address], made.key, own)
        assert address == made.tcp_address
        assert words == ["127.0.0.1"]
        connection.close()


def test_a_kind_has_one_line_however_many_come_and_those_of_before_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "strangers.log"
    for conductor in range(2):
        strangers = Strangers(log)
        for number in range(1000):
            strangers.saw("garbage", f"10.0.0.{number % 256}:{number}", "x" * 10_000 + "\x1b[31m\n")
            strangers.saw("silence", "10.0.0.1:1", "said nothing")
        strangers.close()
        lines = log.read_text().splitlines()
        assert len(lines) == 2 * (conductor + 1)
        assert lines[-2].startswith("garbage: 1000, ")
        assert "; the last one, 10.0.0.231:999: xxx" in lines[-2]
        assert all(len(line) < 500 and line.isprintable() for line in lines)
