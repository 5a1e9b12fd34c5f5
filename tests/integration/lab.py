# SPDX-License-Identifier: Apache-2.0
"""Hosts with a network each, in network namespaces: for offices that do not share one.

    lab = Lab(3)                                     # on a bridge of the kernel
    lab = Lab(3, delay_ms=20, loss=0.05, seed=7)     # behind a switch that is slow and loses frames
    harness.Daemon(..., wrapper=lab.wrapper(0), listen=f"{lab.address(0)}:7411")
    lab.silence(2)                                   # as when a host loses its power
    lab.part([0], [1, 2])                            # and lab.heal()

The namespaces end with this process. There is no netem in every kernel, so the slow switch is a process of ours: each
host has a tap device, and a frame waits there and is lost with the probability that was asked for.
"""
import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

import network

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
BASE = "10.77"  # of all addresses
OWN = f"{BASE}.255.254"  # of this process, on the bridge


def _ip(*lines):
    """Commands of ip, in one go, in the namespace of this thread."""
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", stderr=subprocess.PIPE, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        raise unittest.SkipTest(f"no networks for hosts: ip: {done.stderr.strip()}")


_LIBC = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        raise unittest.SkipTest(f"no networks for hosts: {what}: {os.strerror(ctypes.get_errno())}")


def _namespace():
    """The descriptor of a new network namespace; it lives as long as the descriptor."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.unshare(network.CLONE_NEWNET), "unshare")
        new = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(_LIBC.setns(own, network.CLONE_NEWNET), "setns")
    finally:
        os.close(own)
    return new


@contextlib.contextmanager
def _inside(namespace):
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.setns(namespace, network.CLONE_NEWNET), "setns")
        yield
        _check(_LIBC.setns(own, network.CLONE_NEWNET), "setns")
    finally:
        os.close(own)


def _tap(name):
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22s", name.encode(), IFF_TAP | IFF_NO_PI, b""))
    except OSError as error:
        raise unittest.SkipTest(f"no slow links: /dev/net/tun: {error.strerror}") from None
    return tap


class Switch:
    """Carries frames between taps. All draws come from the seed; when frames come does not."""

    def __init__(self, taps, delay_ms, loss, seed):
        self.taps = taps
        self.delay_s = delay_ms / 1000
        self.loss = loss
        self.random = random.Random(seed)
        self.group = [0] * len(taps)  # who hears whom; a silent host has one of its own
        self.port = {}  # MAC address: number of the tap
        self.waiting = []  # (due, number, to, frame)
        self.number = 0

    def run(self, control):
        """Until `control`, on which changes come, is closed."""
        poll = select.poll()
        by_fd = {tap: i for i, tap in enumerate(self.taps)}
        for fd in [control.fileno(), *self.taps]:
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll(self._deliver()):
                if fd in by_fd:
                    self._take(by_fd[fd])
                    continue
                data = control.recv(65536)
                if not data:
                    return
                self.group = json.loads(data)
                control.send(b".")

    def _take(self, source):
        while True:
            try:
                frame = os.read(self.taps[source], 65536)
            except OSError:
                return
            self.port[frame[6:12]] = source
            everybody = frame[0] & 1 or frame[:6] not in self.port
            for to in range(len(self.taps)) if everybody else [self.port[frame[:6]]]:
                if to == source or self.group[to] != self.group[source] or self.random.random() < self.loss:
                    continue
                self.number += 1
                heapq.heappush(self.waiting, (time.monotonic() + self.delay_s, self.number, to, frame))

    def _deliver(self):
        """Send what is due; how many milliseconds until there is more."""
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(self.waiting)
            with contextlib.suppress(OSError):  # an interface that is down, or full, loses it
                os.write(self.taps[to], frame)
        if not self.waiting:
            return None
        return max(0, (self.waiting[0][0] - time.monotonic()) * 1000)


class Lab:
    """`count` hosts. With a delay (one way) or a loss (of frames, 0 to 1) behind a Switch, else on a bridge.
    Call network.enter() first. SkipTest where that cannot be had."""

    def __init__(self, count, delay_ms=0, loss=0, seed=1):
        self.count = count
        self.spaces = [_namespace() for _ in range(count)]
        self.switch = self.control = None
        if delay_ms or loss:
            self._wire(delay_ms, loss, seed)
        else:
            self._bridge()

    def address(self, host):
        return f"{BASE}.{host // 250}.{host % 250 + 1}"

    def wrapper(self, host):
        """A command before the one that is to run on this host."""
        return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self.spaces[host]}"]

    def _up(self, host):
        _ip("link set lo up", f"addr add {self.address(host)}/16 dev eth0", "link set eth0 up")

    def _bridge(self):
        _ip("link add lab type bridge", f"addr add {OWN}/16 dev lab", "link set lab up",
            *(line for i in range(self.count) for line in
              (f"link add h{i} type veth peer name e{i}", f"link set h{i} master lab", f"link set h{i} up",
               f"link set dev e{i} netns /proc/{os.getpid()}/fd/{self.spaces[i]} name eth0")))
        for i, space in enumerate(self.spaces):
            with _inside(space):
                self._up(i)

    def _wire(self, delay_ms, loss, seed):
        taps = []
        for i, space in enumerate(self.spaces):
            with _inside(space):
                taps.append(_tap("eth0"))
                self._up(i)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.switch = os.fork()
        if self.switch == 0:
            status = 1
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.control.close()
                Switch(taps, delay_ms, loss, seed).run(theirs)
                status = 0
            finally:
                sys.stdout.flush()
                os._exit(status)
        theirs.close()
        for tap in taps:
            os.close(tap)

    def _regroup(self, groups):
        self.control.send(json.dumps(groups).encode())
        if self.control.recv(1) != b".":
            raise AssertionError("the switch between the hosts ended")

    def silence(self, *hosts):
        """Nothing leaves or reaches these hosts any more, and nobody is told."""
        if self.switch:
            self._regroup([1 + i if i in hosts else 0 for i in range(self.count)])
        else:
            _ip(*(f"link set h{i} down" for i in hosts))

    def part(self, *groups):
        """Only hosts of one group reach each other; on a switch only."""
        self._regroup([next(n for n, group in enumerate(groups) if i in group) for i in range(self.count)])

    def heal(self):
        if self.switch:
            self._regroup([0] * self.count)
        else:
            _ip(*(f"link set h{i} up" for i in range(self.count)))

    def close(self):
        """The hosts are gone; what runs on them must have ended."""
        if self.switch:
            self.control.close()
            os.waitpid(self.switch, 0)
        else:
            _ip(*(f"link del h{i}" for i in range(self.count)), "link del lab")
        for space in self.spaces:
            os.close(space)
        self.spaces = []
