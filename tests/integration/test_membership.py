#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who is an office of the organisation: the register, revocation."""
import json
import subprocess
import time
import unittest

import harness
from harness import row, wait, wait_linked, wait_same_people


class Membership(harness.Case):
    """leeds, york and hull, linked, with two people each."""

    def setUp(self):
        super().setUp()
        self.council = self.organisation()
        self.leeds, self.york, self.hull = self.all = self.offices("leeds", "york", "hull", organisation=self.council)
        for daemon in self.all:
            daemon.import_rows([row(f"alice.{daemon.name}", skills=[{"name": "blogging", "level": "expert"}]),
                                row(f"bob.{daemon.name}", skills=["welding"])])
        wait_same_people(self.all, 6)

    def register(self):
        return json.loads(self.listed("--json"))["offices"]

    def listed(self, *flags):
        """No passphrase is asked for."""
        return subprocess.run([str(harness.WHOCAN), "org", "list", "--key", str(self.council.key), *flags],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
                              timeout=harness.PATIENCE_S).stdout

    def revoke(self, who, daemon, *flags):
        return self.council.run("org", "revoke", who, "--socket", str(daemon.socket), *flags)

    def gone(self, daemon):
        """hull is out at this office."""
        hull = daemon.offices().get("hull")
        return (not any(link["office"] == "hull" for link in daemon.status()["links"])
                and (hull is None or hull["state"] == "revoked")
                and not [h for h in daemon.people(all=True) if h.endswith("@hull")]
                and not [h for h in daemon.handles("blogging") if h.endswith("@hull")]
                and not [h for h in daemon.handles("welding") if h.endswith("@hull")])

    def refuses(self, command, *words):
        """What a command says on standard error when it fails."""
        done = subprocess.run([str(harness.WHOCAN), *command, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=harness.PATIENCE_S, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr


class Register(Membership):
    def test_every_certificate_is_listed(self):
        offices = self.register()
        self.assertEqual([(o["name"], o["serial"], o["state"]) for o in offices],
                         [("hull", 3, "current"), ("leeds", 1, "current"), ("york", 2, "current")])
        self.assertEqual(offices[1]["key"], self.leeds.call("office.show")["key"])
        self.assertEqual({o["days_left"] for o in offices} | {729, 730}, {729, 730})
        table = self.listed()
        self.assertRegex(table, r"(?m)^OFFICE +TITLE +STATE +SERIAL +FROM +UNTIL +DAYS +PEOPLE +KEY$")
        self.assertRegex(table, rf"(?m)^hull +hull +current +3 +.*{offices[0]['key'][:8]}")
        # a machine is lost, and its office invited again: its old certificate is replaced
        self.council.invite("hull")
        self.assertEqual([(o["serial"], o["state"]) for o in self.register() if o["name"] == "hull"],
                         [(4, "current"), (3, "replaced")])


class Revocation(Membership):
    def test_a_revoked_office_is_gone_within_seconds_and_for_ever(self):
        told = self.revoke("hull", self.leeds)
        self.assertIn("\"hull\" is revoked (1 key)", told)
        begun = time.monotonic()
        for daemon in (self.leeds, self.york):
            wait(lambda d=daemon: self.gone(d), f"{daemon.name} is rid of hull", patience_s=5, alive=self.all)
        self.assertLess(time.monotonic() - begun, 5)
        # the revoked office knows, says so, and keeps its own people to itself
        wait(lambda: any("revoked this office" in w for w in self.hull.status()["warnings"]), "hull knows",
             patience_s=5, alive=self.all)
        self.assertIn("the organisation revoked this office", self.hull.log())
        self.assertEqual(self.hull.status()["links"], [])
        self.assertIn("alice.hull@hull", self.hull.people(all=True))
        self.assertEqual([o["state"] for o in self.register() if o["name"] == "hull"], ["revoked"])
        # nothing of it comes back: by a restart of any of them
        for daemon in self.all:
            daemon.restart()
        wait_linked([self.leeds, self.york])
        with self.refused("REVOKED"):
            self.hull.call("me.set", name="Root Example", skills=["beekeeping"])
        for daemon in (self.leeds, self.york):
            self.assertTrue(self.gone(daemon), f"{daemon.name} is still rid of hull")
        self.assertIn("the organisation revoked this office", self.hull.log())

    def test_whoever_was_off_learns_of_it(self):
        """hull and york are off while it is revoked; york learns by reconciling, hull by being turned away."""
        self.york.stop()
        self.hull.stop()
        self.revoke("hull", self.leeds)
        wait(lambda: self.gone(self.leeds), "leeds is rid of hull", patience_s=5, alive=[self.leeds])
        # hull alone with york would be believed still; with leeds there nothing helps it
        self.hull.start()
        wait(lambda: any("revoked this office" in w for w in self.hull.status()["warnings"]), "hull is told",
             alive=[self.leeds, self.hull])
        self.york.start()
        wait(lambda: self.gone(self.york), "york is rid of hull", alive=self.all)
        self.assertTrue(self.gone(self.leeds))

    def test_a_line_is_published_by_any_office(self):
        line = self.revoke("hull", self.leeds, "--print").strip()
        self.assertRegex(line, r"^whocan-statement-1:[\w-]+$")
        self.assertEqual(len(self.leeds.people(all=True)), 6)  # nothing has happened yet
        publish = [str(harness.WHOCAN), "org", "publish", "--socket", str(self.york.socket)]
        done = subprocess.run([*publish, "-"], input=line + "\n", capture_output=True, text=True,
                              timeout=harness.PATIENCE_S, check=True)
        self.assertIn("Published", done.stdout)
        for daemon in (self.leeds, self.york):
            wait(lambda d=daemon: self.gone(d), f"{daemon.name} is rid of hull", patience_s=5, alive=self.all)
        done = subprocess.run([*publish, line], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=harness.PATIENCE_S, check=True)
        self.assertIn("knew it already", done.stdout)
        # a key in hexadecimal does as well; where no daemon answers, the line is printed
        key = self.york.call("office.show")["key"]
        printed = self.council.run("org", "revoke", key, "--socket", str(self.directory / "nobody"))
        self.assertRegex(printed, r"^whocan-statement-1:")

    def test_what_the_organisation_did_not_sign_counts_for_nothing(self):
        other = harness.Organisation(self.directory_of("other"))
        other.invite("hull")
        line = other.run("org", "revoke", "hull", "--print").strip()
        self.assertIn("was not signed by the organisation of this office",
                      self.refuses(["org", "publish", "--socket", str(self.leeds.socket)], line))
        good = self.revoke("hull", self.leeds, "--print").strip()
        damaged = good[:60] + ("A" if good[60] != "A" else "B") + good[61:]
        self.refuses(["org", "publish", "--socket", str(self.leeds.socket)], damaged)
        self.refuses(["org", "publish", "--socket", str(self.leeds.socket)], good[:-10])
        self.assertEqual(len(self.leeds.people(all=True)), 6)
        self.assertIn("no office \"durham\" is in the register", self.refuses(
            ["org", "revoke", "durham", "--key", str(self.council.key), "--passphrase-file",
             str(self.council.passphrase)]))

    def directory_of(self, name):
        path = self.directory / name
        path.mkdir()
        return path


class Admission(harness.Case):
    """An office that has people already asks, and keeps its keys and its records."""

    def setUp(self):
        super().setUp()
        self.council = self.organisation()
        self.leeds, = self.offices("leeds", organisation=self.council, linked=False)
        self.york = self.daemon("york", flags=["--join", self.leeds.address()])
        self.york.import_rows([row(f"person{i}", skills=["weaving"]) for i in range(20)])
        self.york.call("me.set", name="Root Example", skills=["beekeeping"])

    def whocan(self, *words, daemon=None, status=0, text=None):
        command = [str(harness.WHOCAN), *words]
        if daemon is not None:
            command += ["--socket", str(daemon.socket)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=harness.PATIENCE_S,
                              check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def admit(self, request, *flags):
        done = self.whocan("org", "admit", request, "--key", str(self.council.key), "--passphrase-file",
                           str(self.council.passphrase), *flags)
        return done.stdout.strip(), done.stderr

    def test_an_admitted_office_keeps_every_record(self):
        done = self.whocan("office", "request", "--name", "york-city", "--title", "York Guildhall", daemon=self.york)
        request, key = done.stdout.strip(), self.york.call("office.show")["key"]
        self.assertRegex(request, r"^whocan-request-1:[\w-]+$")
        self.assertIn(key, done.stderr)
        admission, shown = self.admit(request)
        self.assertIn(key, shown)
        self.assertIn('"york-city" (York Guildhall) for 730 days', shown)
        self.assertRegex(admission, r"^whocan-admission-1:[\w-]+$")
        done = self.whocan("office", "join", "-", daemon=self.york, text=admission + "\n")
        self.assertIn('"york-city" of Borough Council', done.stdout)
        self.assertIn("21 profiles came along", done.stdout)
        self.york.name = "york-city"
        wait_linked([self.leeds, self.york])
        wait_same_people([self.leeds, self.york], 21)
        self.assertEqual(self.york.call("office.show")["key"], key)
        # the handles have another office; that the records are the same bytes tests/unit/test_engine.c shows
        self.assertIn("person7@york-city", self.leeds.people(all=True))
        wait(lambda: self.leeds.handles("beekeeping") == ["root@york-city"], "leeds finds root",
             alive=[self.leeds, self.york])
        self.york.restart()
        wait_linked([self.leeds, self.york])
        self.assertEqual(self.york.handles("beekeeping"), ["root@york-city"])

    def test_a_short_certificate_has_the_stamps_renewed(self):
        request = self.york.call("office.request", name="york")["request"]
        admission, _ = self.admit(request, "--days", "20")
        self.york.call("office.join", invite=admission)
        wait_linked([self.leeds, self.york])
        wait_same_people([self.leeds, self.york], 21)

    def test_an_admission_is_for_nobody_else(self):
        hull = self.daemon("hull")
        request = self.york.call("office.request")["request"]
        admission, _ = self.admit(request, "--name", "york", "--title", "York")
        with self.refused("DENIED", "invite"):
            hull.call("office.join", invite=admission)
        for at in range(30, len(admission), 7):
            changed = admission[:at] + ("A" if admission[at] != "A" else "B") + admission[at + 1:]
            with self.assertRaises(harness.RpcError):
                self.york.call("office.join", invite=changed)
        self.assertEqual(self.york.status()["mode"], "standalone")
        self.york.call("office.join", invite=admission)
        with self.refused("EXISTS"):
            self.york.call("office.request")
        changed = request[:80] + ("A" if request[80] != "A" else "B") + request[81:]
        done = self.whocan("org", "admit", changed, "--key", str(self.council.key), "--passphrase-file",
                           str(self.council.passphrase), status=2)
        self.assertIn("this request", done.stderr)


class Standalone(harness.Case):
    def test_an_office_that_stands_alone_takes_no_statement(self):
        leeds = self.daemon("leeds")
        council = self.organisation()
        council.invite("hull")
        line = council.run("org", "revoke", "hull", "--print").strip()
        with self.refused("ORGANISATION"):
            leeds.call("org.submit", statement=line)


if __name__ == "__main__":
    unittest.main()
