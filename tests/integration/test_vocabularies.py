#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Vocabularies: files that are checked, made out of tables, read by a daemon, and what searches then find.

The real tables of ESCO and of the UK Government's framework are looked for in ../shared/data beside the
checkout, or where WHOCAN_TEST_DATA says; what needs them is skipped elsewhere.
"""
import json
import os
import pathlib
import signal
import subprocess
import unittest

import harness
from harness import PATIENCE_S, ROOT, WHOCAN

SHIPPED = ROOT / "packaging" / "vocabulary"
FIXTURES = ROOT / "tests" / "vocabulary"
REAL = pathlib.Path(os.environ.get("WHOCAN_TEST_DATA", ROOT.parent / "shared" / "data"))
ESCO = [REAL / "esco_digital_skills.csv", REAL / "esco_transversal_skills.csv"]
GDAD = [REAL / "gdad_skills.csv", REAL / "gdad_roles.csv"]
needs_real = unittest.skipUnless(all(path.exists() for path in ESCO + GDAD),
                                 f"the tables of ESCO and of the UK Government are not in {REAL}")


class Case(harness.Case):
    def whocan(self, *words, status=0, daemon=None):
        """What it says on standard output, and on standard error."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_"))}
        socket = ["--socket", daemon.socket] if daemon else []
        done = subprocess.run([WHOCAN, *socket, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE_S * 2, check=False, env=clean)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stdout + done.stderr

    def words(self):
        """A directory of vocabularies for a daemon."""
        path = self.directory / "words"
        path.mkdir(exist_ok=True)
        return path

    def office(self, *directories):
        return self.daemon(flags=["--vocabulary", ":".join(map(str, directories))])


class Check(Case):
    def check(self, text, status):
        path = self.directory / "ours.ini"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.whocan("vocabulary", "check", path, status=status).replace(str(path), "F")

    def test_what_ships_is_right(self):
        said = self.whocan("vocabulary", "check", SHIPPED)
        self.assertRegex(said, r"^4 files: \d+ concepts, [\d,]+ labels; all is right\.\n$")

    def test_what_ships_stands_beside_any_names(self):
        """An imported framework has an "accessibility" of its own: nothing that ships may mean it by accident."""
        ids = {line[1:-1] for path in SHIPPED.glob("*.ini") for line in path.read_text().splitlines() if line[:1] == "["}
        other = self.words() / "other.ini"
        other.write_text("[vocabulary]\nformat = 1\nid = other\n" +
                         "".join(f"[{i}]\nen = {i}\n" for i in sorted(ids - {"vocabulary"})))
        self.whocan("vocabulary", "check", SHIPPED, self.words())

    def test_each_fault_has_its_line(self):
        head = "[vocabulary]\nformat = 1\nid = ours\n"
        said = self.check(head + "[a]\nen = A\nbroader = b\n[b]\nen = B\nbroader = a\n[a]\nen = C\nrelated = x:y\n", 2)
        self.assertIn("F:10: [a] of vocabulary ours is there twice\n", said)
        self.assertIn("F:7: [b] has ours:a as broader, which is narrower: a circle\n", said)
        self.assertIn("1 file: 2 concepts, 2 labels; 2 faults, 0 remarks: the daemon would not read this.\n", said)
        said = self.check(head.encode() + b"[a]\nen = \xff\x1b[2J\nnb = A\x1b[2J\xe2\x80\xae\nxx\x1b = 1\n", 2)
        self.assertIn("F:5: is not UTF-8\n", said)
        self.assertIn("F:7: unknown key \"xx\\u{1b}\"", said)  # what a file says never reaches the terminal as it is
        self.assertNotIn("\x1b", said)

    def test_a_shared_label_is_a_remark(self):
        text = "[vocabulary]\nformat = 1\nid = ours\n[a]\nen = Law\n[b]\nen = law\n"
        self.assertIn("F:7: remark: \"law\" is a label of [a] and of [b]", self.check(text, 1))
        path = self.directory / "ours.ini"
        result = json.loads(self.whocan("vocabulary", "check", path, "--json", status=1))
        self.assertEqual((result["right"], result["faults_count"], result["remarks_count"]), (True, 0, 1))
        self.assertEqual(result["faults"][0]["line"], 7)

    def test_what_cannot_be_read_is_said(self):
        self.assertIn("No such file", self.whocan("vocabulary", "check", self.directory / "none.ini", status=5))
        many = "[vocabulary]\nformat = 1\nid = ours\n" + "what\n" * 150
        self.assertIn("... and 50 more\n", self.check(many, 2))


class Import(Case):
    def make(self, *words, status=0):
        return self.whocan("vocabulary", "import", *words, "--output", self.directory / "made.ini", status=status)

    def test_tables_become_the_expected_files(self):
        for tables, golden in ((["skills_en.csv", "skills_no.csv"], "esco.ini"),
                               (["framework_skills.csv", "framework_roles.csv"], "gdad.ini")):
            self.make(*[FIXTURES / t for t in tables], "--yes")
            self.assertEqual((self.directory / "made.ini").read_text(), (FIXTURES / golden).read_text())
            self.whocan("vocabulary", "check", self.directory / "made.ini")

    def test_a_file_is_replaced_only_when_told(self):
        self.assertIn("5 concepts, 15 labels", self.make(FIXTURES / "skills_en.csv", FIXTURES / "skills_no.csv"))
        self.assertIn("--yes replaces it", self.make(FIXTURES / "skills_en.csv", status=5))
        said = json.loads(self.make(FIXTURES / "skills_en.csv", "--yes", "--json", "--name", "bees"))
        self.assertEqual((said["id"], said["concepts"]), ("bees", 5))
        self.assertIn("id = bees\n", (self.directory / "made.ini").read_text())

    def test_a_wrong_table_leaves_nothing(self):
        table = self.directory / "skills_en.csv"
        table.write_bytes(b"conceptUri,preferredLabel\nhttp://x/1,one\nhttp://x/2,\xff\n")
        self.assertIn("skills_en.csv: line 3: a label is not UTF-8", self.make(table, status=2))
        self.assertIn("two letters", self.make(table, "--language", "english", status=2))
        self.assertIn("a-z, 0-9 and '-'", self.make(table, "--name", "a/../b", status=2))
        self.assertIn("of another framework",
                      self.make(FIXTURES / "skills_en.csv", FIXTURES / "framework_skills.csv", status=2))
        self.assertEqual(list(self.directory.glob("made*")), [])


class Daemon(Case):
    def test_it_lists_and_exports_what_it_read(self):
        (self.words() / "esco.ini").write_text((FIXTURES / "esco.ini").read_text())
        leeds = self.office(SHIPPED, self.words())
        shown = self.whocan("vocabulary", "list", daemon=leeds)
        self.assertRegex(shown, r"(?m)^esco +ESCO skills +5 +15$")
        found = json.loads(self.whocan("vocabulary", "list", "KUBE", "ste", "--json", daemon=leeds))
        self.assertEqual([c["id"] for c in found["concepts"]], ["esco:0a0a"])
        self.assertEqual(found["concepts"][0]["labels"]["nb"][0], "holde bier")
        self.assertIn("web:blogging\n", self.whocan("vocabulary", "list", "weblog", daemon=leeds))
        self.assertIn("0 concepts.", self.whocan("vocabulary", "list", "zither", daemon=leeds))
        self.assertEqual(self.whocan("vocabulary", "export", "esco", daemon=leeds),
                         (FIXTURES / "esco.ini").read_text())
        self.assertIn("there is no vocabulary \"nothing\"",
                      self.whocan("vocabulary", "export", "nothing", status=4, daemon=leeds))

    def test_what_ships_survives_export_and_import(self):
        leeds = self.office(SHIPPED)
        for path in SHIPPED.glob("*.ini"):
            id_ = path.read_text().split("\nid = ")[1].split("\n")[0]
            self.whocan("vocabulary", "export", id_, "--output", self.words() / f"{id_}.ini", daemon=leeds)
        self.whocan("vocabulary", "check", self.words())
        york = self.daemon("york", flags=["--vocabulary", str(self.words())])
        for id_ in ("web", "digital", "leadership", "municipal"):
            self.assertEqual(self.exported(york, id_), self.exported(leeds, id_))

    def exported(self, daemon, id_):
        """A vocabulary, without the order of neighbours, which is that in which files were read."""
        vocabulary = json.loads(self.whocan("vocabulary", "export", id_, "--json", daemon=daemon))
        for concept in vocabulary["concepts"]:
            concept["related"].sort()
        return vocabulary

    def test_a_question_in_one_language_finds_the_other(self):
        for name in ("skills_en.csv", "skills_no.csv"):
            self.assertTrue((FIXTURES / name).exists())
        self.whocan("vocabulary", "import", FIXTURES / "skills_en.csv", FIXTURES / "skills_no.csv", "--output",
                    self.words() / "esco.ini")
        leeds = self.office(SHIPPED, self.words())
        leeds.import_rows([harness.row("alice", skills=["information security"]),
                           harness.row("bob", skills=["saksbehandling"]),
                           harness.row("carol", skills=["beekeeping"]),
                           harness.row("dan", skills=["lese været"]),
                           harness.row("erin", interests=["Reference group"])])
        for query, handle in (("informasjonssikkerhet", "alice"), ("case management", "bob"), ("birøkt", "carol"),
                              ("hvem kan hjelpe oss å holde bier", "carol"), ("read weather", "dan"),
                              ("referansegruppe", "erin")):
            self.assertEqual(leeds.handles(query), [f"{handle}@leeds"], query)


class Skills(Case):
    def test_skills_are_counted_and_completed(self):
        leeds = self.office(SHIPPED)
        leeds.import_rows([harness.row("alice", skills=["infosec", "Kettling"]),
                           harness.row("bob", skills=["informasjonssikkerhet", "ISO 27001"]),
                           harness.row("carol", skills=["kettling", {"name": "blogging", "learn": True}])])
        shown = self.whocan("skills", daemon=leeds)
        self.assertEqual(shown, " PEOPLE  SKILL\n      2  Information security\n      2  Kettling\n")
        found = json.loads(self.whocan("skills", "Infos", "--json", daemon=leeds))["skills"]
        self.assertEqual(found, [{"name": "Information security", "id": "municipal:information-security",
                                  "alias": "infosec", "people": 2}])
        self.assertIn("      0  Blogging  (weblog)\n", self.whocan("skills", "weblo", daemon=leeds))
        self.assertIn("1 of ", self.whocan("skills", "data", "--limit", 1, daemon=leeds))
        self.assertEqual(self.whocan("skills", "zither", daemon=leeds), "No skill begins so.\n")
        self.assertEqual(self.whocan("skills", "kettlnig", daemon=leeds),
                         "Nothing begins so; perhaps \"kettling\" was meant:\n PEOPLE  SKILL\n      2  Kettling\n")
        leeds.call("me.set", name="Root", skills=["kettling", "quilting"],
                   audience={"skills": {"quilting": "office", "kettling": "match"}})
        counts = {s["name"]: s["people"] for s in leeds.call("skills.list", prefix="")["skills"]}
        self.assertEqual(counts, {"Information security": 2, "Kettling": 2, "quilting": 1})


class Facets(Case):
    def test_those_who_match_are_counted(self):
        leeds = self.office(SHIPPED)
        leeds.import_rows([
            harness.row("alice", skills=[{"name": "infosec", "level": "expert"}, "Kettling"], title="Wharf keeper"),
            harness.row("bob", skills=[{"name": "informasjonssikkerhet", "level": "working"}, "ISO 27001"],
                        title="Wharf keeper"),
            harness.row("carol", skills=["kettling", {"name": "blogging", "learn": True}], title="Wharf keeper"),
            harness.row("dan", skills=["kettling"], title="Elsewhere")])
        leeds.call("me.set", name="Root", title="Wharf master", skills=["kettling", "quilting", "secrecy"],
                   audience={"skills": {"quilting": "office", "secrecy": "match"}})
        facets = leeds.call("people.find", query="wharf", limit=1, facets=True)["facets"]
        none = {"none": 0, "awareness": 0, "working": 0, "practitioner": 0, "expert": 0}
        self.assertEqual(facets, {
            "people": 4, "offices": [{"name": "leeds", "people": 4}],
            "skills": [{"name": "Kettling", "id": None, "people": 3, "levels": {**none, "none": 3}},
                       {"name": "Information security", "id": "municipal:information-security", "people": 2,
                        "levels": {**none, "working": 1, "expert": 1}},
                       {"name": "quilting", "id": None, "people": 1, "levels": {**none, "none": 1}}]})
        self.assertIsNone(leeds.call("people.find", query="wharf")["facets"])
        shown = self.whocan("find", "wharf", "--facets", daemon=leeds)
        self.assertIn(" PEOPLE  SKILL\n      3  Kettling\n      2  Information security  (working 1, expert 1)\n", shown)
        self.assertIn(" PEOPLE  OFFICE\n      4  leeds\n", shown)
        self.assertNotIn("PEOPLE", self.whocan("find", "zither", "--facets", daemon=leeds))


class Reload(Case):
    def reload(self, daemon, said):
        before = len(daemon.log())
        daemon.signal(signal.SIGHUP)
        harness.wait(lambda: said in daemon.log()[before:], f"the log says: {said}", alive=[daemon])

    def test_a_running_daemon_takes_up_what_was_imported(self):
        leeds = self.office(SHIPPED, self.words())
        leeds.import_rows([harness.row("alice", skills=["keep bees"]), harness.row("bob", skills=["read weather"])])
        self.assertEqual(leeds.handles("birøkt"), [])
        self.whocan("vocabulary", "import", FIXTURES / "skills_en.csv", FIXTURES / "skills_no.csv", "--output",
                    self.words() / "esco.ini")
        self.reload(leeds, "the index is up to the vocabulary: 2 people")
        self.assertEqual(leeds.handles("birøkt"), ["alice@leeds"])
        self.assertEqual(leeds.handles("værkunnskap"), ["bob@leeds"])
        self.assertIn("esco", [v["id"] for v in leeds.call("vocabulary.list")["vocabularies"]])
        leeds.import_rows([harness.row("carol", skills=["stelle kuber"])])
        self.assertIn("carol@leeds", leeds.handles("beekeeping"))
        (self.words() / "esco.ini").unlink()
        self.reload(leeds, "the index is up to the vocabulary: 3 people")
        self.assertEqual(leeds.handles("birøkt"), [])
        leeds.kill()  # what was written since stands in the index, and the index is complete
        leeds.start()
        self.assertEqual(leeds.handles("keep bees"), ["alice@leeds"])

    def test_a_wrong_file_changes_nothing(self):
        path = self.words() / "ours.ini"
        path.write_text("[vocabulary]\nformat = 1\nid = ours\n[a]\nen = Blogging | scribbling\n")
        leeds = self.office(self.words())
        leeds.import_rows([harness.row("alice", skills=["blogging"])])
        path.write_text("[vocabulary]\nformat = 1\nid = ours\n[a]\nen = Blogging\nbroader = b\n")
        self.reload(leeds, 'ours.ini:6: "b" is no concept, or several: write vocabulary:concept; '
                           "the vocabulary stays as it was")
        self.assertEqual(leeds.handles("scribbling"), ["alice@leeds"])


class Real(Case):
    @needs_real
    def test_the_published_tables_are_read_and_used(self):
        for tables, name in ((ESCO, "esco.ini"), (GDAD, "gdad.ini")):
            self.whocan("vocabulary", "import", *tables, "--output", self.words() / name)
        checked = json.loads(self.whocan("vocabulary", "check", SHIPPED, self.words(), "--json", status=1))
        self.assertEqual((checked["right"], checked["faults_count"]), (True, 0))
        leeds = self.office(SHIPPED, self.words())
        listed = {v["id"]: v for v in leeds.call("vocabulary.list")["vocabularies"]}
        self.assertGreaterEqual(listed["esco"]["concepts"], 1284 + 95)
        self.assertGreaterEqual(listed["gdad"]["concepts"], 188)
        security = json.loads(self.whocan("vocabulary", "list", "information", "security", "--limit", 100, "--json", daemon=leeds))
        self.assertIn("gdad:information-security", [c["id"] for c in security["concepts"]])
        gdad = json.loads(self.whocan("vocabulary", "export", "gdad", "--json", daemon=leeds))
        levels = next(c["levels"] for c in gdad["concepts"] if c["id"] == "accessibility")
        self.assertEqual(set(levels), {"awareness", "working", "practitioner", "expert"})
        leeds.import_rows([harness.row("alice", skills=["incremental development"]),
                           harness.row("bob", skills=["Haskell"]),
                           harness.row("carol", skills=["show initiative"]),
                           harness.row("dan", title="Lead data engineer"),
                           harness.row("erin", skills=["informasjonssikkerhet"])])
        for query, handle in (("gradual development", "alice"), ("Haskell techniques", "bob"),
                              ("who can take the initiative", "carol"), ("head of data engineering", "dan"),
                              ("infosec", "erin")):
            self.assertEqual(leeds.handles(query)[:1], [f"{handle}@leeds"], query)


if __name__ == "__main__":
    harness.main()
