"""A name server that takes its time. Usage: slow_dns.py SECONDS

Prints its address, then answers every question for the IPv4 address of hostN.NAME with 10.0.0.N, that many seconds
later; others have no answer.
"""

import heapq
import select
import socket
import struct
import sys
import time


def answer(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]])
        at += 1 + query[at]
    (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
    question = query[12 : at + 5]
    number = labels[0].removeprefix(b"host")
    found = kind == 1 and number.isdigit()
    head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(found), 0, 0)
    record = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 10, 0, 0, int(number)) if found else b""
    return head + question + record


def main():
    delay = float(sys.argv[1])
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    print("%s:%d" % s.getsockname())
    due = []  # (when, number, answer, to whom)
    number = 0
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else None
        if select.select([s], [], [], wait)[0]:
            query, client = s.recvfrom(4096)
            heapq.heappush(due, (time.monotonic() + delay, number, answer(query), client))
            number += 1
        while due and due[0][0] <= time.monotonic():
            _, _, text, client = heapq.heappop(due)
            s.sendto(text, client)


main()
