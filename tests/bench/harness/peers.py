"""Who is measured: limits written by hand, zsync, and the runtimes that people use."""

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass
class Peer:
    name: str
    kind: str                    # zsync, peer or limit
    programs: list = dataclasses.field(default_factory=list)  # commands that take ROW REPETITIONS SCALE
    server: list | None = None   # command of an echo server; takes --workers, --size, --udp
    udp: bool = False
    several_workers: bool = True
    shrink: dict = dataclasses.field(default_factory=dict)    # row: how much of it is done, for want of memory
    rows: dict = dataclasses.field(default_factory=dict)      # row: its command; filled by discover()


def every(build):
    """All peers, with the programs that exist in the build directory."""
    at = pathlib.Path(build)
    cpp = at / "tests" / "bench"
    go, tokio = at / "bench-go", at / "bench-tokio" / "release" / "bench-tokio"
    peers = [
        Peer("limit", "limit", [[cpp / "bench-limit-switch"], [cpp / "bench-limit-tasks"], [cpp / "bench-limit-wake"]]),
        Peer("zsync", "zsync", [[cpp / f"bench-zsync-{group}"] for group in ("switch", "tasks", "meet", "time")]),
        # Its fibers touch two pages each: a million of them take 9 GiB, and skynet breadth first more.
        Peer("Boost.Fiber", "peer", [[cpp / f"bench-boost-{group}"] for group in ("tasks", "meet", "time")],
             shrink={"skynet": 0.1, "parked": 0.1, "sleeps": 0.1}),
        Peer("Go", "peer", [[go]], [go, "echo"], udp=True),
        Peer("Tokio", "peer", [[tokio]], [tokio, "echo"], udp=True),
        Peer("Asio", "peer", [[cpp / "bench-asio-time"]], [cpp / "bench-asio-echo", "callbacks"], udp=True),
        Peer("Asio spawn", "peer", server=[cpp / "bench-asio-spawn", "spawn"]),
        Peer("libuv", "peer", server=[cpp / "bench-libuv-echo", "loop"], udp=True, several_workers=False),
        Peer("threads", "peer", server=[cpp / "bench-raw-threads", "blocking"]),
        Peer("raw epoll, level", "limit", server=[cpp / "bench-raw-epoll", "level"]),
        Peer("raw epoll, edge", "limit", server=[cpp / "bench-raw-epoll", "edge"], udp=True),
        Peer("raw io_uring, multishot", "limit", server=[cpp / "bench-raw-uring", "multishot"]),
        Peer("raw io_uring, one-shot", "limit", server=[cpp / "bench-raw-uring", "oneshot"]),
        Peer("zsync, epoll", "zsync", server=[cpp / "bench-zsync-echo", "epoll"], udp=True),
        Peer("zsync, io_uring", "zsync", server=[cpp / "bench-zsync-echo", "io_uring"], udp=True),
    ]
    for peer in peers:
        discover(peer)
    return [peer for peer in peers if peer.rows or peer.server]


def discover(peer):
    for program in peer.programs:
        if not pathlib.Path(program[0]).exists():
            continue
        listed = subprocess.run([*map(str, program), "list"], capture_output=True, text=True, check=False)
        for row in listed.stdout.split():
            peer.rows[row] = [str(word) for word in program]
    if peer.server and not pathlib.Path(peer.server[0]).exists():
        peer.server = None


def serves(peer, row):
    if not row.network:
        return row.name in peer.rows
    return bool(peer.server) and (peer.udp or not row.udp) and (peer.several_workers or row.workers == 1)
