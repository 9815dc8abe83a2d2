"""What is measured: one Row for each line of the table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    unit: str
    figure: str                 # which field of a measurement counts
    goal: float | None = None   # on the machine that the goals were set on
    goal_ratio: float | None = None  # to the best limit of the same run
    scale: float = 1.0          # from the field to the unit
    load: tuple = ()            # network rows: what the load generator is told
    udp: bool = False
    workers: int = 1
    higher_is_better: bool = False
    machine_bound: bool = True  # the goal grows with how slow this machine is

    @property
    def network(self):
        return bool(self.load)


CPU = [
    Row("switch", "raw switch, one way", "ns", "cpu", goal_ratio=1.15),
    Row("yield-2", "yield, 2 fibers", "ns", "cpu", 9),
    Row("yield-100", "yield, 100", "ns", "cpu", 9),
    Row("yield-10000", "yield, 10,000", "ns", "cpu", 25),
    Row("spawn-join", "spawn + join, one by one", "ns", "cpu", 45),
    Row("spawn-batch", "spawn, batches of 1000", "ns", "cpu", 40),
    Row("skynet", "skynet, a million, join", "ns", "cpu", 60),
    Row("skynet-peak", "skynet, peak memory", "MiB", "peak_kib", 64, scale=1 / 1024, machine_bound=False),
    Row("fib", "fib(25), a fiber a call", "ns", "cpu", 80),
    Row("rendezvous", "rendezvous channel, round trip", "ns", "cpu", 70),
    Row("buffered-1-1", "buffered 128, one to one", "ns", "cpu", 14),
    Row("buffered-4-4", "buffered 128, 4 to 4", "ns", "cpu", 15),
    Row("select-4", "select over 4 rendezvous channels", "ns", "cpu", 90),
    Row("mutex-free", "mutex, uncontended lock + unlock", "ns", "cpu", 7),
    Row("mutex-8", "mutex, 8 fibers, yield inside", "ns", "cpu", 50),
    Row("condition", "condition ping-pong", "ns", "cpu", 70),
    Row("timeout", "wait with a timeout, ping-pong, 100k timers standing", "ns", "cpu", 110),
    Row("timer-cancel", "timer add + cancel, 100k standing", "ns", "cpu", 30),
    # A million of them: so many ns each are as many ms in all.
    Row("sleeps", "a million sleeps over 1 s: CPU", "ms", "cpu", 1000),
    Row("sleeps-latest", "a million sleeps over 1 s: the latest", "ms", "latest_ms", 150),
    Row("parked", "a million parked fibers, each", "bytes", "bytes", 4400, machine_bound=False),
    Row("wake-asleep", "wake from a plain thread, worker asleep, p50", "ns", "p50", goal_ratio=1.05),
    Row("wake-spinning", "the same, worker spinning, p50", "ns", "p50", 500),
]

_TCP = "TCP echo, server CPU a request, "
# As many connections as 20,000 descriptors permit stand for ten thousand.
_CONNECTIONS = {"1": ("1 connection", ("--connections", "1")), "50": ("50", ("--connections", "50")),
                "1000": ("1,000", ("--connections", "1000")),
                "10000": ("10,000", ("--connections", "9500", "--warmup", "1"))}


def _sized(connections, name, size, title):
    shown, load = _CONNECTIONS[connections]
    goal = 1.05 if connections == "1000" else 1.03
    return Row(f"tcp-{connections}-{name}", f"{_TCP}{shown}, {title}", "µs", "server_us", goal_ratio=goal,
               load=(*load, "--size", size))


def _derived(suffix, title, unit, figure):
    """Another figure of the measurements of 64 bytes."""
    return [Row(f"tcp-{each}-{suffix}", f"TCP echo, {shown}: {title}", unit, figure, load=load)
            for each, (shown, load) in _CONNECTIONS.items()]


_LATENCY = _derived("p999", "latency, 99.9 %", "µs", "p999_us")
_CALLS = _derived("calls", "system calls a request", "calls", "calls")
NETWORK = [
    Row("tcp-1", _TCP + "1 connection", "µs", "server_us", goal_ratio=1.03, load=("--connections", "1")),
    Row("tcp-50", _TCP + "50", "µs", "server_us", goal_ratio=1.03, load=("--connections", "50")),
    Row("tcp-1000", _TCP + "1,000", "µs", "server_us", goal_ratio=1.05, load=("--connections", "1000")),
    Row("tcp-10000", _TCP + "10,000", "µs", "server_us", goal_ratio=0.9,
        load=("--connections", "9500", "--warmup", "1")),
    Row("tcp-1k", _TCP + "50, 1 KiB", "µs", "server_us", goal_ratio=1.03,
        load=("--connections", "50", "--size", "1024")),
    Row("tcp-16k", _TCP + "50, 16 KiB", "µs", "server_us", goal_ratio=1.03,
        load=("--connections", "50", "--size", "16384")),
    *(_sized(each, "1k", "1024", "1 KiB") for each in ("1", "1000", "10000")),
    *(_sized(each, "16k", "16384", "16 KiB") for each in ("1", "1000", "10000")),
    *_LATENCY,
    *_CALLS,
    Row("churn", "connect, one echo, close; 50 at a time: server CPU", "µs", "server_us", goal_ratio=1.03,
        load=("--connections", "50", "--churn")),
    Row("udp-1", "UDP echo, server CPU a request, 1 client", "µs", "server_us", goal_ratio=1.05,
        load=("--connections", "1", "--udp"), udp=True),
    Row("udp-50", "UDP echo, 50 clients", "µs", "server_us", goal_ratio=1.05,
        load=("--connections", "50", "--udp"), udp=True),
    Row("idle", "9,500 idle connections, each", "bytes", "bytes", 4600, machine_bound=False,
        load=("--connections", "9500", "--idle")),
    Row("two-cpus", "TCP echo, 50 connections, two CPUs", "requests/s", "rps",
        load=("--connections", "50"), workers=2, higher_is_better=True),
]

ROWS = CPU + NETWORK

# Rows that are another field of a row measured anyway.
DERIVED = {"skynet-peak": "skynet", "sleeps-latest": "sleeps",
           **{row.name: row.name.rsplit("-", 1)[0] for row in (*_LATENCY, *_CALLS)}}
