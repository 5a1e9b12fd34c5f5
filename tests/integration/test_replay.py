#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Somebody on the path between two real daemons: records what passes, plays it again, and changes what passes."""
import contextlib
import socket
import threading
import unittest

import harness

TO_LEEDS, TO_YORK = 0, 1


class Path:
    """A TCP proxy that knows where messages begin and end. change(connection, direction, number, message) gives the
    messages, with their lengths, that go on instead of it."""

    def __init__(self, case):
        self.target = None  # HOST:PORT
        self.change = self.nothing
        self.recorded = []  # for each connection: messages by direction
        self.ended = set()  # connections
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.server.getsockname()[1]}"
        case.addCleanup(self.close)
        threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def nothing(_connection, _direction, _number, message):
        return [message]

    def close(self):
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def serve(self):
        while True:
            try:
                york, _ = self.server.accept()
            except OSError:
                return
            started = len(self.recorded)
            threading.Thread(target=self.connection, args=(york,), daemon=True).start()
            harness.wait(lambda n=started: len(self.recorded) > n, "it goes on to leeds")

    def connection(self, york):
        host, port = self.target.rsplit(":", 1)
        with york, socket.create_connection((host, int(port))) as leeds:
            number = len(self.recorded)
            self.recorded.append([[], []])
            back = threading.Thread(target=self.pump, args=(leeds, york, number, TO_YORK), daemon=True)
            back.start()
            self.pump(york, leeds, number, TO_LEEDS)
            back.join()
        self.ended.add(number)

    def pump(self, source, sink, number, direction):
        held, recorded = b"", self.recorded[number][direction]
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                held += data
                while len(held) >= 2 and len(held) >= 2 + int.from_bytes(held[:2], "big"):
                    end = 2 + int.from_bytes(held[:2], "big")
                    message, held = held[:end], held[end:]
                    recorded.append(message)
                    for one in self.change(number, direction, len(recorded) - 1, message):
                        sink.sendall(one)
        for one in (source, sink):  # whoever closed: both are closed
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def flipped(at):
    """Change one bit: `at` counts bytes after the length, from the end when negative."""
    def change(message):
        changed = bytearray(message)
        changed[at if at < 0 else 2 + at] ^= 0x10
        return [bytes(changed)]
    return change


# What is done to which message, and whether leeds may have seen a link before it notices.
CHANGES = (
    ("message 1, its key", TO_LEEDS, 0, flipped(5), False),
    ("message 1, its MAC", TO_LEEDS, 0, flipped(-1), False),
    ("message 2, its key", TO_YORK, 0, flipped(5), False),
    ("message 2, the sealed key", TO_YORK, 0, flipped(40), False),
    ("message 2, the certificate", TO_YORK, 0, flipped(-40), False),
    ("message 3, the sealed key", TO_LEEDS, 1, flipped(5), False),
    ("message 3, the certificate", TO_LEEDS, 1, flipped(-40), False),
    ("message 3 left out", TO_LEEDS, 1, lambda m: [], False),
    ("message 3 twice", TO_LEEDS, 1, lambda m: [m, m], True),
    ("a frame changed", TO_LEEDS, 3, flipped(-1), True),
    ("a frame twice", TO_LEEDS, 3, lambda m: [m, m], True),
    ("a frame left out", TO_LEEDS, 2, lambda m: [], True),
    ("frames to york left out", TO_YORK, 1, lambda m: [], True),
)


