#!/usr/bin/env python3
"""Compares kv-server with redis-server, and http-server with nginx, under the clients of Redis and wrk.

Usage: samples/compare.py ZSYNC_RUN [ROUNDS]

Needs redis-server, redis-benchmark, nginx and wrk. Every server runs on one thread. The rounds (3 if not said) of all
servers are interleaved; printed are the medians of CPU time a request, of the server's process alone, and of requests
a second, which the clients share the machine for.
"""

import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

KEYS = "100000"
REQUESTS = 20_000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_it_listens(port):
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise SystemExit(f"nothing listens on port {port}")


def descendants(pid):
    yield pid
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        for child in f.read().split():
            yield from descendants(int(child))


def cpu_seconds(pid):
    nanoseconds = 0
    for each in descendants(pid):
        for thread in os.listdir(f"/proc/{each}/task"):
            with open(f"/proc/{each}/task/{thread}/schedstat") as f:
                nanoseconds += int(f.read().split()[0])
    return nanoseconds / 1e9


@contextlib.contextmanager
def running(command, port):
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(port)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def zsync(run, sample, backend, port):
    return [run, sample, "--workers", "1", "--backend", backend, "--listen", f"127.0.0.1:{port}"]


def redis(port, _folder):
    return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


def nginx(port, folder):
    configuration = os.path.join(folder, f"nginx-{port}.conf")
    with open(configuration, "w") as f:
        f.write(
            f"daemon off; worker_processes 1; pid {folder}/nginx-{port}.pid; error_log /dev/null;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 100000000;\n"
            f"  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n"
            f"  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n"
            f"  server {{ listen 127.0.0.1:{port}; default_type text/plain;\n"
            '    location / { return 200 "Hello from a fiber.\\n"; } } }\n'
        )
    return ["nginx", "-c", configuration]


def load_by_redis_benchmark(test, pipeline):
    def load(port):
        command = ["redis-benchmark", "-p", str(port), "-c", "50", "-P", str(pipeline), "-n", str(REQUESTS)]
        command += ["-r", KEYS, "-t", test, "--csv"]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return REQUESTS, float(out.splitlines()[-1].split(",")[1].strip('"'))

    return load


def load_by_wrk(port):
    out = subprocess.run(["wrk", "-t1", "-c100", "-d1s", f"http://127.0.0.1:{port}/"], capture_output=True, text=True).stdout
    return int(re.search(r"(\d+) requests in", out)[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def compare(title, servers, load, rounds):
    cost, rate = {name: [] for name in servers}, {name: [] for name in servers}
    for _ in range(rounds):
        for name, make_command in servers.items():
            port = free_port()
            with running(make_command(port), port) as server:
                before = cpu_seconds(server.pid)
                requests, per_second = load(port)
                cost[name].append((cpu_seconds(server.pid) - before) / requests * 1e6)
                rate[name].append(per_second)
    print(f"\n{title}")
    for name in servers:
        print(f"  {name:24} {statistics.median(cost[name]):6.2f} µs CPU a request {statistics.median(rate[name]):12,.0f} requests/s")


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    run, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 3
    with tempfile.TemporaryDirectory() as folder:
        kv = {
            "redis-server": lambda port: redis(port, folder),
            "kv-server, epoll": lambda port: zsync(run, "kv-server", "epoll", port),
            "kv-server, io_uring": lambda port: zsync(run, "kv-server", "io_uring", port),
        }
        http = {
            "nginx": lambda port: nginx(port, folder),
            "http-server, epoll": lambda port: zsync(run, "http-server", "epoll", port),
            "http-server, io_uring": lambda port: zsync(run, "http-server", "io_uring", port),
        }
        for test in ("get", "set"):
            for pipeline in (1, 16):
                compare(f"{test}, 50 connections, {pipeline} sent ahead", kv, load_by_redis_benchmark(test, pipeline), rounds)
        compare("HTTP keep-alive, 100 connections", http, load_by_wrk, rounds)


main()
