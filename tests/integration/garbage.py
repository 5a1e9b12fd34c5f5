# SPDX-License-Identifier: Apache-2.0
"""Connections to an office's port from those who are no office. test_garbage.py makes some, tests/bench/garbage many."""
import collections
import errno
import os
import random
import selectors
import socket

# What a connection does. `held`: it stays until the daemon closes it or newer ones need its place.
SILENT = "half-open"
DRIP = "slow drip"
RANDOM = "random bytes"
OTHERS = "other protocols"
WRONG = "wrong MAC"
REPLAY = "right MAC, replayed"
FORGED = "right MAC, replayed, forged message 3"
LENGTHS = "random lengths"
KINDS = (SILENT, DRIP, RANDOM, OTHERS, WRONG, REPLAY, FORGED, LENGTHS)
HELD = (SILENT, DRIP, REPLAY)

OTHER_PROTOCOLS = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
                   b"SSH-2.0-OpenSSH_9.2\r\n", b"EHLO mail.example\r\n", b"\x00\x00\x00\x2f\xffSMB")


def connection(address, port, source=None):
    """A connection to there, from that source address."""
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if source:
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are per destination
        s.bind((source, 0))
    s.setblocking(False)
    rc = s.connect_ex((address, port))
    if rc not in (0, errno.EINPROGRESS):
        s.close()
        raise OSError(rc, os.strerror(rc))
    return s


def captured_hello(daemon):
    """Message 1 with its length, as that daemon says it to an address that it is told to dial."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        old = daemon.config_path.read_text()
        daemon.config_path.write_text(f"[whocan]\njoin = 127.0.0.1:{server.getsockname()[1]}\n")
        daemon.signal(1)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(60)
            hello = b""
            while len(hello) < 50:
                hello += peer.recv(50 - len(hello))
        daemon.config_path.write_text(old)
        daemon.signal(1)
    return hello


class Storm:
    """`count` connections of every kind, from the sources by turns, at most at_once of them open."""

    def __init__(self, address, port, sources, hello, count, at_once=400, seed=1):
        self.address, self.port, self.sources = address, port, sources
        self.hello, self.count, self.at_once = hello, count, at_once
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.open = collections.OrderedDict()  # socket: kind, oldest first
        self.drips = collections.deque()
        self.made = collections.Counter()
        self.failed = 0  # connections that the kernel did not make
        self.answered = collections.Counter()  # bytes that came back, by kind

    def bytes_of(self, kind):
        r = self.random
        if kind == RANDOM:
            return r.randbytes(r.randint(1, 5000))
        if kind == OTHERS:
            return r.choice(OTHER_PROTOCOLS)
        if kind == WRONG:
            return b"\x00\x30" + r.randbytes(48)
        if kind == REPLAY:
            return self.hello
        if kind == FORGED:
            return self.hello + b"\x00\x60" + r.randbytes(96)
        if kind == LENGTHS:
            return r.randbytes(2) + r.randbytes(r.randint(0, 100))
        return b"\x00" if kind == DRIP else b""

    def drop(self, s):
        kind = self.open.pop(s, None)
        if kind is not None:
            self.selector.unregister(s)
            s.close()

    def begin(self):
        kind = self.random.choice(KINDS)
        number = sum(self.made.values()) + self.failed
        try:
            s = connection(self.address, self.port, self.sources[number % len(self.sources)])
        except OSError:
            self.failed += 1
            return
        self.made[kind] += 1
        self.open[s] = kind
        self.selector.register(s, selectors.EVENT_WRITE)

    def connected(self, s):
        kind = self.open[s]
        data = self.bytes_of(kind)
        try:
            if data:
                s.send(data)
        except OSError:
            self.drop(s)
            return
        self.selector.modify(s, selectors.EVENT_READ)
        if kind == DRIP:
            self.drips.append(s)

    def readable(self, s):
        try:
            data = s.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(s)
            return
        self.answered[self.open[s]] += len(data)
        if self.open[s] == FORGED:
            return
        if self.open[s] not in HELD:
            self.drop(s)

    def drip(self):
        for _ in range(min(len(self.drips), 20)):
            s = self.drips.popleft()
            if s not in self.open:
                continue
            try:
                s.send(b"\x30" if self.random.random() < 0.5 else b"x")
                self.drips.append(s)
            except OSError:
                self.drop(s)

    def turn(self):
        for key, mask in self.selector.select(0.01):
            if key.fileobj not in self.open:
                continue
            if mask & selectors.EVENT_WRITE:
                self.connected(key.fileobj)
            else:
                self.readable(key.fileobj)
        self.drip()

    def run(self, enough=lambda: True):
        """Until all were made, and more of them until it was enough; what would be held for ever is let go at the end."""
        while (left := self.count - sum(self.made.values()) - self.failed) > 0 or not enough():
            for _ in range(min(50, max(left, 1))):
                while len(self.open) >= self.at_once:
                    self.drop(next(iter(self.open)))
                self.begin()
            self.turn()
        for _ in range(100):
            self.turn()
        for s in list(self.open):
            self.drop(s)
        self.selector.close()
        return self


def unasked_bytes(answered):
    """Bytes that went to somebody who had not shown a right MAC."""
    return sum(n for kind, n in answered.items() if kind not in (REPLAY, FORGED))


def memory_kib(pid):
    """Memory of its own that a process holds, as the goals count it."""
    with open(f"/proc/{pid}/status") as file:
        return int(next(line.split()[1] for line in file if line.startswith("RssAnon")))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
