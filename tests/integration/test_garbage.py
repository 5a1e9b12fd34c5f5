#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""2,000 connections of those who are no office, of every kind, while people search: answers arrive, memory and
descriptors stay bounded, nobody gets a byte, links stay up. tests/bench/garbage makes 100,000 and measures."""
import contextlib
import socket
import threading
import unittest

import garbage
import harness
import network

# Connections that wait for a handshake (128 and 64), a link, the socket, the store; and some to spare.
DESCRIPTORS_MAX = 128 + 64 + 60
# Sanitizers keep memory that was freed: ask for little of that, and expect the rest.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=1:malloc_context_size=1"}
GROWTH_MAX_KIB = 16 << 10


def setUpModule():
    network.enter()


class Garbage(harness.Case):
    def setUp(self):
        super().setUp()
        organisation = self.organisation()
        self.leeds, = self.offices("leeds", organisation=organisation, listen="0.0.0.0:0", environment=ENVIRONMENT)
        self.york, = self.offices("york", organisation=organisation, environment=ENVIRONMENT,
                                  flags=["--join", self.leeds.address()])
        harness.wait_linked([self.leeds, self.york])
        self.port = int(self.leeds.address().rsplit(":", 1)[1])
        self.leeds.import_rows([{"handle": f"p{i}", "name": f"Person {i}", "skills": ["blogging"]} for i in range(50)])
        self.hello = garbage.captured_hello(self.leeds)

    def storm(self, sources, count, searches=12):
        """Run one for as long as it takes to answer that many searches, and look at the office's memory meanwhile."""
        storm = garbage.Storm(network.OUTSIDE, self.port, sources, self.hello, count)
        self.peak_kib = self.peak_descriptors = 0
        enough = threading.Event()
        thread = threading.Thread(target=storm.run, args=[enough.is_set])
        answered = 0
        with self.leeds.client() as client:
            thread.start()
            try:
                while thread.is_alive():
                    self.assertEqual(len(client.call("people.find", query="blogging")["people"]), 10)
                    answered += 1
                    if answered == searches:
                        enough.set()
                    self.look()
            finally:
                enough.set()
                thread.join()
        return storm

    def look(self):
        self.peak_kib = max(self.peak_kib, garbage.memory_kib(self.leeds.process.pid))
        self.peak_descriptors = max(self.peak_descriptors, garbage.descriptors(self.leeds.process.pid))

    def assert_calm(self, storm, before_kib):
        self.assertEqual(garbage.unasked_bytes(storm.answered), 0, storm.answered)
        self.assertLess(self.peak_kib - before_kib, GROWTH_MAX_KIB)
        self.assertLess(self.peak_descriptors, DESCRIPTORS_MAX)
        self.assertEqual([link["office"] for link in self.leeds.status()["links"]], ["york"])
        self.assertNotIn("link to york is down", self.leeds.log())
        self.assertLessEqual(self.leeds.log().count("connects again and again"), 3)
        self.leeds.call("me.set", name="Root Example", skills=["brewing"])
        harness.wait(lambda: self.york.handles("brewing") == ["root@leeds"], "news still travel", alive=[self.york])

    def test_one_address(self):
        before = garbage.memory_kib(self.leeds.process.pid)
        storm = self.storm([network.OUTSIDE], 2000)
        self.assert_calm(storm, before)
        named = self.leeds.status()["misbehaving"]
        self.assertEqual([n["address"] for n in named], [network.OUTSIDE])
        self.assertGreater(named[0]["connections"], 32)
        warning = [w for w in self.leeds.status()["warnings"] if network.OUTSIDE in w]
        self.assertEqual(len(warning), 1)
        self.assertIn("connects again and again", warning[0])

    def test_many_addresses(self):
        """Each stays below what it takes to be paused: the bounds on handshakes do it."""
        before = garbage.memory_kib(self.leeds.process.pid)
        storm = self.storm(network.SOURCES, 2000)
        self.assert_calm(storm, before)

    def pause(self):
        """Say garbage from OUTSIDE; for how long the address is paused then."""
        for _ in range(40):
            with socket.create_connection((network.OUTSIDE, self.port), harness.PATIENCE_S) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(b"\xff\xff")
                    self.assertEqual(connection.recv(100), b"")
        return max((n["paused_s"] for n in self.leeds.status()["misbehaving"]), default=0)

    def test_a_paused_address_is_let_in_again(self):
        paused = harness.wait(self.pause, f"{network.OUTSIDE} is paused", alive=[self.leeds])
        # the other office, at another address, is none the worse
        self.york.restart()
        harness.wait_linked([self.leeds, self.york])
        harness.wait(lambda: self.leeds.status()["misbehaving"][0]["paused_s"] == 0, "the pause ends",
                     patience_s=harness.PATIENCE_S + paused, alive=[self.leeds])
        with socket.create_connection((network.OUTSIDE, self.port), harness.PATIENCE_S) as connection:
            connection.sendall(self.hello)
            self.assertEqual(len(connection.recv(2)), 2)  # looked at again: the start of message 2


if __name__ == "__main__":
    unittest.main()
