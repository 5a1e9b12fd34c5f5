#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Noise implementation that is not ours speaks to a real daemon by docs/links.md: it completes the handshake when it
knows the organisation's secret, is refused without a certificate, and gets no byte without the secret.

tests/foreign/package-lock.json pins it and all it needs, with their hashes. npm fetches it into the build directory;
the test is skipped where there is no npm, or no way to its registry."""
import base64
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

import msgpack

import harness

FOREIGN = harness.ROOT / "tests" / "foreign"
FETCHED = harness.BUILD / "foreign"
PROTOCOL = "Noise_XX_25519_ChaChaPoly_BLAKE2b"
HELLO, PING, PONG = 1, 2, 3
NO_NETWORK = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|"
                        r"ERR_SOCKET_TIMEOUT|FETCH_ERROR|code E5\d\d|EPROTO|CERT")


def node():
    """The interpreter, or a reason why there is none that will do."""
    path = shutil.which("node") or shutil.which("nodejs")
    if path is None or shutil.which("npm") is None:
        raise unittest.SkipTest("needs node and npm: sh packaging/dependencies install test")
    version = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < 18:
        raise unittest.SkipTest(f"needs node 18, and this is {version.strip()}")
    return path


def fetch():
    """node_modules as the lock file says, in the build directory, unless they are there already."""
    lock = (FOREIGN / "package-lock.json").read_bytes()
    stamp, want = FETCHED / "lock.sha256", hashlib.sha256(lock).hexdigest()
    if stamp.exists() and stamp.read_text() == want:
        return
    shutil.rmtree(FETCHED, ignore_errors=True)
    FETCHED.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(FOREIGN / name, FETCHED)
    # nothing that is fetched runs while it is installed, and what differs from its hash is refused
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                           "--cache", str(FETCHED / "cache")],
                          cwd=FETCHED, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=300, check=False)
    shutil.rmtree(FETCHED / "cache", ignore_errors=True)
    if done.returncode != 0:
        if "EINTEGRITY" not in done.stdout and NO_NETWORK.search(done.stdout):
            raise unittest.SkipTest("npm cannot reach its registry: " + done.stdout.strip().splitlines()[-1])
        raise AssertionError(f"npm ci: {done.stdout}")
    stamp.write_text(want)


def setUpModule():
    global NODE
    NODE = node()
    harness.BUILD.mkdir(parents=True, exist_ok=True)
    with (harness.BUILD / "foreign.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        fetch()


class Invitation:
    """The parts of an invitation that docs/certificates.md lists."""

    def __init__(self, line):
        text = line.split(":", 1)[1]
        parts = msgpack.unpackb(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        self.org_id, self.secret, self.certificate, self.link_secret = parts[1], parts[4], parts[5], parts[7]


class Peer:
    """tests/foreign/peer.js at one job."""

    def __init__(self, case, **job):
        environment = dict(os.environ, NODE_PATH=str(FETCHED / "node_modules"))
        self.process = subprocess.Popen([NODE, str(FOREIGN / "peer.js")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        case.addCleanup(self.end)
        job = {k: v.hex() if isinstance(v, bytes) else v for k, v in job.items()}
        job["frames"] = [frame.hex() for frame in job.get("frames", [])]
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def said(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"peer.js said nothing more: {self.process.stderr.read()}")
        return json.loads(line)

    def end(self):
        """Let go of the link, if it holds one."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(harness.PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def introduction(certificate):
    return msgpack.packb([1, 1, certificate, b""])  # there was no rotation


def link_key(certificate):
    return msgpack.unpackb(msgpack.unpackb(certificate)[0])[5]


