#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What passes between offices. Somebody on the network reads every packet and learns nothing that people wrote, asked or
are called; a member office writes down every byte that it is told, and what is not for the organisation is not in it."""
import random
import socket
import struct
import subprocess
import threading
import unittest

import msgpack

import harness
import network
import test_audiences as audiences
from harness import row, wait
from test_audiences import AUDIENCES, LISTS, TEXTS, canary

LIAR = harness.BUILD / "tests" / "liar" / "liar"
ANSWERS = 8  # a kind of frame
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING, SO_RCVBUFFORCE = 263, 6, 4, 33
ASKED = "zqaskedwx"  # what somebody can do and is asked for, without being named


def setUpModule():
    network.enter()


class Capture:
    """Every packet on loopback, and what was said in each direction of each TCP connection."""

    def __init__(self, case):
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        except PermissionError as e:
            raise unittest.SkipTest(f"this machine lets nobody look at its packets: {e}") from e
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.05)
        self.packets, self.over = [], False
        self.thread = threading.Thread(target=self.take)
        self.thread.start()
        case.addCleanup(self.end)

    def take(self):
        while True:
            try:
                packet, (_, _, kind, _, _) = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                if self.over:
                    return
                continue
            if kind == PACKET_OUTGOING:  # on loopback each is seen twice
                self.packets.append(packet)

    def end(self):
        """No packet was missed."""
        if self.over:
            return
        self.over = True
        self.thread.join()
        seen, missed = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.socket.close()
        if missed or not seen:
            raise AssertionError(f"{missed} of {seen} packets were missed")

    def said(self):
        """Everything: the packets, and the bytes of each connection as its reader has them."""
        streams = {}
        for packet in self.packets:
            ip = packet[14:]
            if packet[12:14] != b"\x08\x00" or ip[9] != socket.IPPROTO_TCP:
                continue
            tcp = ip[(ip[0] & 15) * 4:int.from_bytes(ip[2:4], "big") or len(ip)]
            payload = tcp[(tcp[12] >> 4) * 4:]
            if payload:
                parts = streams.setdefault((ip[12:20], tcp[:4]), [])
                parts.append((int.from_bytes(tcp[4:8], "big"), payload))
        return b"\n".join([*self.packets, *(self.stream(parts) for parts in streams.values())])

    @staticmethod
    def stream(parts):
        first = parts[0][0]
        bytes_at = {(seq - first) & 0xffffffff: payload for seq, payload in parts}
        return b"".join(bytes_at[at] for at in sorted(bytes_at))


class Leaks(audiences.Case):
    def setUp(self):
        super().setUp()
        self.capture = Capture(self)
        self.council = self.organisation()
        self.leeds, self.york, self.hull = self.offices("leeds", "york", "hull", organisation=self.council,
                                                        wrapper=self.accounts.wrapper)

    def member(self):
        """An office that is told whatever offices are told: the process, and the file of what it hears."""
        invitation, heard = self.directory / "bath.invitation", self.directory / "heard"
        invitation.write_text(self.council.invite("bath") + "\n")
        process = subprocess.Popen([LIAR, "--invitation", invitation, "--to", self.leeds.address(), "--heard", heard,
                                    "nothing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        for pipe in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(pipe.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual([process.stdout.readline() for _ in range(2)], ["linked\n", "fetched\n"])
        return process, heard

    @staticmethod
    def frames(heard):
        return [bytes.fromhex(line) for line in heard.read_text().splitlines(True) if line.endswith("\n")]

    def answers(self, heard):
        """The bodies of all answers that came."""
        frames = [msgpack.unpackb(frame, strict_map_key=False) for frame in self.frames(heard)]
        return [body for frame in frames if frame[0] == ANSWERS for body, _ in frame[1]]

    def live(self):
        """What people do: they change something, look, ask, and go."""
        for audience in AUDIENCES:
            self.whocan(self.leeds, f"u{audience}", "me", "add", "interest", canary("later", audience),
                        "--audience", audience)
        self.whocan(self.leeds, "umatch", "me", "add", "skill", ASKED, "--audience", "match")
        for office in (self.york, self.hull):
            wait(lambda o=office: o.handles(canary("later", "organisation")) == ["uorganisation@leeds"],
                 f"{office.name} finds what is new", alive=self.daemons)
            office.call("people.find", query=canary("skills", "match"))
            with office.client() as client:
                for question in (ASKED, f"who knows {canary('title', 'organisation')}?"):
                    client.ask(question)
        self.call_as("ume", self.leeds, "people.show", handle="ume", audience="me")
        self.hull.import_rows([row("zqhullwx", skills=["zqweldingwx"])])
        wait(lambda: self.york.handles("zqweldingwx") == ["zqhullwx@hull"], "york finds it", alive=self.daemons)

    def test_a_member_is_told_what_is_for_the_organisation_and_nothing_else(self):
        for audience in AUDIENCES:
            self.write(self.leeds, audience)
        process, heard = self.member()
        self.live()
        wait(lambda: b"zqweldingwx".hex() in heard.read_text(), "the member was told of it", alive=self.daemons)
        process.stdin.write(f"{ASKED}\nwho knows {canary('title', 'organisation')}?\n")
        process.stdin.flush()
        wait(lambda: len(self.answers(heard)) == 2 * len(self.daemons), "all answer the member, twice", alive=self.daemons)
        process.stdin.close()
        self.assertEqual((process.stdout.read(), process.wait(), process.stderr.read()), ("open\n", 0, ""))
        frames = self.frames(heard)
        told = b"\n".join(frames)
        for field in (*TEXTS, *LISTS, "later"):
            for audience in AUDIENCES:
                self.assertEqual(canary(field, audience).encode() in told, audience == "organisation",
                                 f"{field} for {audience}")
        self.assertIn(ASKED.encode(), told)  # the others asked it, too; but who can do it is in no answer
        answers = b"".join(self.answers(heard))
        self.assertIn(b"uorganisation", answers)
        for audience in ("office", "match", "me"):
            self.assertNotIn(f"u{audience}".encode(), answers)
        self.assert_says_nothing()

    def assert_says_nothing(self):
        """No log, metric or status of any office has what people wrote, asked or looked for."""
        for office in self.daemons:
            said = [office.call(method) for method in ("node.status", "node.metrics", "offices.list", "office.show")]
            for where, text in (("log", office.log().lower()), ("answers", repr(said).lower())):
                for word in (*(canary(f, a) for f in (*TEXTS, *LISTS, "later") for a in AUDIENCES), ASKED, "zqweldingwx",
                             "zqhullwx", *(f"u{a}" for a in AUDIENCES)):
                    self.assertNotIn(word, text, f"{where} of {office.name}")

    def test_nothing_can_be_read_on_the_way(self):
        with socket.create_server(("127.0.0.1", 0)) as server:  # that it would be seen
            with socket.create_connection(server.getsockname()) as one, server.accept()[0] as other:
                seed = random.SystemRandom().randbytes(12).hex()
                one.sendall(f"zqseen{seed}wx".encode())
                other.recv(1)
        for audience in AUDIENCES:
            self.write(self.leeds, audience)
        self.live()
        self.york.restart()
        harness.wait_linked(self.daemons)
        self.capture.end()
        said = self.capture.said().lower()
        self.assertIn(f"zqseen{seed}wx".encode(), said)
        self.assertGreater(len(said), 50000, "offices said so little: this would prove nothing")
        secret = [canary(field, audience) for field in (*TEXTS, *LISTS, "later") for audience in AUDIENCES]
        for text in (*secret, ASKED, "zqweldingwx", "zqhullwx", *(f"u{a}" for a in AUDIENCES)):
            self.assertNotIn(text.encode(), said)


if __name__ == "__main__":
    harness.main()
