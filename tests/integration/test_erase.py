#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who is erased is gone: from every file of every office, free pages included."""
import os
import pwd
import random
import re
import unittest

import msgpack

import harness
import screen
from harness import row, wait, wait_linked, wait_same_people

# In each place where somebody can write; no part of a word of anything else. The index keeps lower case.
CANARY = {field: f"zq{field.replace('_', '')}wx" for field in
          ("name", "title", "team", "skill", "interests", "ask_me_about", "phone", "ask", "row", "email")}


def files_with(daemons, text):
    """The files of these offices that hold a text, any case."""
    found = []
    for daemon in daemons:
        for path in sorted(daemon.directory.rglob("*")):
            if path.is_file() and re.search(re.escape(text.encode()), path.read_bytes(), re.IGNORECASE):
                found.append(str(path.relative_to(daemon.directory.parent)))
    return found


class Case(harness.Case):
    """leeds, york and hull, linked; root has a profile at leeds with a canary in every field."""

    INTERVAL = "3600"

    def setUp(self):
        super().setUp()
        self.leeds, self.york, self.hull = self.all = self.offices(
            "leeds", "york", "hull", flags=["--erase-interval", self.INTERVAL])
        self.leeds.import_rows([row(f"colleague{i}", skills=["welding"], ask_me_about=f"pipe {i} " * 20)
                                for i in range(60)])
        self.leeds.import_rows([row("root", team=CANARY["row"])])
        self.write()
        self.york.import_rows([row("alice", skills=["welding"])])
        wait_same_people(self.all, 62)

    def write(self):
        self.leeds.call("me.set", name=CANARY["name"], title=CANARY["title"], team=CANARY["team"],
                        skills=[{"name": CANARY["skill"], "level": "expert"}], interests=[CANARY["interests"]],
                        ask_me_about=" ".join([CANARY["ask_me_about"]] * 40), phone=CANARY["phone"],
                        email=CANARY["email"] + "@example.org")

    def found_everywhere(self):
        wait(lambda: all(d.handles(CANARY["skill"]) == ["root@leeds"] for d in self.all), "all find root", alive=self.all)

    def complete(self, whose="root", asker=None):
        return (asker or self.leeds).call("people.erasure", handle=whose)["complete"]

    def assert_gone(self, daemons=None):
        for field, text in CANARY.items():
            self.assertEqual(files_with(daemons or self.all, text), [], field)


