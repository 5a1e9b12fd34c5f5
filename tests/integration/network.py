# SPDX-License-Identifier: Apache-2.0
"""A network of its own for this process and the daemons that it starts: loopback, and addresses that are not."""
import ctypes
import os
import subprocess
import unittest

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
OUTSIDE = "10.213.7.1"  # an address that is not loopback
SOURCES = [f"10.213.8.{i}" for i in range(1, 251)]  # and some that connections can come from


def enter():
    """Leave the machine's network; before any thread is started. SkipTest where the kernel does not allow it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        uid, gid = os.getuid(), os.getgid()
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise unittest.SkipTest(f"no network of its own: {os.strerror(ctypes.get_errno())}")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    # on loopback a whole network is local, not just one address
    for words in ("link set lo up", f"addr add {OUTSIDE}/24 dev lo", f"addr add {SOURCES[0]}/24 dev lo"):
        try:
            done = subprocess.run(["ip", *words.split()], stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        except FileNotFoundError:
            raise unittest.SkipTest("needs ip: sh packaging/dependencies install test") from None
        if done.returncode != 0:
            raise unittest.SkipTest(f"ip {words}: {done.stderr.strip()}")