class Foreign(harness.Case):
    def setUp(self):
        super().setUp()
        self.org = self.organisation()
        self.leeds, = self.offices("leeds", organisation=self.org)
        self.york = Invitation(self.org.invite("york"))
        self.port = int(self.leeds.address().rsplit(":", 1)[1])

    def connect(self, payload, secret=True, **more):
        return Peer(self, role="initiator", port=self.port, org_id=self.york.org_id, payload=payload,
                    secret=self.york.secret if secret is True else secret, **more)

    def accept(self, payload, **more):
        """A peer that listens, and that leeds is told to dial."""
        peer = Peer(self, role="responder", org_id=self.york.org_id, secret=self.york.secret, payload=payload, **more)
        port = peer.said()["listening"]
        self.leeds.config_path.write_text(f"[whocan]\njoin = 127.0.0.1:{port}\n")
        self.leeds.signal(1)
        return peer

    def other_organisation(self):
        directory = self.directory / "other"
        directory.mkdir()
        return Invitation(harness.Organisation(directory, "Other Council").invite("york"))

    def unwelcome(self):
        """Introductions that must not open a link, each with the link secret that goes with it."""
        body, signature = msgpack.unpackb(self.york.certificate)
        fields = msgpack.unpackb(body)
        fields[2] = "hull"  # self-made: york's certificate under another name, and its old signature
        yield "no certificate", msgpack.packb([1, 1]), None
        yield "an empty certificate", introduction(b""), None
        yield "a self-made certificate", introduction(msgpack.packb([msgpack.packb(fields), signature])), \
            self.york.link_secret
        other = self.other_organisation()
        yield "another organisation's", introduction(other.certificate), other.link_secret
        yield "a stolen one", introduction(self.york.certificate), None

    def assert_refused(self):
        """leeds has no link, and is none the worse."""
        self.assertEqual(self.leeds.status()["links"], [])
        self.assertEqual(list(self.leeds.offices()), ["leeds"])

    def test_the_handshake_completes_and_then_a_certificate_is_wanted(self):
        for count, (what, payload, static_secret) in enumerate(self.unwelcome(), 1):
            with self.subTest(what):
                said = self.connect(payload, static_secret=static_secret).said()
                self.assertEqual((said["protocol"], said["complete"]), (PROTOCOL, True))
                shown = bytes.fromhex(said["payload"])
                low, high, certificate = msgpack.unpackb(shown)[:3]
                self.assertEqual((low, high), (1, 1))
                self.assertEqual(link_key(certificate).hex(), said["remote_static"])
                # message 2 was all: its length, two keys of which one is sealed, the sealed payload
                self.assertEqual(said["received_bytes"], 2 + 32 + 48 + len(shown) + 16)
                harness.wait(lambda n=count: self.leeds.log().count("turned away an office at 127.0.0.1") == n,
                             f"leeds says why: {what}", alive=[self.leeds])
                self.assert_refused()

    def test_without_the_secret_there_is_not_one_byte(self):
        for what, secret in (("none", None), ("another", bytes(32)), ("of others", self.other_organisation().secret)):
            with self.subTest(what):
                said = self.connect(introduction(self.york.certificate), secret=secret,
                                    static_secret=self.york.link_secret).said()
                self.assertEqual((said["complete"], said["received_bytes"]), (False, 0))
        self.assert_refused()

    def test_another_organisations_prologue_is_not_ours(self):
        """With the secret and another organisation id the MAC is right, and message 2 cannot be read."""
        said = Peer(self, role="initiator", port=self.port, org_id=bytes(16), secret=self.york.secret,
                    payload=introduction(self.york.certificate), static_secret=self.york.link_secret).said()
        self.assertIn("error", said)
        self.assert_refused()

    def frames(self):
        now = int(time.time() * 1000)
        return [msgpack.packb([HELLO, now]), msgpack.packb([PING, now, 4711])]

    def assert_talks(self, peer):
        """The peer is york: frames pass both ways."""
        said = peer.said()
        self.assertEqual((said.get("protocol"), said.get("complete")), (PROTOCOL, True), said)
        frames = [msgpack.unpackb(bytes.fromhex(frame), strict_map_key=False) for frame in said["frames"]]
        self.assertEqual((frames[0][0], len(frames[0])), (HELLO, 2))
        self.assertEqual((frames[-1][0], frames[-1][2]), (PONG, 4711))
        self.assertEqual([link["office"] for link in self.leeds.status()["links"]], ["york"])
        self.assertEqual(self.leeds.offices()["york"]["state"], "linked")
        peer.end()
        harness.wait(lambda: not self.leeds.status()["links"], "the link is gone", alive=[self.leeds])

    def test_with_a_certificate_it_is_an_office(self):
        self.assert_talks(self.connect(introduction(self.york.certificate), static_secret=self.york.link_secret,
                                       frames=self.frames(), until=PONG, hold=True))

    def test_the_daemon_dials_and_shows_nothing_without_a_certificate(self):
        for what, payload, static_secret in self.unwelcome():
            with self.subTest(what):
                said = self.accept(payload, static_secret=static_secret).said()
                # message 1 and no more: who leeds is stands in message 3
                self.assertEqual((said["mac_is_right"], said["complete"], said["received_bytes"]), (True, False, 50))
                self.assert_refused()

    def test_the_daemon_dials_an_office(self):
        self.assert_talks(self.accept(introduction(self.york.certificate), static_secret=self.york.link_secret,
                                      frames=self.frames(), until=PONG, hold=True))

    def test_a_range_of_versions_without_overlap_ends_it(self):
        said = self.connect(msgpack.packb([200, 201, self.york.certificate, b""]), static_secret=self.york.link_secret,
                            until=HELLO).said()
        self.assertEqual((said["complete"], said["frames"]), (True, []))
        harness.wait(lambda: "turned away an office" in self.leeds.log(), "leeds says so", alive=[self.leeds])
        self.assertIn("version", [line for line in self.leeds.log().splitlines() if "turned away" in line][-1])
        self.assert_refused()


if __name__ == "__main__":
    unittest.main()
