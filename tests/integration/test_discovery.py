#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Offices that nobody told of each other: beacons on a network of their own, a name server, addresses that worked."""
import os
import re
import socket
import struct
import subprocess
import threading
import unittest

import harness
import network

NEAR, FAR = "10.213.9.1", "10.213.9.2"
GROUP, PORT = "239.255.74.11", 7411
WIRE = 8 + 24 + 16 + 34  # bytes of a beacon
far = None  # a process in a network of its own, at the other end of a cable


def ip(*words):
    done = subprocess.run(["ip", *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise unittest.SkipTest(f"ip {' '.join(words)}: {done.stderr.strip()}")


def elsewhere(*words):
    return ["nsenter", "--net", "--target", str(far.pid), *words]


def setUpModule():
    global far
    network.enter()
    ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    far = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo there; exec sleep 600"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if far.stdout.readline() != b"there\n":
        raise unittest.SkipTest("this machine gives nobody a second network (unshare)")
    ip("link", "set", "far", "netns", str(far.pid))
    for words in (("addr", "add", NEAR + "/24", "dev", "near"), ("link", "set", "near", "up")):
        ip(*words)
    for words in (("link", "set", "lo", "up"), ("addr", "add", FAR + "/24", "dev", "far"), ("link", "set", "far", "up")):
        done = subprocess.run(elsewhere("ip", *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)
        if done.returncode != 0:
            raise unittest.SkipTest(f"ip {' '.join(words)}: {done.stderr.strip()}")
    # an IPv6 address is not used before the kernel has looked whether anybody else has it
    harness.wait(lambda: "tentative" not in subprocess.run(["ip", "-6", "addr", "show", "dev", "near"], capture_output=True,
                                                           text=True, check=False).stdout, "near has its addresses")
    harness.wait(lambda: "tentative" not in subprocess.run(elsewhere("ip", "-6", "addr", "show", "dev", "far"),
                                                           capture_output=True, text=True, check=False).stdout,
                 "far has its addresses")


def tearDownModule():
    if far is not None:
        far.kill()
        far.wait()
        far.stdout.close()


def metric(daemon, name):
    return int(re.search(rf"^whocan_{name} (\d+)$", daemon.call("node.metrics")["text"], re.M).group(1))


class Case(harness.Case):
    def office(self, name, organisation, start=True, **how):
        """An office of an organisation that knows no address of any other."""
        daemon = self.new_daemon(name, **how)
        if start:
            daemon.start()
            daemon.call("office.join", invite=organisation.invite(name))
        return daemon


class Beacons(Case):
    def test_ipv6(self):
        organisation, how = self.organisation(), {"listen": "[::]:0", "flags": ["--beacon-group-ipv4", "none"]}
        leeds = self.office("leeds", organisation, **how)
        york = self.office("york", organisation, **how, wrapper=elsewhere())
        harness.wait_linked([leeds, york])
        self.assertRegex(leeds.log() + york.log(), r"handshake with \w+ at \[fe80:[^]]*%(near|far)\]:\d+ is done")

    def test_ipv4_with_two_daemons_of_one_machine_and_a_third_elsewhere(self):
        """And a fourth whose beacons are off: it says nothing and hears nothing."""
        organisation, how = self.organisation(), {"listen": "0.0.0.0:0", "flags": ["--beacon-group-ipv6", "none"]}
        offices = [self.office(name, organisation, **how) for name in ("leeds", "hull")]
        offices.append(self.office("york", organisation, **how, wrapper=elsewhere()))
        off = self.office("ripon", organisation, listen="0.0.0.0:0", flags=["--beacon=no"])
        harness.wait_linked(offices)
        for daemon in offices:
            self.assertEqual(metric(daemon, "beacon_sockets"), 1)
            self.assertGreater(metric(daemon, "beacons_sent_total"), 0)
        self.assertEqual((metric(off, "beacon_sockets"), metric(off, "beacons_sent_total")), (0, 0))
        self.assertEqual(off.status()["links"], [])

    def test_loopback_when_it_is_named(self):
        organisation = self.organisation()
        how = {"flags": ["--beacon-interfaces", "lo"]}
        harness.wait_linked([self.office(name, organisation, **how) for name in ("leeds", "hull")])

    def test_an_office_that_can_be_reached_nowhere_there_says_nothing(self):
        """Listening on loopback alone, it hears all the same, and dials."""
        organisation = self.organisation()
        leeds = self.office("leeds", organisation)
        york = self.office("york", organisation, listen="0.0.0.0:0", wrapper=elsewhere())
        harness.wait_linked([leeds, york])
        self.assertEqual(metric(leeds, "beacons_sent_total"), 0)

    def test_an_interface_that_comes_later(self):
        organisation = self.organisation()
        flags = ["--beacon-interfaces", "later"]
        leeds, hull = (self.office(name, organisation, listen="0.0.0.0:0", flags=flags) for name in ("leeds", "hull"))
        self.assertEqual(metric(leeds, "beacon_sockets"), 0)
        ip("link", "add", "later", "type", "veth", "peer", "name", "later2")
        self.addCleanup(ip, "link", "del", "later")
        for words in (("addr", "add", "10.213.10.1/24", "dev", "later"), ("link", "set", "later", "up"), ("link", "set", "later2", "up")):
            ip(*words)
        harness.wait_linked([leeds, hull])

    def test_other_organisations_and_garbage(self):
        """Neither is answered, and neither keeps two offices from finding each other."""
        mine, theirs = self.organisation(), harness.Organisation(self.sub("theirs"), "Another Council")
        leeds = self.office("leeds", mine, listen="0.0.0.0:0")
        paris = self.office("paris", theirs, listen="0.0.0.0:0", wrapper=elsewhere())
        harness.wait(lambda: metric(leeds, "beacons_foreign_total") > 0 and metric(paris, "beacons_foreign_total") > 0,
                     "each hears the other's", alive=[leeds, paris])
        self.assertEqual(metric(leeds, "link_accepted_total") + metric(paris, "link_accepted_total"), 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(NEAR))
            before = metric(leeds, "beacons_heard_total")
            for length in (0, 1, 8, WIRE - 1, WIRE, WIRE + 1, 1400):
                sender.sendto((b"whocan/1" + os.urandom(1400))[:length], (GROUP, PORT))
            harness.wait(lambda: metric(leeds, "beacons_heard_total") >= before + 7, "all are looked at", alive=[leeds])
            # a storm of one source is not
            harness.wait(lambda: [sender.sendto(b"x" * WIRE, (GROUP, PORT)) for _ in range(300)] and
                         metric(leeds, "beacons_ignored_total") > 300, "a storm is ignored", alive=[leeds])
            sender.setblocking(False)
            with self.assertRaises(BlockingIOError):
                sender.recv(1)
        self.assertEqual(metric(leeds, "link_accepted_total"), 0)
        self.assertEqual(metric(leeds, "link_timeouts_total"), 0)  # nor was anybody dialled
        hull = self.office("hull", mine, listen="0.0.0.0:0")
        harness.wait_linked([leeds, hull])

    def test_what_is_repeated_or_comes_from_elsewhere(self):
        """A captured beacon in another's mouth leads to a dial there, of which nothing comes; from outside the network
        of the interface not even to that."""
        organisation = self.organisation()
        york = self.office("york", organisation, listen="0.0.0.0:0", wrapper=elsewhere())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ear.bind((GROUP, PORT))
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(NEAR))
            ear.settimeout(harness.PATIENCE_S)
            beacon = ear.recv(2000)
        self.assertEqual((len(beacon), beacon[:8]), (WIRE, b"whocan/1"))
        york.kill()
        leeds = self.office("leeds", organisation, listen="0.0.0.0:0")
        ip("addr", "add", "10.99.0.1/24", "dev", "lo")
        self.addCleanup(ip, "addr", "del", "10.99.0.1/24", "dev", "lo")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("10.99.0.1", 0))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"\0" * 4, b"\0" * 4,
                                                                                    socket.if_nametoindex("near")))
            harness.wait(lambda: sender.sendto(beacon, (GROUP, PORT)) and metric(leeds, "beacons_ignored_total") > 0,
                         "one from another network is ignored", alive=[leeds])
        self.assertNotIn("did not answer as an office", leeds.log())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(NEAR))
            sender.sendto(beacon, (GROUP, PORT))
            harness.wait(lambda: "did not answer as an office" in leeds.log(), "it is dialled in vain", alive=[leeds])
        self.assertEqual(leeds.status()["links"], [])

    def sub(self, name):
        path = self.directory / name
        path.mkdir()
        return path


