#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates are renewed, and the organisation gets another key, while the offices go on."""
import json
import subprocess
import unittest

import harness
from harness import row, wait, wait_linked, wait_same_people


class Three(harness.Case):
    """leeds, york and hull, linked, with one person each."""

    days = None

    def setUp(self):
        super().setUp()
        self.council = self.organisation()
        self.recovery = self.council.key.with_suffix(".recovery")
        self.leeds, self.york, self.hull = self.all = self.offices("leeds", "york", "hull", organisation=self.council)
        for daemon in self.all:
            daemon.import_rows([row(f"alice.{daemon.name}", skills=["welding"])])
        wait_same_people(self.all, 3)

    def rotate(self, daemon, output, *flags, status=0):
        done = subprocess.run(
            [str(harness.WHOCAN), "org", "rotate", "--recovery", str(self.recovery), "--output", str(output),
             "--passphrase-file", str(self.council.passphrase), "--socket", str(daemon.socket), *flags],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=harness.PATIENCE_S, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def serial(self, daemon):
        return daemon.call("office.show")["serial"]

    def key(self, daemon):
        return daemon.call("org.known")["key"]

    def all_well(self):
        wait_linked(self.all)
        wait_same_people(self.all, 3)
        for daemon in self.all:
            self.assertFalse([w for w in daemon.status()["warnings"] if "new key" in w])


class Renewal(Three):
    def test_an_office_is_renewed_from_afar(self):
        self.council.run("org", "renew", "hull", "--days", "5", "--socket", str(self.leeds.socket))
        wait(lambda: (self.hull.status()["certificate"]["days_left"] or 999) < 6, "hull has 5 days left",
             alive=self.all)
        wait(lambda: any("ends in" in w for w in self.hull.status()["warnings"]), "hull warns", alive=self.all)
        told = self.council.run("org", "renew", "hull", "--days", "365", "--quota", "7", "--socket",
                                str(self.leeds.socket))
        self.assertIn("hull: until", told)
        wait(lambda: self.hull.status()["certificate"]["days_left"] in (364, 365), "hull has a year left",
             alive=self.all)
        self.assertEqual(self.hull.call("office.show")["quota"], 7)
        self.assertFalse([w for w in self.hull.status()["warnings"] if "ends in" in w])
        ends = self.hull.call("office.show")["not_after"]
        wait(lambda: self.york.offices()["hull"]["expires_at"] == ends, "york knows", alive=self.all)
        serial = self.serial(self.hull)
        self.hull.restart()
        self.assertEqual(self.serial(self.hull), serial)
        self.all_well()

    def test_all_are_renewed_by_lines(self):
        lines = self.council.run("org", "renew", "--all", "--days", "100", "--print")
        self.assertEqual(lines.count("whocan-statement-1:"), 1)
        done = harness.whocan(self.york, "org", "publish", "-", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        for daemon in self.all:
            wait(lambda d=daemon: d.status()["certificate"]["days_left"] in (99, 100), f"{daemon.name} is renewed",
                 alive=self.all)
        self.all_well()


class Rotation(Three):
    def check_rotated(self, output, former):
        for daemon in self.all:
            wait(lambda d=daemon: self.key(d) != former, f"{daemon.name} has the new key", alive=self.all)
        self.all_well()
        # offices are admitted by the new key, and by it alone
        self.council.key = output
        bradford = self.daemon("bradford", flags=["--join", self.leeds.address()])
        bradford.call("office.join", invite=self.council.invite("bradford"))
        wait_linked([*self.all, bradford])

    def test_the_key_changes_while_one_is_off(self):
        former, old = self.key(self.leeds), self.council.key
        self.hull.stop()
        output = self.directory / "second.key"
        told = self.rotate(self.leeds, output, "--key", str(old))
        for name in ("leeds", "york", "hull"):
            self.assertIn(f"  {name}: until", told)
        wait(lambda: self.key(self.york) != former, "york has the new key", alive=[self.leeds, self.york])
        self.hull.start()
        self.check_rotated(output, former)
        serials = [self.serial(daemon) for daemon in self.all]
        for daemon in self.all:
            daemon.restart()
        self.all_well()
        self.assertEqual([self.serial(daemon) for daemon in self.all], serials)
        # who has the former key gets nobody in, and revokes nobody
        self.council.key = old
        thief = self.daemon("thief", flags=["--join", self.leeds.address()])
        thief.call("office.join", invite=self.council.invite("thief"))
        wait(lambda: "former key" in self.leeds.log(), "leeds turns the thief away", alive=self.all)
        self.assertFalse(thief.status()["links"])
        self.assertNotIn("thief", self.leeds.offices())
        line = self.council.run("org", "revoke", "york", "--print").strip().splitlines()[-1]
        with self.refused("DENIED", "statement"):
            self.leeds.call("org.submit", statement=line)

    def test_the_key_file_is_lost(self):
        former = self.key(self.leeds)
        output = self.directory / "second.key"
        self.rotate(self.york, output, "--from-daemon")
        self.check_rotated(output, former)

    def test_no_daemon_is_near(self):
        former = self.key(self.leeds)
        output = self.directory / "second.key"
        told = json.loads(self.rotate(self.leeds, output, "--key", str(self.council.key), "--print", "--json"))
        self.assertFalse(told["handed"])
        self.assertEqual(self.key(self.leeds), former)
        done = harness.whocan(self.york, "org", "publish", "--file", told["statements_file"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_rotated(output, former)

    def test_a_recovery_line_must_be_right(self):
        text = self.recovery.read_text()
        self.recovery.write_text(text[:60] + ("A" if text[60] != "A" else "B") + text[61:])
        output = self.directory / "second.key"
        told = self.rotate(self.leeds, output, "--key", str(self.council.key), status=2)
        self.assertIn("typing error", told)
        self.recovery.write_text(text)
        (self.directory / "other").mkdir()
        other = harness.Organisation(self.directory / "other", "Other Council")
        told = self.rotate(self.leeds, output, "--key", str(other.key), status=2)
        self.assertIn("another organisation", told)
        self.assertFalse(output.exists())


if __name__ == "__main__":
    unittest.main()