class Replay(harness.Case):
    def setUp(self):
        super().setUp()
        organisation = self.organisation()
        self.path = Path(self)
        # york reaches leeds by the path alone, and nobody reaches york or hull unasked
        self.leeds, = self.offices("leeds", organisation=organisation, flags=["--advertise", self.path.address])
        self.path.target = self.leeds.address()
        self.hull, = self.offices("hull", organisation=organisation)
        self.york = self.daemon("york", listen="none", flags=["--join", self.path.address])
        self.york.call("office.join", invite=organisation.invite("york"))
        harness.wait(lambda: "york" in self.links(self.leeds), "york is linked", alive=[self.leeds, self.york])

    @staticmethod
    def links(daemon):
        return [link["office"] for link in daemon.status()["links"]]

    def session(self):
        """What passed on the link: messages by direction. (While york stood alone it was turned away.)"""
        def longest():
            return max(self.path.recorded, key=lambda messages: len(messages[TO_LEEDS]))
        harness.wait(lambda: min(map(len, longest())) > 2, "both have said something")
        return longest()

    def say(self, daemon, data):
        """Say that to its port and nothing more; everything that comes back."""
        host, port = daemon.address().rsplit(":", 1)
        answer = b""
        with socket.create_connection((host, int(port)), timeout=harness.PATIENCE_S) as connection:
            with contextlib.suppress(OSError):  # a reset, or ENOTCONN of a shutdown after one
                for part in data:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(65536):
                    answer += more
        return answer

    def test_nothing_recorded_is_of_use(self):
        self.york.call("me.set", name="Root Example", skills=["brewing"])
        harness.wait(lambda: self.leeds.handles("brewing"), "leeds knows", alive=[self.leeds, self.york])
        self.york.stop()
        harness.wait(lambda: "york" not in self.links(self.leeds), "york is gone", alive=[self.leeds])
        ups = {d: d.log().count("link to york is up") for d in (self.leeds, self.hull)}
        sent, received = self.session()
        for daemon in (self.leeds, self.hull):  # whom it was meant for, and another office
            before = daemon.status()
            # message 1 is answered by one message, another than the one recorded, and nothing else is
            self.assertEqual(self.say(daemon, sent[1:2]), b"")
            self.assertEqual(self.say(daemon, sent[2:]), b"")
            alone = self.say(daemon, sent[:1])
            self.assertEqual(len(alone), 2 + int.from_bytes(alone[:2], "big"))
            self.assertNotEqual(alone, received[0])
            for data in ([b"".join(sent)], sent, sent[:2], sent[:1] * 2):
                answer = self.say(daemon, data)
                self.assertIn(len(answer), (0, len(alone)))
            self.assertEqual(daemon.log().count("link to york is up"), ups[daemon])
            self.assertNotIn("york", self.links(daemon))
            self.assertEqual(daemon.status()["records"], before["records"])

    def test_recorded_answers_open_no_link(self):
        """york dials, and gets what leeds said to it an hour ago."""
        old = self.session()[TO_YORK]
        for messages in (old, old[:1]):
            def old_answers(_connection, direction, number, message, messages=messages):
                if direction == TO_LEEDS:
                    return [message]
                return [b"".join(messages)] if number == 0 else []

            self.york.stop()
            harness.wait(lambda: len(self.path.ended) == len(self.path.recorded), "the path is quiet")
            before = len(self.path.recorded)
            self.path.change = old_answers
            self.york.start()
            harness.wait(lambda n=before: n in self.path.ended, "it was tried", alive=[self.york])
            self.assertEqual(self.links(self.york), [])
            self.assertEqual(len(self.path.recorded[before][TO_LEEDS]), 1)  # message 1: who york is stays unsaid

    def test_changes_end_the_link(self):
        for what, direction, number, change, opens in CHANGES:
            with self.subTest(what):
                changed = []  # the connection in which that was done

                def once(connection, d, n, message, want=(direction, number), change=change, changed=changed):
                    if (d, n) != want or changed:
                        return [message]
                    changed.append(connection)
                    return change(message)

                self.york.stop()
                harness.wait(lambda: len(self.path.ended) == len(self.path.recorded), "the path is quiet")
                harness.wait(lambda: not self.links(self.leeds), "the old link is gone")
                ups = self.leeds.log().count("handshake with york")
                self.path.change = once
                self.york.start()
                harness.wait(lambda c=changed: c and c[0] in self.path.ended, "it ends the connection",
                             alive=[self.leeds, self.york])
                bad = changed[0]
                # the next one is let through, and is good
                harness.wait(lambda: "york" in self.links(self.leeds), "york is linked again",
                             alive=[self.leeds, self.york])
                good = self.leeds.log().count("handshake with york") - ups
                self.assertLessEqual(good, len(self.path.recorded) - bad - (0 if opens else 1))


if __name__ == "__main__":
    unittest.main()