class Names(threading.Thread):
    """A name server on port 53 that knows one name, and counts who asks for it."""

    def __init__(self, name, answers):
        super().__init__(daemon=True)
        self.question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
        self.answers = answers  # (priority, weight, port, target)
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def answer(self, query):
        end = query.index(b"\0", 12) + 5
        if query[12:end - 4].lower() != self.question or query[end - 4:end] != b"\0\x21\0\x01":
            return query[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + query[12:end]  # no such name
        self.asked += 1
        reply = query[:2] + b"\x81\x80\0\1" + struct.pack(">H", len(self.answers)) + b"\0\0\0\0" + query[12:end]
        for priority, weight, port, target in self.answers:
            name = b"".join(bytes([len(label)]) + label.encode() for label in target.split(".")) + b"\0"
            reply += b"\xc0\x0c\0\x21\0\x01" + struct.pack(">IHHHH", 1, 6 + len(name), priority, weight, port) + name
        return reply

    def run(self):
        while True:
            try:
                query, who = self.socket.recvfrom(2000)
                self.socket.sendto(self.answer(query), who)
            except OSError:
                return


class NameServer(Case):
    def setUp(self):
        super().setUp()
        resolv = self.directory / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")
        self.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"', "sh", str(resolv)]
        if subprocess.run([*self.wrapper, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode:
            raise unittest.SkipTest("this machine lets nobody have a name server of their own (unshare, mount)")

    def test_service_records(self):
        organisation = self.organisation()
        leeds = self.office("leeds", organisation)
        port = int(leeds.address().rsplit(":", 1)[1])
        names = Names("_whocan._tcp.council.example", [(20, 0, 1, "127.0.0.1"), (10, 5, port, "127.0.0.1"), (5, 0, 0, ".")])
        names.start()
        self.addCleanup(names.socket.close)
        york = self.office("york", organisation, wrapper=self.wrapper, flags=["--domain", "council.example"])
        harness.wait_linked([leeds, york])
        self.assertEqual(metric(york, "srv_targets"), 2)
        self.assertLessEqual(names.asked, 2)  # and not again before the answer's time is over, a minute at least

    def test_a_name_that_nobody_has_and_a_server_that_is_silent(self):
        organisation = self.organisation()
        names = Names("_whocan._tcp.council.example", [])
        names.start()
        york = self.office("york", organisation, wrapper=self.wrapper, flags=["--domain", "other.example"])
        harness.wait(lambda: "service records _whocan._tcp.other.example" in york.log(), "it says so", alive=[york])
        names.socket.close()
        york.stop()  # it ends cleanly while nobody answers
        york.start()
        york.call("people.find", query="blog")  # and serves while it waits


class Remembered(Case):
    def test_after_a_restart_without_a_configured_peer(self):
        """The card of leeds has an address that leads nowhere: only what worked can help."""
        organisation = self.organisation()
        leeds = self.office("leeds", organisation, flags=["--advertise", "127.0.0.1:9"])
        york = self.office("york", organisation, flags=["--advertise", "127.0.0.1:9", "--join", leeds.address()])
        harness.wait_linked([leeds, york])
        york.stop()
        text = (york.state / "peers").read_text()
        self.assertIn(leeds.address(), text)
        self.assertEqual((york.state / "peers").stat().st_mode & 0o777, 0o600)
        york.flags = ["--advertise", "127.0.0.1:9"]
        york.start()
        harness.wait_linked([leeds, york])

        york.stop()
        (york.state / "peers").write_text(text[:-5])
        york.start()
        harness.wait(lambda: "peers, the addresses of other offices, is left out" in york.log(), "it says so", alive=[york])
        self.assertEqual(metric(york, "peers_remembered"), 0)


if __name__ == "__main__":
    harness.main()
