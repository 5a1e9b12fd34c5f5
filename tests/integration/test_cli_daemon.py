#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command whocan and the real daemon, together: what a person types and what comes of it."""
import csv
import json
import os
import shutil
import subprocess
import unittest

import harness
from harness import PATIENCE_S, ROOT, WHOCAN, wait, wait_same_people

ALICE = {"handle": "alice", "name": "Alice Archer", "title": "Librarian", "team": "Libraries; North",
         "skills": [{"name": "content design", "level": "expert", "mentor": True}, {"name": "ISO 9001:2015"}],
         "interests": ["local history", "a, b"], "ask_me_about": "starting a blog\nand keeping it going",
         "languages": ["English", "Norwegian"], "working_days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
         "email": "alice@example.org", "phone": "+44 113 496 0000", "willing": True}


class Case(harness.Case):
    def run_whocan(self, daemon, *words, stdin=None, environment=None, **more):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_"))}
        return subprocess.run([WHOCAN, "--socket", daemon.socket, *map(str, words)], input=stdin,
                              stdin=None if stdin else subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE_S * 2, check=False, env={**clean, **(environment or {})}, **more)

    def whocan(self, daemon, *words, status=0, stderr="", **more):
        done = self.run_whocan(daemon, *words, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(stderr, done.stderr)
        if not stderr:
            self.assertEqual(done.stderr, "")
        return done.stdout

    def json(self, daemon, *words, **more):
        return json.loads(self.whocan(daemon, *words, "--json", **more))

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def rows_file(self, name, rows):
        return self.file(name, "".join(json.dumps(row) + "\n" for row in rows))


class OneOffice(Case):
    def test_find_gives_what_is_promised(self):
        leeds = self.daemon()
        self.whocan(leeds, "import", self.rows_file("p.jsonl", [ALICE, harness.row("bob", skills=["welding"])]))
        answer = self.json(leeds, "find", "content", "design")
        self.assertEqual(answer["total"], 1)
        [alice] = answer["people"]
        self.assertLessEqual({"handle", "name", "title", "team", "office", "skills", "score", "why", "contact",
                              "interests", "willing", "available"}, set(alice))
        self.assertEqual((alice["handle"], alice["office"], alice["available"]), ("alice@leeds", "leeds", True))
        self.assertIn("content design", " ".join(alice["why"]))
        shown = self.whocan(leeds, "find", "content design")
        self.assertIn("Alice Archer  alice@leeds  Librarian, Libraries; North", shown)
        self.assertIn("expert in content design", shown)
        self.assertIn("Skills        content design (expert, can mentor", self.whocan(leeds, "show", "alice"))
        self.assertEqual(" ".join(self.whocan(leeds, "find", "zither").split()),
                         "Nobody found. Try fewer or other words, or put the question to every office: whocan ask")

    def test_import_of_an_export_changes_nothing(self):
        leeds = self.daemon()
        hostile = harness.row("eve", name='=Eve "x"; y', interests=["back\\slash", "semi;colon", "pipe|d", "col:on"],
                              skills=[{"name": "a:expert", "level": "working"}, {"name": "x, y"}])
        self.whocan(leeds, "import", self.rows_file("p.jsonl", [ALICE, hostile, harness.row("bob")]))
        before = self.whocan(leeds, "export")
        for name in ("out.jsonl", "out.csv"):
            path = self.directory / name
            self.whocan(leeds, "export", "--output", path)
            self.assertEqual(self.whocan(leeds, "import", path), "3 rows: 0 accepted, 3 unchanged, 0 refused\n", name)
        with open(path, newline="", encoding="utf-8") as file:
            self.assertEqual({row["handle"].split("@")[0] for row in csv.DictReader(file)}, {"alice", "bob", "eve"})
        self.assertEqual(self.whocan(leeds, "export"), before)

    def test_refused_rows_have_their_line(self):
        leeds = self.daemon()
        path = self.file("p.csv", "login,name,skills,phone\n"
                                  "alice,Alice,,\n"
                                  "Not A Login,X,,\n"
                                  "bob,Bob,," + "5" * 33 + "\n"
                                  "carol,\"Carol\nof Two Lines\",,\n"
                                  "dan,Dan,a;A,\n"
                                  "eve@york,Eve,,\n"
                                  "fay," + "x" * (1 << 20) + ",,\n"
                                  "gil,Gil,welding:expert,\n")
        self.assertEqual(self.json(leeds, "import", "--dry-run", path, status=1)["accepted"], 2)
        self.assertEqual(leeds.status()["people"], 0)
        report = self.json(leeds, "import", path, status=1)
        self.assertEqual((report["rows"], report["accepted"], report["unchanged"]), (8, 2, 0))
        self.assertEqual([(r["line"], r["handle"]) for r in report["refused"]],
                         [(3, "Not A Login"), (4, "bob"), (5, "carol"), (7, "dan"), (8, "eve@york"), (9, "fay")])
        self.assertTrue(all(r["reason"] for r in report["refused"]))
        self.assertEqual(sorted(leeds.people()), ["alice@leeds", "gil@leeds"])

    def test_wrong_types_are_refused_alone(self):
        leeds = self.daemon()
        rows = [{"handle": 5}, {"handle": "a", "name": 7}, {"handle": "b", "skills": "x"}, {"handle": "c", "skills": [5]},
                {"handle": "d", "skills": [{"name": "x", "level": "guru"}]}, {"handle": "e", "willing": "yes"},
                {"handle": "f", "languages": [None]}, {}, {"handle": "g", "name": "Good"}]
        report = self.json(leeds, "import", self.rows_file("p.jsonl", rows), status=1)
        self.assertEqual([r["line"] for r in report["refused"]], [1, 2, 3, 4, 5, 6, 7, 8])
        self.assertEqual(report["accepted"], 1)

    def test_my_profile(self):
        leeds = self.daemon()
        self.assertIn("nobody can find you yet", self.whocan(leeds, "me"))
        self.whocan(leeds, "me", "set", "name=Root Example", "title=Gardener", "languages=English,Norwegian")
        self.whocan(leeds, "me", "add", "skill", "pruning", "trees,", "welding", "--level", "expert", "--mentor")
        self.whocan(leeds, "me", "add", "interest", "bees")
        me = self.json(leeds, "me")["profile"]
        self.assertEqual([s["name"] for s in me["skills"]], ["pruning trees", "welding"])
        self.assertEqual(self.json(leeds, "find", "pruning")["people"][0]["handle"], "root@leeds")
        self.assertEqual(self.whocan(leeds, "me", "drop", "skill", "welding"), "Dropped: welding\n")
        self.whocan(leeds, "me", "drop", "skill", "welding", status=4, stderr="not among the skills")
        self.whocan(leeds, "me", "set", "title", "")
        self.assertNotIn("title", self.json(leeds, "me")["profile"])
        self.whocan(leeds, "me", "set", "phone", "5" * 33, status=4, stderr="phone")
        self.whocan(leeds, "me", "add", "skill", "x", "--level", "guru", status=2,
                    stderr="whocan: level must be one of awareness, working, practitioner, expert")
        self.whocan(leeds, "me", "set", "--json", "-", stdin='{"skills": [{"name": "x", "level": "guru"}]}', status=4,
                    stderr="whocan: skill level must be one of")
        self.whocan(leeds, "me", "add", "skill", "apples, pears")
        done = self.run_whocan(leeds, "me", "drop", "skill", "Apples, nothere")
        self.assertEqual((done.returncode, done.stdout), (0, "Dropped: apples\n"), done.stderr)
        self.assertIn("not among the skills of your profile: nothere;", done.stderr)

    def test_edit_and_its_conflict(self):
        leeds = self.daemon()
        self.whocan(leeds, "me", "set", "name", "Root")
        editor = {"EDITOR": "sed -i 's/^team:.*/team: Parks/; s/^skills:/skills:\\n  bees: working/'",
                  "TMPDIR": str(self.directory)}
        self.assertEqual(self.whocan(leeds, "me", "edit", environment=editor), "Saved: team, skills.\n")
        self.assertEqual(self.json(leeds, "me")["profile"]["skills"], [{"name": "bees", "level": "working"}])
        self.assertEqual(self.whocan(leeds, "me", "edit", environment={"EDITOR": "true"}), "Nothing was changed.\n")
        meanwhile = f"'{WHOCAN}' --socket {leeds.socket} me set title Other >/dev/null; sed -i 's/^team:.*/team: X/'"
        script = self.file("editor", f"#!/bin/sh\n{meanwhile} \"$1\"\n")
        script.chmod(0o755)
        self.whocan(leeds, "me", "edit", status=4, stderr="changed elsewhere",
                    environment={**editor, "EDITOR": str(script)})
        [draft] = self.directory.glob("whocan-me-*")
        self.assertIn("team: X", draft.read_text())
        self.assertEqual(self.json(leeds, "me")["profile"]["title"], "Other")

    @unittest.skipIf(os.geteuid() != 0, "only root can be somebody else")
    def test_who_may_not(self):
        leeds = self.daemon()
        program = self.directory / "whocan"  # the build may lie where others cannot look
        shutil.copy(WHOCAN, program)
        os.chmod(leeds.socket, 0o666)

        def as_user(uid, *words):
            return subprocess.run([program, "--socket", leeds.socket, *words], capture_output=True, text=True,
                                  check=False, user=uid, group=uid, extra_groups=[], timeout=PATIENCE_S)
        refused = as_user(2, "find", "x")  # a system account
        self.assertEqual((refused.returncode, refused.stdout), (4, ""))
        self.assertIn("whocan", refused.stderr)
        path = self.rows_file("p.jsonl", [ALICE])
        path.chmod(0o644)
        refused = as_user(54321, "import", str(path))  # a person, but no administrator
        self.assertEqual((refused.returncode, refused.stdout), (4, ""), refused.stderr)
        self.assertIn("No row was acknowledged", refused.stderr)
        self.assertEqual(leeds.status()["people"], 0)

    def test_a_daemon_that_is_killed_in_the_middle(self):
        leeds = self.daemon()
        count = 20000
        path = self.rows_file("p.jsonl", [harness.row(f"user{i}", skills=[f"skill {i % 97}"]) for i in range(count)])
        process = subprocess.Popen([WHOCAN, "--socket", leeds.socket, "import", path], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        # 4 batches of 200 are under way at most: beyond them some were acknowledged
        wait(lambda: leeds.status()["people"] > 1000, "some rows are in")
        leeds.kill()
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, out), (3, ""), err)
        acknowledged = int(err.split(" of 20,000 rows were acknowledged")[0].split()[-1].replace(",", ""))
        self.assertGreater(acknowledged, 0)
        leeds.start()
        there = leeds.status()["people"]
        self.assertGreaterEqual(there, acknowledged)
        report = self.json(leeds, "import", path)
        self.assertEqual((report["accepted"], report["unchanged"]), (count - there, there), report)

    def test_screens_for_it(self):
        leeds = self.daemon()
        status = self.whocan(leeds, "status")
        self.assertIn("Office        leeds\n", status)
        self.assertIn("stands alone", status)
        self.assertIn("this office", self.whocan(leeds, "offices"))
        self.assertEqual(self.json(leeds, "status")["office"], "leeds")
        self.assertIn("Office        leeds\n", self.whocan(leeds, "office", "show"))
        self.assertIn("Mode          standalone\n", self.whocan(leeds, "org", "show"))