class Erasing(Case):
    def test_nothing_of_them_is_left_in_any_file(self):
        self.found_everywhere()
        with self.york.client() as client:
            client.ask(f"who knows {CANARY['ask']}?")
        with self.leeds.client() as client:
            client.ask(f"who knows {CANARY['ask']}?")
        for field in ("name", "title", "skill", "interests", "ask_me_about"):
            for place in ("records", "index"):
                self.assertEqual(len([f for f in files_with(self.all, CANARY[field]) if f"/{place}/" in f]), 3,
                                 f"{field} stands in the {place} of every office, or this would prove nothing")
        self.assertEqual(len([f for f in files_with(self.all, CANARY["row"]) if "/records/" in f]), 3)

        said = self.leeds.call("me.erase")
        self.assertEqual((said["handle"], said["records"], said["offices_known"]), ("root@leeds", 2, 3))
        with self.refused("NOTFOUND", "handle"):
            self.leeds.call("people.show", handle="root")
        wait(self.complete, "every office has completed it", alive=self.all)
        self.assert_gone()
        status = self.leeds.call("me.erasure")
        self.assertEqual([(o["name"], o["state"], o["linked"]) for o in status["offices"]],
                         [("hull", "done", True), ("leeds", "done", True), ("york", "done", True)])
        self.assertRegex(status["requested_at"], r"^20\d\d-.*Z$")

        # everybody else is there, and it stays so after a restart
        for daemon in self.all:
            self.assertEqual(len(daemon.people(all=True)), 61)
            self.assertEqual(daemon.call("people.find", query="welding")["total"], 61)
            self.assertEqual(daemon.handles(CANARY["skill"]), [])
        self.york.restart()
        self.leeds.restart()
        wait_linked(self.all)
        self.assert_gone()
        self.assertTrue(self.complete())
        self.assertEqual(len(self.york.people(all=True)), 61)
        self.assertEqual(self.leeds.call("me.erase")["records"], 2)  # there is nothing more to erase

    def test_an_office_that_was_off_takes_it_when_it_returns(self):
        self.found_everywhere()
        self.hull.stop()
        self.assertEqual(self.leeds.call("people.erase", handle="root@leeds")["handle"], "root@leeds")
        wait(lambda: self.leeds.call("me.erasure")["offices_done"] == 2, "two offices have", alive=[self.leeds, self.york])
        self.assert_gone([self.leeds, self.york])
        self.assertTrue(files_with([self.hull], CANARY["skill"]))
        off = {o["name"]: o for o in self.leeds.call("me.erasure")["offices"]}["hull"]
        self.assertEqual((off["state"], off["linked"]), ("waiting", False))
        self.hull.start()
        wait(self.complete, "hull has completed it", alive=self.all)
        self.assert_gone()

    def test_the_command_erases_and_waits(self):
        self.found_everywhere()
        done = harness.whocan(self.leeds, "erase")
        self.assertEqual(done.returncode, 2, done.stderr)  # nobody to ask, and no --yes
        self.assertIn("--yes", done.stderr)
        self.assertEqual(harness.whocan(self.leeds, "erase", "--status").returncode, 4)
        done = harness.whocan(self.leeds, "erase", "--yes", "--wait", "60")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 of 3 offices", done.stdout)
        self.assert_gone()
        done = harness.whocan(self.york, "erase", "alice", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = harness.whocan(self.york, "erase", "alice@leeds", "--yes")
        self.assertEqual(done.returncode, 4)
        self.assertIn("another office", done.stderr)
        done = harness.whocan(self.york, "erase", "nobody.here", "--yes")
        self.assertEqual(done.returncode, 4)
        self.assertIn("nothing is held", done.stderr)
        self.assertIn("leeds", harness.whocan(self.york, "erase", "alice", "--status").stdout)

    def test_the_command_asks_on_a_terminal(self):
        self.found_everywhere()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_"))}

        def run(*words, typed):
            terminal = screen.Terminal([harness.WHOCAN, "--socket", self.leeds.socket, "erase", *words], environment,
                                       columns=200)
            self.addCleanup(terminal.close)
            terminal.until("Type yes to go on:").type(typed)
            return terminal.end(), " ".join(terminal.screen.text.split())

        for typed in ("no\n", "\n", "y\n", "yes please\n", "\x04"):
            status, said = run(typed=typed)
            self.assertEqual(status, 2, said)
            self.assertIn("everything about you is deleted in every office, and cannot be brought back", said)
            self.assertIn("not confirmed: nothing is deleted", said)
        status, said = run("colleague7", typed="no\n")
        self.assertEqual(status, 2, said)
        self.assertIn("everything about colleague7 is deleted in every office", said)
        self.found_everywhere()
        self.assertIn("colleague7@leeds", self.leeds.people(all=True))
        status, said = run(typed="yes\n")
        self.assertEqual(status, 0, said)
        self.assertIn("root@leeds was erased", said)
        wait(self.complete, "every office has completed it", alive=self.all)
        self.assert_gone()

    def test_nobody_is_asked_where_the_question_would_not_be_seen(self):
        terminal = screen.Terminal([harness.WHOCAN, "--socket", self.leeds.socket, "erase"], dict(os.environ), stderr=False)
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.end(), 2)
        self.assertIn(b"--yes", terminal.process.stderr.read())
        self.found_everywhere()

    def test_an_office_that_keeps_nobody_elses_records_takes_it_too(self):
        self.found_everywhere()
        self.hull.stop()
        self.hull.flags.append("--replicate=no")  # what it holds of others goes
        self.hull.start()
        wait_linked(self.all)
        wait(lambda: set(self.hull.people(all=True)) == set(), "hull keeps nobody of other offices", alive=self.all)
        self.leeds.call("me.erase")
        wait(self.complete, "every office has completed it", alive=self.all)
        self.assertEqual({o["name"]: o["state"] for o in self.leeds.call("me.erasure")["offices"]},
                         {"hull": "done", "leeds": "done", "york": "done"})
        self.assert_gone()
        self.hull.restart()
        wait_linked(self.all)
        self.assertTrue(self.complete())
        self.assert_gone()

    def test_what_was_erased_can_come_again(self):
        self.leeds.call("me.erase")
        wait(self.complete, "every office has completed it", alive=self.all)
        self.write()
        self.found_everywhere()
        self.assertTrue(self.complete())  # the note is about the one that was

    def test_an_office_alone_erases_too(self):
        attic = self.daemon("attic")
        attic.call("me.set", name="Root", skills=[CANARY["skill"]])
        self.assertTrue(files_with([attic], CANARY["skill"]))
        attic.call("me.erase")
        wait(lambda: attic.call("me.erasure")["complete"], "it has completed it", alive=[attic])
        self.assertEqual(files_with([attic], CANARY["skill"]), [])
        with self.refused("NOTFOUND"):
            attic.call("people.erase", handle="alice")
        with self.refused("NOTFOUND"):
            attic.call("people.erasure", handle="alice")


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Login(harness.Case):
    """Not only what they wrote: the login itself, which names what is erased, is in no file afterwards."""

    LOGIN = "zqloginwx"

    def setUp(self):
        super().setUp()
        [self.uid] = harness.free_uids(1)
        accounts = harness.Accounts(self.directory, **{self.LOGIN: self.uid})
        self.leeds, self.york, self.hull = self.all = self.offices(
            "leeds", "york", "hull", wrapper=accounts.wrapper, flags=["--erase-interval", "0"])
        self.write("welding")
        wait_same_people(self.all, 2)

    def write(self, skill):
        self.leeds.import_rows([row(self.LOGIN, title=f"Head of {skill}"), row("bystander", skills=["welding"])])
        message = as_uid(self.uid, self.leeds, "me.set", {"name": "Anna", "skills": [skill]})
        self.assertIsNone(message[2])

    def places(self, daemon):
        """Its records, its index, or both."""
        return {kind for kind in ("records", "index") for f in files_with([daemon], self.LOGIN) if f"/{kind}/" in f}

    def complete(self):
        return self.leeds.call("people.erasure", handle=self.LOGIN)["complete"]

    def revs(self):
        held = self.leeds.call("people.about", handle=self.LOGIN)
        return held["row"]["rev"], held["profile"]["rev"]

    def test_no_file_has_the_login(self):
        message = as_uid(self.uid, self.leeds, "ask.create", {"text": "who welds?", "wait_ms": 0})
        self.assertIsNone(message[2])
        for daemon in self.all:
            self.assertEqual(self.places(daemon), {"records", "index"}, "or this would prove nothing")
        self.hull.stop()
        self.assertEqual(self.leeds.call("people.erase", handle=self.LOGIN)["handle"], f"{self.LOGIN}@leeds")
        wait(lambda: self.leeds.call("people.erasure", handle=self.LOGIN)["offices_done"] == 2, "two offices have",
             alive=[self.leeds, self.york])
        self.assertEqual(files_with([self.leeds, self.york], self.LOGIN), [])
        self.assertEqual(self.places(self.hull), {"records", "index"})
        self.hull.start()
        wait(self.complete, "hull has completed it", alive=self.all)
        self.assertEqual(files_with(self.all, self.LOGIN), [])
        for daemon in self.all:
            self.assertEqual(daemon.people(all=True).keys(), {"bystander@leeds"})
            daemon.restart()
        wait_linked(self.all)
        self.assertTrue(self.complete())
        self.assertEqual(files_with(self.all, self.LOGIN), [])

        # who knows the login finds what was done, and the same person, or the next one, goes on from there
        held = self.leeds.call("people.about", handle=self.LOGIN)
        self.assertEqual([(held[k]["retired"], held[k]["erased"], held[k]["rev"]) for k in ("row", "profile")],
                         [(True, True, 2)] * 2)
        self.write("weaving")
        wait(lambda: all(d.handles("weaving") == [f"{self.LOGIN}@leeds"] for d in self.all), "all find them again",
             alive=self.all)
        self.assertEqual(self.revs(), (3, 3))
        for daemon in self.all:
            self.assertEqual(daemon.call("people.find", query="welding")["total"], 1)
            self.assertEqual(self.places(daemon), {"records", "index"})


