"""Takes one measurement: of a row in one process, or of a server under load."""

import json
import os
import resource
import subprocess
import sys
import tempfile

LIMIT_SECONDS = 180


class Failed(Exception):
    pass


def _last_json(text):
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed("it printed no measurement")
    return json.loads(lines[-1])


def cpu_row(peer, row, scale):
    """One repetition of a row that a program does by itself."""
    scale *= peer.shrink.get(row.name, 1)
    command = [*peer.rows[row.name], row.name, "1", str(scale)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"took over {LIMIT_SECONDS} s") from late
    if ran.returncode != 0:
        raise Failed(f"status {ran.returncode}: {ran.stderr.strip()[-200:]}")
    return _last_json(ran.stdout)


def _raise_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Server:
    """An echo server in a process of its own; `with` ends it."""

    def __init__(self, peer, row, cpus, prefix=()):
        size = row.load[row.load.index("--size") + 1] if "--size" in row.load else "64"
        self.command = [*prefix, *map(str, peer.server), "--workers", str(row.workers), "--size", size]
        if row.udp:
            self.command.append("--udp")
        self.cpus = cpus

    def __enter__(self):
        def prepare():
            os.sched_setaffinity(0, self.cpus)
            _raise_descriptors()
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        preexec_fn=prepare)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
            self.errors.seek(0)
            raise Failed(f"the server ended: {self.errors.read().strip()[-200:]}")
        self.port = json.loads(line)["port"]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def network_row(peer, row, load, seconds):
    """Server and client share one CPU, so that what counts is the work, not where it ran."""
    cpus = sorted(os.sched_getaffinity(0))
    cpus = set(cpus) if row.workers > 1 else {cpus[-1]}
    with Server(peer, row, cpus) as server:
        command = [str(load), "--port", str(server.port), "--pid", str(server.process.pid),
                   "--seconds", str(seconds), *row.load]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
                                 preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        except subprocess.TimeoutExpired as late:
            raise Failed("the load generator hangs") from late
        if ran.returncode != 0:
            raise Failed(f"load generator: {ran.stderr.strip()[-200:] or ran.stdout.strip()[-200:]}")
        result = _last_json(ran.stdout)
        if result.get("errors"):
            print(f"\n{peer.name}, {row.name}: {result['errors']} errors", file=sys.stderr)
        return result


def system_calls(peer, row, load, seconds):
    """Calls a request: what a longer run makes more than a short one, so that opening connections is not counted."""
    short, few = _calls_of_run(peer, row, load, seconds)
    long, many = _calls_of_run(peer, row, load, 3 * seconds)
    if many <= few:
        raise Failed("a longer run made no more requests")
    each = {name: round((count - short.get(name, 0)) / (many - few), 3) for name, count in long.items()}
    return {name: count for name, count in each.items() if count > 0.001}


def _calls_of_run(peer, row, load, seconds):
    """Counted by strace, which slows the server down: for nothing else. Calls by name, and requests."""
    with tempfile.NamedTemporaryFile("r") as counts:
        cpus = {sorted(os.sched_getaffinity(0))[-1]}
        with Server(peer, row, cpus, ("strace", "-f", "-c", "-o", counts.name)) as server:
            command = [str(load), "--port", str(server.port), "--seconds", str(seconds), *row.load, "--warmup", "0"]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
            subprocess.run(["pkill", "-KILL", "-P", str(server.process.pid)], check=False)  # strace's only child
            server.process.wait(30)  # strace then writes its counts
        lines = [line.split() for line in counts.read().splitlines()]
        calls = {words[-1]: int(words[3]) for words in lines
                 if len(words) >= 5 and words[3].isdigit() and words[-1] != "total"}
        return calls, _last_json(ran.stdout)["requests"]
