#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Profiles signed with a key of the person's own: who can write in whose name, and what others see of it."""
import ctypes
import ctypes.util
import json
import os
import re
import shutil
import subprocess
import unittest

import msgpack

import harness
from harness import PATIENCE_S, WHOCAN, row, wait, wait_linked

KIND_PROFILE = 4


class Signer:
    """An Ed25519 key, by the library that the daemon uses."""

    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))

    def __init__(self, seed):
        self.key = ctypes.create_string_buffer(32)
        self.secret = ctypes.create_string_buffer(64)
        assert self.sodium.crypto_sign_seed_keypair(self.key, self.secret, seed) == 0
        self.key = self.key.raw

    def sign(self, body, kind=KIND_PROFILE):
        sig = ctypes.create_string_buffer(64)
        message = b"whocan body\0" + bytes([kind]) + body
        self.sodium.crypto_sign_detached(sig, None, message, ctypes.c_ulonglong(len(message)), self.secret)
        return sig.raw


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.alice, self.bob, self.next, self.web = harness.free_uids(4)

    def home(self, uid, name="home"):
        path = self.directory / f"{name}-{uid}"
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, uid, uid)
        return path

    def key_file(self, uid, name="home"):
        return self.home(uid, name) / "whocan" / "person.key"

    def run_as(self, daemon, uid, *words, home="home"):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_"))}
        environment["XDG_DATA_HOME"] = str(self.home(uid, home))
        return subprocess.run([WHOCAN, "--socket", daemon.socket, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE_S * 2, check=False, env=environment, cwd="/", user=uid,
                              group=uid, extra_groups=[])

    def whocan(self, daemon, uid, *words, status=0, stderr="", **more):
        done = self.run_as(daemon, uid, *words, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(stderr, done.stderr)
        return done.stdout

    def person(self, daemon, handle):
        try:
            return daemon.call("people.show", handle=handle)["person"]
        except harness.RpcError as error:
            if error.code != "NOTFOUND":
                raise
            return None

    def sees(self, daemon, handle, **fields):
        """Wait until an office shows a person so."""
        def look():
            person = self.person(daemon, handle)
            return person if person and all(person[k] == v for k, v in fields.items()) else None
        return wait(look, f"{daemon.name} sees {handle} with {fields}", alive=self.daemons)


class Signed(harness.Case):
    """me.put, by a program of root's."""

    def setUp(self):
        super().setUp()
        self.leeds = self.daemon("leeds")
        self.client = self.leeds.client()
        self.addCleanup(self.client.close)
        self.signer = Signer(b"\x01" * 32)

    def base(self, signer=None):
        return self.client.call("me.show", key=(signer or self.signer).key)["edit"]

    def body(self, signer=None, **fields):
        """The next body, with these fields alone; None leaves one out."""
        base = self.base(signer)
        body = {"office": base["office_key"], "subject": base["subject"], "rev": base["rev"], "confirmed_at": base["now"]}
        if base["key_changed_at"]:
            body["key_changed_at"] = base["key_changed_at"]
        body.update(fields)
        return msgpack.packb({k: v for k, v in body.items() if v is not None})

    def put(self, body, signer=None, **more):
        signer = signer or self.signer
        return self.client.call("me.put", **{"body": body, "key": signer.key, "sig": signer.sign(body), **more})

    def test_a_signed_profile_is_taken_as_it_is(self):
        done = self.put(self.body(name="Root", later={"unknown": [1, None]}))
        self.assertEqual((done["rev"], done["person"]["authored_by"], done["person"]["key_changed_at"]), (1, "person", None))
        base = self.base()
        self.assertEqual((base["author_key"], base["rev"]), (self.signer.key, 2))
        self.assertEqual(base["author_sig"], self.signer.sign(base["body"]))
        self.assertEqual(msgpack.unpackb(base["body"])["later"], {"unknown": [1, None]})
        self.assertTrue(self.client.call("me.show")["has_key"])

    def test_what_is_not_right_is_refused(self):
        self.put(self.body(name="Root"))
        good = self.body(name="Root Example")
        other = Signer(b"\x02" * 32)
        now = self.base()["now"]
        for what, code, put in (
                ("another login", "DENIED", lambda: self.put(self.body(subject="alice"))),
                ("another office", "DENIED", lambda: self.put(self.body(office=b"\x07" * 32))),
                ("a signature of another body", "BADSIG", lambda: self.put(good, sig=self.signer.sign(good + b" "))),
                ("a signature for a row", "BADSIG", lambda: self.put(good, sig=self.signer.sign(good, kind=3))),
                ("another's key", "BADSIG", lambda: self.put(good, key=other.key)),
                ("the office's key", "DENIED", lambda: self.put(good, key=self.base()["office_key"])),
                ("the same rev", "STALE", lambda: self.put(self.body(rev=1))),
                ("a rev that is far ahead", "STALE", lambda: self.put(self.body(rev=3))),
                ("no rev", "MISSING", lambda: self.put(self.body(rev=None))),
                ("a time in the future", "FUTURE", lambda: self.put(self.body(confirmed_at=now + 3600000))),
                ("no time", "MISSING", lambda: self.put(self.body(confirmed_at=None))),
                ("a change of key that is none", "INVALID", lambda: self.put(self.body(key_changed_at=now))),
                ("a change of key that is not told", "INVALID", lambda: self.put(self.body(name="x"), signer=other)),
                ("a level that is none", "INVALID", lambda: self.put(self.body(skills=[{"name": "x", "level": "wizard"}]))),
                ("too much", "TOOBIG", lambda: self.put(self.body(rest="x" * 16200))),
                ("no body", "TOOBIG", lambda: self.put(b"x" * 16385)),
                ("half a key", "INVALID", lambda: self.put(good, key=b"x" * 31)),
                ("text for a key", "TYPE", lambda: self.put(good, key="x" * 32)),
                ("a change that does not wait", "STALE", lambda: self.put(good, confirms="0123456789abcdef"))):
            with self.subTest(what):
                with self.assertRaises(harness.RpcError) as caught:
                    put()
                self.assertEqual(caught.exception.code, code, caught.exception.message)
                self.assertNotIn("\n", caught.exception.message)
        shown = self.client.call("me.show")
        self.assertEqual((shown["rev"], shown["person"]["name"], shown["person"]["key_changed_at"]), (1, "Root", None))
        self.put(good)

    def test_an_older_body_does_not_come_back(self):
        bodies = []
        for name in ("One", "Two", "Three"):
            bodies.append(self.body(name=name))
            self.put(bodies[-1])
        for body in bodies:
            with self.refused("STALE"):
                self.put(body)
        self.assertEqual(self.client.call("me.show")["person"]["name"], "Three")

    def test_a_key_outlives_a_crash(self):
        self.put(self.body(name="One"))
        self.client.call("me.set", title="Two")
        waits = self.client.call("me.show")["pending"]
        self.leeds.kill()
        self.leeds.start()
        self.client = self.leeds.client()
        self.addCleanup(self.client.close)
        shown = self.client.call("me.show")
        self.assertEqual((shown["has_key"], shown["pending"], shown["person"]["authored_by"]), (True, waits, "person"))

    def test_one_change_waits_and_the_newest_does(self):
        self.assertFalse(self.client.call("me.set", name="Office's Words")["waits"])
        self.assertEqual(self.client.call("me.show")["person"]["authored_by"], "office")
        self.put(self.body(name="Own Words"))
        ids = []
        for method, params in (("me.set", {"title": "One"}), ("me.add", {"skills": ["two"]}), ("me.set", {"title": "Three"})):
            done = self.client.call(method, **params)
            self.assertTrue(done["waits"])
            self.assertEqual((done["rev"], done["person"]["title"]), (2, ""))
            ids.append(self.client.call("me.show")["pending"]["id"])
        self.assertEqual(len(set(ids)), 3)
        pending = self.client.call("me.show")["pending"]
        self.assertEqual((pending["edit"], pending["by"], pending["fields"]), ("set", "program", {"title": "Three"}))
        for stale in ids[:2]:
            with self.refused("STALE"):
                self.put(self.body(name="Own Words", title="One"), confirms=stale)
            with self.refused("STALE"):
                self.client.call("me.reject", id=stale)
        self.put(self.body(name="Own Words", title="Four"))  # an edit leaves it waiting
        self.assertEqual(self.client.call("me.show")["pending"]["id"], ids[2])
        self.put(self.body(name="Own Words", title="Three"), confirms=ids[2])
        self.assertIsNone(self.client.call("me.show")["pending"])
        with self.refused("INVALID", "email"):  # what could not be confirmed is refused at once
            self.client.call("me.set", email="nobody")
        self.assertIsNone(self.client.call("me.show")["pending"])
        self.client.call("me.set", title="Five")
        self.client.call("me.reject")
        self.assertIsNone(self.client.call("me.show")["pending"])

    def test_many_at_once_lose_nothing(self):
        """Signed edits and others of one person, all in flight: one after the other."""
        self.put(self.body(name="One"))
        body = self.body(name="Two")
        ids = [self.client.send("me.put", {"body": body, "key": self.signer.key, "sig": self.signer.sign(body)})
               for _ in range(20)]
        ids += [self.client.send("me.show", {}) for _ in range(20)]
        answers = [self.client.response() for _ in ids]
        self.assertEqual(sum(a[2] is None for a in answers), 21)
        self.assertEqual({a[2]["code"] for a in answers if a[2]}, {"STALE"})


class Offices(Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        self.accounts = harness.Accounts(self.directory, alice=self.alice, bob=self.bob, web=self.web)
        self.organisation_ = self.organisation()

    def audited(self, daemon, act):
        """Whose account did that, in the order of the audit log, and what more it says; always to alice."""
        lines = [json.loads(line) for path in sorted((daemon.state / "audit").glob("*.log"))
                 for line in path.read_text().splitlines()]
        found = [line for line in lines if line["act"] == act]
        self.assertLessEqual(len({line["about"] for line in found}), 1)
        usual = ("n", "prev", "at", "act", "uid", "login", "for", "about")
        return [(line["uid"], {k: v for k, v in line.items() if k not in usual}) for line in found]

    def start(self, *names, **how):
        return self.offices(*names, organisation=self.organisation_, wrapper=self.accounts.wrapper, **how)

    def test_a_changed_key_is_seen_everywhere(self):
        leeds, york = self.start("leeds", "york")
        self.whocan(leeds, self.alice, "me", "set", "name=Alice", "title=Librarian")
        seen = self.sees(york, "alice@leeds", title="Librarian")
        self.assertEqual((seen["authored_by"], seen["key_changed_at"]), ("person", None))
        self.assertNotIn("key changed", self.whocan(york, self.bob, "show", "alice@leeds"))

        self.whocan(leeds, self.alice, "me", "set", "title", "Archivist", home="other",
                    stderr="signed your whole profile with your key for the first time")
        seen = self.sees(york, "alice@leeds", title="Archivist", authored_by="person")
        self.assertRegex(seen["key_changed_at"], r"^20\d\d-.*Z$")
        self.assertRegex(self.whocan(york, self.bob, "show", "alice@leeds"), r"Signature +key changed on \d+ \w+ 20\d\d\n")
        [hit] = york.call("people.find", query="Archivist")["people"]
        self.assertEqual((hit["key_changed_at"], hit["authored_by"]), (seen["key_changed_at"], "person"))

        self.assertEqual(self.audited(leeds, "key"), [(self.alice, {"change": "first"}), (self.alice, {"change": "replaced"})])

        # further edits under the new key say the same, restarts forget nothing, and newcomers are told
        self.whocan(leeds, self.alice, "me", "set", "title", "Curator", home="other")
        leeds.restart()
        york.restart()
        wait_linked([leeds, york])
        self.sees(york, "alice@leeds", title="Curator", key_changed_at=seen["key_changed_at"])
        self.sees(leeds, "alice@leeds", title="Curator")
        hull = self.daemon("hull", flags=["--join", leeds.address()])
        hull.call("office.join", invite=self.organisation_.invite("hull"))
        self.assertRegex(self.sees(hull, "alice@leeds", title="Curator")["key_changed_at"], r"^20\d\d-.*Z$")

    def test_a_key_serves_one_login(self):
        [leeds] = self.start("leeds")
        self.whocan(leeds, self.alice, "me", "set", "name", "Alice")
        stolen = self.key_file(self.bob)
        stolen.parent.mkdir(mode=0o700)
        shutil.copy(self.key_file(self.alice), stolen)
        for path in (stolen.parent, stolen):
            os.chown(path, self.bob, self.bob)
        stolen.chmod(0o600)
        self.whocan(leeds, self.bob, "me", "set", "name", "Bob", status=4, stderr="is another account's")
        self.assertIsNone(self.person(leeds, "bob@leeds"))
        self.assertEqual(self.person(leeds, "alice@leeds")["name"], "Alice")
        stolen.unlink()
        self.whocan(leeds, self.bob, "me", "set", "name", "Bob")
        self.assertEqual(self.person(leeds, "bob@leeds")["authored_by"], "person")

    def test_a_key_of_another_account_is_not_read(self):
        [leeds] = self.start("leeds")
        self.whocan(leeds, self.alice, "me", "set", "name", "Alice")
        os.chown(self.key_file(self.alice), self.bob, self.bob)
        self.whocan(leeds, self.alice, "me", "set", "name", "X", status=5, stderr="person.key")
        self.assertEqual(self.person(leeds, "alice@leeds")["name"], "Alice")

    def test_an_account_given_to_somebody_else_inherits_nothing(self):
        leeds, york = self.start("leeds", "york")
        self.whocan(leeds, self.alice, "me", "set", "name=Alice", "skills=weaving")
        self.sees(york, "alice@leeds", name="Alice")
        self.accounts.remove("alice")
        self.accounts.add("alice", self.next)
        self.assertIn("nobody can find you yet", self.whocan(leeds, self.next, "me"))
        wait(lambda: self.person(york, "alice@leeds") is None, "york retires the former", alive=self.daemons)
        self.whocan(leeds, self.next, "me", "set", "name", "Alicia")
        seen = self.sees(york, "alice@leeds", name="Alicia", skills=[], authored_by="person")
        self.assertRegex(seen["key_changed_at"], r"^20\d\d-.*Z$")
        self.assertEqual(self.audited(leeds, "reused"), [(self.next, {"former": self.alice, "rev": 2})])
        self.assertEqual(self.audited(leeds, "key"), [(self.alice, {"change": "first"}), (self.next, {"change": "first"})])
        # and the key of the former is not hers
        self.assertFalse(self.key_file(self.next).read_bytes() == self.key_file(self.alice).read_bytes())

    def test_so_does_one_that_never_had_a_key(self):
        config = f"[whocan]\nintranet_user = web\nintranet_acts = yes\npeople_uid_max = {max(self.alice, self.next)}\n"
        [leeds] = self.start("leeds", config=config)
        self.as_web(leeds, "me.set", name="Alice", **{"as": "alice"})
        self.assertEqual(self.person(leeds, "alice@leeds")["authored_by"], "office")
        self.accounts.remove("alice")
        self.accounts.add("alice", self.next)
        self.as_web(leeds, "me.set", title="Clerk", **{"as": "alice"})
        person = self.person(leeds, "alice@leeds")
        self.assertEqual((person["name"], person["title"], person["key_changed_at"]), ("", "Clerk", None))
        self.assertEqual(self.audited(leeds, "reused"), [(self.web, {"former": self.alice, "rev": 2})])
        self.assertEqual(self.audited(leeds, "key"), [])

    def as_web(self, daemon, method, **params):
        """A call of the intranet's server."""
        pid = os.fork()
        if pid == 0:  # pragma: no cover
            os._exit(self._call_as_web(daemon, method, params))
        _, status = os.waitpid(pid, 0)
        result = msgpack.unpackb((self.directory / "answer").read_bytes())
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, result)
        return result

    def _call_as_web(self, daemon, method, params):
        answer = os.open(self.directory / "answer", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.setgroups([])
            os.setgid(self.web)
            os.setuid(self.web)
            os.write(answer, msgpack.packb(daemon.call(method, **params)))
            return 0
        except Exception as error:  # pylint: disable=broad-except
            os.write(answer, msgpack.packb(repr(error)))
            return 1

    def test_the_intranet_asks_and_the_owner_says_yes(self):
        config = f"[whocan]\nintranet_user = web\nintranet_acts = yes\npeople_uid_max = {max(self.alice, self.bob)}\n"
        leeds, york = self.start("leeds", "york", config=config)
        done = self.as_web(leeds, "me.set", name="Alice", skills=["weaving"], **{"as": "alice"})
        self.assertFalse(done["waits"])
        seen = self.sees(york, "alice@leeds", name="Alice")
        self.assertEqual(seen["authored_by"], "office")
        self.assertIn("via intranet", self.whocan(york, self.bob, "show", "alice@leeds"))

        self.whocan(leeds, self.alice, "me", "add", "interest", "bees", stderr="for the first time")
        seen = self.sees(york, "alice@leeds", interests=["bees"], authored_by="person")
        self.assertEqual((seen["name"], seen["key_changed_at"]), ("Alice", None))
        self.assertNotIn("via intranet", self.whocan(york, self.bob, "show", "alice@leeds"))

        canary = "Zweiundvierzigplumage"
        done = self.as_web(leeds, "me.set", title=canary, **{"as": "alice"})
        self.assertTrue(done["waits"])
        self.assertEqual(self.person(leeds, "alice@leeds")["title"], "")
        leeds.restart()
        york.restart()  # it dials leeds at once
        wait_linked([leeds, york])
        self.assertRegex(self.whocan(leeds, self.alice, "me"), rf"(?s)The intranet asked.*title +{canary}.*me confirm")
        with self.assertRaisesRegex(AssertionError, "not a parameter of me.reject"):  # it is the owner's alone
            self.as_web(leeds, "me.reject", **{"as": "alice"})
        # what waits is on this machine alone: another profile that is newer has arrived there, and this has not
        self.whocan(leeds, self.bob, "me", "set", "name", "Bob")
        self.sees(york, "bob@leeds", name="Bob")
        york.stop()
        held = b"".join(path.read_bytes() for path in york.state.rglob("*") if path.is_file())
        self.assertIn(b"bees", held)
        self.assertNotIn(canary.encode(), held)
        york.start()
        wait_linked([leeds, york])

        self.whocan(leeds, self.alice, "me", "confirm")
        self.sees(york, "alice@leeds", title=canary, authored_by="person")
        self.as_web(leeds, "me.set", title="Nonsense", **{"as": "alice"})
        self.whocan(leeds, self.alice, "me", "reject")
        self.assertNotIn("Nonsense", self.whocan(leeds, self.alice, "me"))
        self.assertEqual(self.person(leeds, "alice@leeds")["title"], canary)

    def test_a_profile_under_a_new_office_key_waits_for_its_signature(self):
        york = self.start("york")[0]
        leeds = self.daemon("leeds", wrapper=self.accounts.wrapper, flags=["--join", york.address()])
        self.whocan(leeds, self.alice, "me", "set", "name=Alice", "title=Librarian")
        self.assertEqual(self.person(leeds, "alice")["authored_by"], "person")
        leeds.call("office.join", invite=self.organisation_.invite("leeds"))
        seen = self.sees(york, "alice@leeds", title="Librarian")
        self.assertEqual(seen["authored_by"], "office")
        self.assertIn("`whocan me confirm` signs", self.whocan(leeds, self.alice, "me"))
        self.whocan(leeds, self.alice, "me", "confirm")
        seen = self.sees(york, "alice@leeds", authored_by="person")
        self.assertEqual((seen["title"], seen["key_changed_at"]), ("Librarian", None))
        self.assertNotIn("me confirm", self.whocan(leeds, self.alice, "me"))
        self.whocan(leeds, self.alice, "me", "confirm", status=4, stderr="nothing waits")


class Directory(harness.Case):
    def test_imported_skills_are_marked_and_rank_below_own_ones(self):
        leeds = self.daemon("leeds")
        skill = {"name": "falconry", "level": "expert"}
        leeds.import_rows([row("aaron", skills=[skill]), row("zoe", skills=["filing"])])
        leeds.call("me.set", name="Root Example", skills=[skill])
        hits = leeds.call("people.find", query="falconry")["people"]
        self.assertEqual([h["handle"] for h in hits], ["root@leeds", "aaron@leeds"])  # not by name, nor by age
        self.assertGreater(hits[0]["score"], hits[1]["score"])
        self.assertEqual([h["skills"][0]["source"] for h in hits], ["self", "directory"])
        self.assertEqual([h["authored_by"] for h in hits], ["office", None])
        self.assertTrue(re.search("directory", " ".join(hits[1]["why"])))


if __name__ == "__main__":
    harness.main()