class Interval(Case):

    INTERVAL = "1"

    def test_several_are_completed_together(self):
        for i in range(5):
            self.leeds.call("people.erase", handle=f"colleague{i}")
        wait(lambda: all(self.complete(f"colleague{i}") for i in range(5)), "all five", alive=self.all)
        for daemon in self.all:
            times = len(re.findall("erasures are completed", daemon.log()))
            self.assertLess(times, 5, daemon.log())
        wait_same_people(self.all, 57)


class Export(harness.Case):
    def test_everything_is_exported_and_can_be_taken_along(self):
        leeds = self.daemon("leeds")
        done = harness.whocan(leeds, "me", "export")
        self.assertEqual(done.returncode, 4)
        self.assertIn("nothing is held", done.stderr)
        leeds.import_rows([row("root", team=CANARY["row"]), row("alice")])
        leeds.call("me.set", name="Root", skills=[{"name": CANARY["skill"], "level": "expert"}, "welding"],
                   interests=[CANARY["interests"]], ask_me_about="a\nb", working_days=["mon"], willing=False)
        with leeds.client() as asking:
            asking.send("ask.create", {"text": CANARY["ask"], "wait_ms": 0})
            asking.response()
            held = leeds.call("me.export")
            self.assertEqual((held["format"], held["handle"], held["office"], held["organisation"]),
                             ("whocan-about-1", "root@leeds", "leeds", "leeds"))
            self.assertEqual(held["row"]["fields"], {"handle": "root@leeds", "name": "Root Example", "team": CANARY["row"]})
            self.assertEqual(held["profile"]["fields"]["interests"], [CANARY["interests"]])
            self.assertEqual((held["profile"]["author"], held["profile"]["rev"]), ("office", 1))
            self.assertIn(CANARY["skill"].encode(), held["profile"]["record"])
            for key in ("stamped_at", "expires_at", "confirmed_at"):
                self.assertRegex(held["profile"][key], r"^20\d\d-.*Z$")
        self.assertEqual(leeds.call("people.about", handle="root")["profile"], held["profile"])
        self.assertEqual(leeds.call("people.about", handle="alice@leeds")["profile"], None)
        with self.refused("DENIED", "handle"):
            leeds.call("people.about", handle="alice@york")
        with self.refused("NOTFOUND"):
            leeds.call("people.about", handle="nobody.here")

        text = harness.whocan(leeds, "me", "export").stdout
        for word in (CANARY["skill"], CANARY["interests"], CANARY["row"], "Staff directory", "Profile", "whocan erase"):
            self.assertIn(word, text)
        path = self.directory / "root.json"
        self.assertEqual(harness.whocan(leeds, "me", "export", "--output", path).returncode, 0)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        york = self.daemon("york")
        done = harness.whocan(york, "me", "set", "--json", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        there, here = york.call("me.show")["profile"], leeds.call("me.show")["profile"]
        self.assertEqual({**there, "handle": ""}, {**here, "handle": ""})

        self.assertIn("alice@leeds", harness.whocan(leeds, "export", "--about", "alice").stdout)
        self.assertEqual(harness.whocan(leeds, "export", "--about", "alice", "--all").returncode, 2)
        leeds.call("me.erase")
        held = leeds.call("me.export")
        self.assertEqual((held["profile"]["retired"], held["profile"]["erased"], held["facts"]), (True, True, []))
        self.assertNotIn("fields", held["row"])
        self.assertIn("deleted", harness.whocan(leeds, "me", "export").stdout)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_only_it_reads_and_erases_somebody_else(self):
        leeds = self.daemon("leeds", flags=["--access", "everyone"])
        leeds.import_rows([row("alice")])
        uid = pwd.getpwnam("nobody").pw_uid
        for method in ("people.about", "people.erase", "people.erasure"):
            with self.subTest(method):
                message = as_uid(uid, leeds, method, {"handle": "alice"})
                self.assertEqual(message[2]["code"], "DENIED")
        self.assertIn("alice@leeds", leeds.people())


def as_uid(uid, daemon, method, params):
    """The response to one request of another account."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setresuid(uid, uid, uid)
            with daemon.client() as client:
                os.write(writer, msgpack.packb(client.response(client.send(method, params))))
                status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return msgpack.unpackb(data)


class Killed(harness.Case):
    def test_a_kill_at_any_moment_loses_nothing_and_the_erasure_is_completed(self):
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        leeds = self.daemon("leeds", flags=["--erase-interval", "0"])
        leeds.import_rows([row(f"p{i}", ask_me_about="pipe " * 100, skills=["welding"]) for i in range(400)])
        for attempt in range(8):
            with leeds.client() as client:
                client.call("me.set", name="Root", skills=[CANARY["skill"]], ask_me_about=CANARY["ask_me_about"])
                client.call("me.erase")
                # acknowledged while the stores are written anew, or just before or after
                last = 0
                for i in range(chance.randrange(0, 12)):
                    client.call("people.import", rows=[row(f"p{attempt}-{i}")])
                    last = i + 1
                leeds.kill()
            leeds.start()
            wait(lambda: leeds.call("me.erasure")["complete"], "the erasure is completed", alive=[leeds])
            self.assertEqual(files_with([leeds], CANARY["skill"]), [])
            self.assertEqual(files_with([leeds], CANARY["ask_me_about"]), [])
            held = leeds.people()
            for i in range(last):
                self.assertIn(f"p{attempt}-{i}@leeds", held)
            self.assertLessEqual({f"p{i}@leeds" for i in range(400)}, set(held))
            self.assertEqual(leeds.call("people.find", query="welding")["total"], 400)


if __name__ == "__main__":
    harness.main()
