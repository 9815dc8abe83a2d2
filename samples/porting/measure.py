#!/usr/bin/env python3
"""What the server of this folder costs in threads and in fibers: a table in Markdown.

Usage: measure.py SAMPLES_BUILD_DIRECTORY [--seconds S] [--rounds N] [--connections N,N,...]

scripts/porting_figures builds what it needs and calls it. `zsync-run echo-client` has one message of 64 bytes
under way in each connection. The two servers take turns, and a figure is the median of the rounds. CPU time is
the server's own and the kernel's for it, from when all connections are there until the first one goes; memory is
the most that was seen, kernel stacks and page tables by what /proc says of them.
"""
import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time

VERSIONS = {"threads": "zsync-port-threads", "fibers": "zsync-port-fibers"}


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def kernel_stacks():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("KernelStack"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(program):
    server = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    announcement = "listening on "
    line = server.stdout.readline()
    if announcement not in line:
        sys.exit(f"{program}: {line}")
    return server, line.split(announcement)[1].strip()


def measure(folder, version, connections, seconds):
    server, address = start(os.path.join(folder, VERSIONS[version]))
    try:
        stacks = kernel_stacks()
        client = subprocess.Popen(
            [os.path.join(folder, "zsync-run"), "echo-client", address, "--connections", str(connections),
             "--seconds", str(seconds), "--json"], stdout=subprocess.PIPE, text=True)
        most = {"memory": 0, "tables": 0, "threads": 0, "stacks": 0}
        at_work = []  # when, and how much CPU time it had taken by then
        while client.poll() is None:
            now = status_of(server.pid)
            for name, value in (("memory", now["VmRSS"]), ("tables", now["VmPTE"]), ("threads", now["Threads"])):
                most[name] = max(most[name], int(value.split()[0]))
            most["stacks"] = max(most["stacks"], kernel_stacks() - stacks)
            if len(os.listdir(f"/proc/{server.pid}/fd")) >= connections:
                at_work.append((time.monotonic(), cpu_seconds(server.pid)))
            time.sleep(0.05 + connections / 1e5)
        said = json.loads(client.stdout.read())
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    if client.returncode != 0 or said["errors"] != 0:
        sys.exit(f"{version}, {connections} connections: {said}")
    if len(at_work) < 2:
        sys.exit(f"{version}, {connections} connections: all of them at once were not seen; try more --seconds")
    (begin, cpu_before), (end, cpu_after) = at_work[0], at_work[-1]
    requests = said["requests_per_second"] * (end - begin)
    return most | {"cpu": (cpu_after - cpu_before) / requests * 1e6, "rate": said["requests_per_second"],
                   "p50": said["latency_us"]["p50"] / 1000, "p99": said["latency_us"]["p99"] / 1000}


ROWS = [
    ("memory of the process, MB", lambda r: f"{r['memory'] / 1024:.1f}"),
    ("its page tables, MB", lambda r: f"{r['tables'] / 1024:.1f}"),
    ("kernel stacks, more than before, MB", lambda r: f"{r['stacks'] / 1024:.1f}"),
    ("threads", lambda r: f"{r['threads']:.0f}"),
    ("CPU time a request, µs", lambda r: f"{r['cpu']:.1f}"),
    ("requests a second", lambda r: f"{r['rate']:.0f}"),
    ("latency p50, ms", lambda r: f"{r['p50']:.1f}"),
    ("latency p99, ms", lambda r: f"{r['p99']:.1f}"),
]


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 20_000 if hard == resource.RLIM_INFINITY else min(20_000, hard - 100)
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder")
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--connections", default=f"50,1000,{most}")
    chosen = options.parse_args()
    counts = [int(each) for each in chosen.connections.split(",")]
    found = {}
    for _ in range(chosen.rounds):
        for count in counts:
            for version in VERSIONS:
                found.setdefault((count, version), []).append(measure(chosen.folder, version, count, chosen.seconds))
    print(f"Medians of {chosen.rounds}, on {os.cpu_count()} processors; load of the machine meanwhile "
          f"{os.getloadavg()[0]:.1f}\n")
    heads = [f"{count} connections, {version}" for count in counts for version in VERSIONS]
    print("| | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    medians = [{key: statistics.median(run[key] for run in found[count, version])
                for key in found[count, version][0]} for count in counts for version in VERSIONS]
    for name, text in ROWS:
        print(f"| {name} | " + " | ".join(text(each) for each in medians) + " |")


main()