class ThreeOffices(Case):
    def test_everyone_is_asked(self):
        offices = self.offices("leeds", "york", "hull")
        leeds, york, hull = offices
        for office in offices:
            self.whocan(office, "import", self.rows_file(f"{office.name}.jsonl", [
                harness.row(f"{office.name}{i}", skills=[{"name": "blogging", "level": "expert"}]) for i in range(3)]))
        wait_same_people(offices, 9)
        lines = [json.loads(line) for line in
                 self.whocan(leeds, "ask", "--json", "--wait", "30", "who can help with a blog").splitlines()]
        self.assertEqual([line["event"] for line in lines], ["answer", "answer", "answer", "done"])
        self.assertEqual({line["office"] for line in lines[:-1]}, {"leeds", "york", "hull"})
        self.assertEqual((lines[-1]["offices_heard"], lines[-1]["offices_known"]), (3, 3))
        self.assertEqual({p["name"] for line in lines[:-1] for p in line["people"] if p["office"] == "hull"},
                         {"Hull0 Example", "Hull1 Example", "Hull2 Example"})
        shown = self.whocan(york, "ask", "who can help with a blog", "--wait", "30", "--limit", "9")
        self.assertIn("Heard from 3 of 3 offices: 9 people.", shown)
        self.assertIn("hull2@hull", shown)
        self.assertIn("linked", self.whocan(york, "offices"))
        exported = [json.loads(line) for line in self.whocan(york, "export", "--all").splitlines()]
        self.assertEqual(len(exported), 9)
        self.assertEqual(len(self.whocan(york, "export", "--office", "hull").splitlines()), 3)

        hull.stop()
        wait(lambda: york.offices()["hull"]["state"] == "known", "york has lost hull")
        lines = [json.loads(line) for line in
                 self.whocan(york, "ask", "--json", "--wait", "0.5", "a blog").splitlines()]
        self.assertEqual((lines[-1]["event"], lines[-1]["offices_heard"]), ("done", 2))
        self.assertIn("hull1@hull", self.whocan(york, "find", "blogging", "--office", "hull"))

    def test_an_edit_is_found_everywhere(self):
        leeds, york = self.offices("leeds", "york")
        self.whocan(leeds, "me", "set", "name", "Root of Leeds")
        self.whocan(leeds, "me", "add", "skill", "zither tuning")
        wait(lambda: "root@leeds" in york.handles("zither"), "york finds the edit")
        self.assertIn("Root of Leeds", self.whocan(york, "find", "zither"))
        self.whocan(leeds, "me", "drop", "skill", "zither tuning")
        wait(lambda: york.handles("zither") == [], "york forgets it")

    def test_an_invitation_is_for_one_organisation(self):
        leeds = self.daemon("leeds")
        organisation = self.organisation("Council")
        self.whocan(leeds, "import", self.rows_file("p.jsonl", [harness.row("bob")]))
        path = self.file("invite", organisation.invite("leeds", "--title", "Leeds Civic Hall") + "\n")
        self.whocan(leeds, "office", "join", "whocan-invite-1:AAAA", status=4,
                    stderr="this is not a whole invitation or admission: copy the whole line that starts with")
        out = self.whocan(leeds, "office", "join", "--file", path)
        self.assertIn('This office is now "leeds" of Council.', out)
        self.assertIn("1 profile", out)
        self.assertEqual(self.json(leeds, "office", "show")["title"], "Leeds Civic Hall")
        self.whocan(leeds, "office", "join", "whocan-invite-1:AAAA", status=4, stderr="whocan:")
        self.assertEqual(self.json(leeds, "org", "show")["organisation"], "Council")


class Sample(Case):
    def test_the_sample_council_is_accepted(self):
        town = self.daemon("town")
        out = self.whocan(town, "import", ROOT / "packaging" / "sample" / "town.jsonl")
        self.assertTrue(out.endswith(" 0 unchanged, 0 refused\n"), out)
        exported = [json.loads(line) for line in self.whocan(town, "export").splitlines()]
        self.assertEqual(len(exported), len((ROOT / "packaging/sample/town.jsonl").read_text().splitlines()))


if __name__ == "__main__":
    unittest.main()
