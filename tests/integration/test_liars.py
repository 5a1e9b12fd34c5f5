#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A member office whose daemon lies, before two honest ones in a row: the liar links to york, york to leeds.

After each lie both hold exactly the honest records and find them, their memory is bounded, york names the liar, leeds
names nobody else. Each lie comes from an office of its own, because who sent what nobody signed has to wait.
"""
import json
import re
import subprocess
import unittest

import garbage
import harness
from harness import row, wait

LIAR = harness.BUILD / "tests" / "liar" / "liar"
QUOTA = 5
# Sanitizers keep memory that was freed: ask for little of that, and expect the rest.
ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=1:malloc_context_size=1"}
GROWTH_MAX_KIB = 48 << 10
WARNINGS_MAX = 16  # about offices at fault: no more of them are said

# What york names the liar for, whether the link ends, and who of the liar's office is there afterwards.
HARRIET = {"harriet"}
MALLORY = {"harriet", "mallory"}
LIES = {
    # in the name of others
    "slot": ({"frame"}, "closed", HARRIET),
    "handle": ({"frame"}, "closed", HARRIET),
    "author": ({"content", "frame"}, "closed", HARRIET),
    "retired-as": ({"frame"}, "closed", HARRIET),
    "retired": (set(), "open", HARRIET),  # the slot is its own, and nobody is in it
    # dates and numbers
    "future": ({"future"}, "open", HARRIET),
    "lease": ({"lease"}, "open", HARRIET),
    "highest": (set(), "open", MALLORY),  # its own slot is used up, and that is all
    "beyond": ({"frame"}, "closed", HARRIET),
    "contents": ({"two_contents"}, "open", MALLORY),
    # too large, too deep
    "large": ({"frame"}, "closed", HARRIET),
    "deep": ({"frame"}, "closed", HARRIET),
    "huge": ({"frame"}, "closed", HARRIET),
    # too many
    "crowd": ({"quota"}, "open", None),
    "changes": ({"changes"}, "open", MALLORY),
    "expired": ({"flood"}, "closed", HARRIET),
    "asks": ({"asks"}, "open", HARRIET),
    # reconciliation
    "endless": ({"sync"}, "open", HARRIET),
    "questions": ({"flood"}, "closed", HARRIET),
    # answers
    "answer-unasked": ({"flood"}, "closed", HARRIET),
    "answer-handle": ({"content"}, "open", HARRIET),
    "answer-many": ({"content"}, "open", HARRIET),
    "answer-for": ({"frame"}, "closed", HARRIET),
}


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.council = self.organisation()

    def invitation(self, office):
        path = self.directory / f"{office}.invitation"
        path.write_text(self.council.invite(office, "--quota", str(QUOTA)) + "\n")
        return path

    def liar(self, office, lie, to, *more):
        """Start it, and return it when it is linked and has told the truth."""
        process = subprocess.Popen([str(LIAR), "--invitation", str(self.invitation(office)), "--to", to.address(),
                                    "--victim", "leeds", *map(str, more), lie],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for pipe in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(pipe.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        said = process.stdout.readline()
        self.assertEqual(said, "linked\n", process.stderr.read() if not said else said)
        return process

    def told(self, process):
        """The rest of what it said, a list of lines."""
        process.stdin.close()
        lines = process.stdout.read().splitlines()  # it has its own patience
        self.assertEqual((process.wait(), process.stderr.read()), (0, ""))
        return lines

    def blamed(self, daemon):
        """Whom its status names, and for what; what it says to people is there, too."""
        done = harness.whocan(daemon, "status", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        status = json.loads(done.stdout)
        named = {b["office"]: set(b["reasons"]) for b in status["offices_blamed"]}
        warned = [w for w in status["warnings"] if w.startswith("office ")]
        if len(warned) < WARNINGS_MAX:
            self.assertEqual({w.split()[1] for w in warned}, set(named))
        return named


class Liars(Case):
    def setUp(self):
        super().setUp()
        # leeds is reached by nobody: york is linked because leeds dialled it
        self.york, = self.offices("york", organisation=self.council, environment=ENVIRONMENT)
        self.leeds = self.daemon("leeds", listen="none", environment=ENVIRONMENT, flags=["--join", self.york.address()])
        self.leeds.call("office.join", invite=self.council.invite("leeds"))
        self.honest = [self.york, self.leeds]
        harness.wait_linked(self.honest)
        self.york.import_rows([row("alice", skills=["blogging"]), row("bob", skills=["welding"])])
        self.leeds.import_rows([row("alice", skills=["blogging"]), row("carol", skills=["welding"])])
        harness.wait_same_people(self.honest, 4)
        wait(lambda: all(len(d.handles("blogging")) == 2 for d in self.honest), "the index has all", alive=self.honest)
        self.before = {d: self.honest_rows(d) for d in self.honest}
        self.assertEqual(self.before[self.york], self.before[self.leeds])

    def honest_rows(self, daemon):
        return {handle: fields for handle, fields in daemon.people(all=True).items()
                if handle.endswith(("@york", "@leeds"))}

    def people_of(self, daemon, office):
        return {handle.split("@")[0] for handle in daemon.people(all=True) if handle.endswith("@" + office)}

    def assert_unharmed(self, office, people):
        """Both hold the honest records, and the same of the liar."""
        for daemon in self.honest:
            self.assertEqual(self.honest_rows(daemon), self.before[daemon])
            self.assertEqual(sorted(h for h in daemon.handles("blogging") if "hull" not in h),
                             ["alice@leeds", "alice@york"])
        wait(lambda: self.york.people(all=True) == self.leeds.people(all=True), "both hold the same", alive=self.honest)
        found = self.people_of(self.leeds, office)
        if people is None:
            self.assertEqual(len(found), QUOTA)
        else:
            self.assertEqual(found, people)

    def ask_meanwhile(self, office):
        """leeds asks, while the liar waits for that. Everybody's answer but its own counts."""
        with self.leeds.client() as client:
            answers, _ = client.ask("who can help with blogging?", wait_ms=2000)
        heard = {a["office"]: [p["handle"] for p in a["people"]] for a in answers}
        self.assertNotIn(office, heard)
        self.assertEqual(heard["york"], ["alice@york"])
        self.assertEqual(heard.get("leeds", ["alice@leeds"]), ["alice@leeds"])

    def test_each_lie_harms_nobody_and_is_named(self):
        named = {}
        for lie, (reasons, ends, people) in LIES.items():
            with self.subTest(lie):
                office = f"hull-{lie}"
                memory = {d: garbage.memory_kib(d.process.pid) for d in self.honest}
                process = self.liar(office, lie, self.york)
                if lie.startswith("answer-") and lie != "answer-unasked":
                    self.ask_meanwhile(office)
                if lie != "endless":  # which goes on until it is told to stop
                    self.assertEqual(self.told(process)[-1], ends)
                wait(lambda o=office, r=reasons: self.blamed(self.york).get(o, set()) >= r, f"york names {office}",
                     patience_s=2 * harness.PATIENCE_S, alive=self.honest)
                if lie == "endless":
                    self.assertEqual(self.told(process)[-1], ends)
                before, named = named, self.blamed(self.york)
                self.assertLessEqual(named.get(office, set()), reasons)
                self.assertEqual({o: r for o, r in named.items() if o != office}, before)
                self.assertLessEqual(self.blamed(self.leeds).items(), named.items())
                self.assert_unharmed(office, people)
                for daemon in self.honest:
                    self.assertLess(garbage.memory_kib(daemon.process.pid) - memory[daemon], GROWTH_MAX_KIB)
        # still at work
        self.leeds.call("me.set", name="Root Example", skills=["brewing"])
        wait(lambda: self.york.handles("brewing") == ["root@leeds"], "york finds it", alive=self.honest)

    @staticmethod
    def on_disk(daemon):
        return b"".join(path.read_bytes() for path in sorted(daemon.state.rglob("*")) if path.is_file())

    def contradict(self, office, lie):
        """The signatures of both contents."""
        said = self.told(self.liar(office, lie, self.york))
        self.assertEqual((said[0].split()[0], said[1]), ("signatures", "open"))
        wait(lambda: self.blamed(self.york).get(office) == {"two_contents"}, f"york names {office}", alive=self.honest)
        return [bytes.fromhex(word) for word in said[0].split()[1:]]

    def test_evidence_of_two_contents_survives_a_restart(self):
        def either(pair):
            return b"(?:" + b"|".join(map(re.escape, pair)) + b")"

        first = self.contradict("hull-one", "contents")
        # both stamps stand next to each other, as they do nowhere but in evidence
        together = re.compile(either(first) + b".{0,200}" + either(first), re.S)
        self.york.stop()
        self.assertRegex(self.on_disk(self.york), together)
        self.york.start()
        self.assertEqual(self.blamed(self.york), {})  # the counts begin again
        harness.wait_linked(self.honest)
        second = self.contradict("hull-two", "more-contents")
        self.york.stop()
        # it was read at the start: what is kept of the second is kept with what was kept of the first
        self.assertRegex(self.on_disk(self.york), re.compile(
            either(first) + b".{0,200}" + either(first) + b".{0,400}" + either(second) + b".{0,200}" + either(second),
            re.S))
        self.assertNotIn("was left out", self.york.log())


class Alone(Case):
    def test_a_restored_office_stamps_when_it_is_said_to_be_alone(self):
        invitation = self.invitation("bath")
        bath = self.daemon("bath")
        bath.call("office.join", invite=invitation.read_text())
        process = self.liar("hull", "old", bath, "--other", invitation)
        self.assertEqual(self.told(process), ["open"])

        def stamped():
            return bath.call("people.about", handle="olga@bath")["row"]["stamped_at"]

        old = wait(stamped, "bath has its old record", alive=[bath])
        self.assertIn("hull", bath.offices())  # so it is not the only one there is
        bath.restart()
        bath.call("me.set", name="Root Example", skills=["brewing"])  # and what is due is done
        self.assertEqual(stamped(), old)
        bath.restart("--alone")
        wait(lambda: stamped() > old, "it is stamped again", alive=[bath])


if __name__ == "__main__":
    unittest.main()
