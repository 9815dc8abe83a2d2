"""A crowd of clients for an echo server, made of nothing but Python's sockets.

Usage: crowd.py PORT IDLE BUSY ROUNDS

Opens IDLE connections that say nothing, then BUSY ones that each send and get back ROUNDS messages, all of a
round under way at once. Then every fiftieth idle one speaks as well. Prints "all echoed" if every byte came back.
"""

import resource
import socket
import sys


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def receive(s, size):
    received = b""
    while len(received) < size:
        chunk = s.recv(size - len(received))
        if not chunk:
            raise SystemExit("the server closed a connection")
        received += chunk
    return received


def exchange(sockets, message):
    for number, s in enumerate(sockets):
        s.sendall(message % number)
    for number, s in enumerate(sockets):
        answer = receive(s, len(message % number))
        if answer != message % number:
            raise SystemExit(f"sent {message % number!r}, received {answer!r}")


def main():
    port, idle, busy, rounds = map(int, sys.argv[1:])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = idle + busy + 64
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))

    waiting = [connect(port) for _ in range(idle)]
    talking = [connect(port) for _ in range(busy)]
    for round_number in range(rounds):
        exchange(talking, b"round %d of client %%d" % round_number)
    exchange(waiting[::50], b"client %d was patient")
    print("all echoed")


main()
