#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""debian-people: from a small invented package list to people without names, and its refusals."""

import collections
import glob
import json
import lzma
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "tests", "real", "debian-people")
LEVELS = {"awareness", "working", "practitioner", "expert"}
LIST_TEAM = "Debian Moving Pictures Team <pictures@lists.debian.example>"


def stanza(**fields):
    return "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"


def package(name, maintainer, description, section="misc", tags="", source=None):
    fields = {"Package": name, "Maintainer": maintainer, "Description": description, "Section": section}
    if source:
        fields["Source"] = source
    if tags:
        fields["Tag"] = tags
    return stanza(**fields)


def packages_text():
    text = [
        package("reelwright", LIST_TEAM, "versatile video transcoder", "video",
                "role::program, use::converting,\n works-with::video"),
        package("libreelwright-dev", LIST_TEAM, "versatile video transcoder (development files)", "libdevel",
                source="reelwright (1.2)"),
        package("inkpost", "Wilhelmina Quackenbush <mina.q@quackenbush.example>", "small weblog publisher", "web",
                "role::program, web::blog"),
        package("solo", "solitaire <solitaire@hermit.example>", "odd thing without any known subject"),
        package("hermit-tools", "solitaire <solitaire@hermit.example>", "tools by solitaire for backups", "admin"),
        package("chat-relay", "Bartholomew Zyskowski <bz@zysk.example>", "relay by Wilhelmina Quackenbush", "net"),
        package("post-office", "Bartholomew Zyskowski <office@packages.debian.example>", "spam filter", "mail"),
        package("nobody-known", "Kea <kea@packages.debian.example>", "DHCP server", "net"),
        package("mailto", "Ottoline Färber (work) <ottoline@faerber.example>", "write to help@faerber.example", "mail"),
        package("maily", "Ottoline Färber <of@elsewhere.example>", "IMAP mail server", "contrib/mail"),
    ]
    for number in range(120):
        maintainer = "Prolific Dogsbody <dogsbody@busy.example>"
        text.append(package(f"busy{number}", maintainer, f"chess game number {number} " + "with words " * 30, "games",
                            f"game::board:chess, culture::c{number}, protocol::p{number}, use::playing, "
                            f"works-with::audio"))
    for number in range(60):
        text.append(package(f"crowd{number}", f"Person{number} Crowdling <p{number}@crowd.example>", "JSON parser"))
    return "".join(text)


def sources_text():
    return (stanza(Package="reelwright", Maintainer=LIST_TEAM, Section="video",
                   Uploaders="\"Featherstone, Cuthbert\" <cf@feather.example>,\n Ottoline Färber <of@elsewhere.example>")
            + stanza(Package="not-built-here", Maintainer="Wilhelmina Quackenbush <mina.q@quackenbush.example>", Section="rust"))


class DebianPeopleTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.packages = self.write("Packages", packages_text())
        self.sources = self.write("Sources", sources_text())

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_program(self, *arguments):
        return subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    def make(self, *arguments, out="out"):
        """Run with the two lists; the bytes of every file written."""
        out = os.path.join(self.directory, out)
        done = self.run_program("--packages", self.packages, "--sources", self.sources, "--out", out, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        files = {}
        for path in sorted(glob.glob(os.path.join(out, "*"))):
            with open(path, "rb") as file:
                files[os.path.basename(path)] = file.read()
        return files

    @staticmethod
    def people(files):
        return [json.loads(line) for name, data in sorted(files.items()) if name.endswith(".jsonl")
                for line in data.decode().splitlines()]

    def person_of(self, files, package_name):
        """Everybody who has the package, found by the file that is for judging."""
        handles = {line.split("\t")[0] for line in files["packages.tsv"].decode().splitlines()
                   if re.match(package_name + r"(:|$)", line.split("\t")[1])}
        return [person for person in self.people(files) if person["handle"] in handles]

    def assert_refused(self, done, text):
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        self.assertRegex(done.stderr, r"\Adebian-people: [^\n]*\n\Z")
        self.assertIn(text, done.stderr)

    def test_no_real_name_or_address_is_left(self):
        text = b"\n".join(self.make().values()).decode().lower()
        for word in ("quackenbush", "wilhelmina", "mina.q", "zyskowski", "bartholomew", "dogsbody", "prolific",
                     "solitaire", "hermit", "färber", "faerber", "ottoline", "featherstone", "cuthbert", "crowdling",
                     "elsewhere", "busy.example", "lists.debian"):
            self.assertNotIn(word, text)
        self.assertEqual(set(re.findall(r"@[\w.-]+", text)), {"@debian.example"})

    def test_limits_are_kept(self):
        people = self.people(self.make())
        for person in people:
            with self.subTest(person["handle"]):
                self.assertRegex(person["handle"], r"^[a-z0-9][a-z0-9._-]{0,31}$")
                for key in ("name", "title", "team"):
                    self.assertTrue(1 <= len(person.get(key, "-").encode()) <= 200)
                self.assertTrue(1 <= len(person["skills"]) <= 64)
                self.assertLessEqual({skill["level"] for skill in person["skills"]}, LEVELS)
                words = [skill["name"] for skill in person["skills"]] + person.get("interests", [])
                self.assertTrue(all(1 <= len(word.encode()) <= 100 for word in words))
                self.assertLessEqual(len(person.get("interests", [])), 32)
                self.assertLessEqual(len(person.get("ask_me_about", "").encode()), 1000)
                self.assertLess(len(json.dumps(person, ensure_ascii=False).encode()), 16384)
        busy = max(people, key=lambda person: len(person["skills"]))
        self.assertGreater(len(busy["skills"]), 40)
        self.assertGreater(len(busy["ask_me_about"]), 700)

    def test_skills_come_from_sections_tags_and_descriptions(self):
        files = self.make()
        (blogger,) = self.person_of(files, "inkpost")
        self.assertEqual({skill["name"] for skill in blogger["skills"]}, {"blogs", "web applications", "Rust"})
        self.assertIn("inkpost: small weblog publisher", blogger["ask_me_about"])
        (busy,) = self.person_of(files, "busy7")
        levels = {skill["name"]: skill["level"] for skill in busy["skills"]}
        self.assertEqual((levels["chess"], levels["C1 language support"]), ("expert", "awareness"))
        self.assertEqual(busy["interests"], ["playing audio"])

    def test_uploaders_are_the_people_of_a_team(self):
        people = self.person_of(self.make(), "reelwright")
        self.assertEqual(len(people), 2)
        for person in people:
            self.assertEqual(person["team"], "Debian Moving Pictures Team")
            self.assertIn({"name": "video transcoding", "level": "awareness"}, person["skills"])
            self.assertIn("converting video", person["interests"])

    def test_one_name_is_one_person_and_an_address_of_a_list_is_none(self):
        files = self.make()
        names = collections.Counter(person["name"] for person in self.people(files))
        # Quackenbush, solitaire, Zyskowski, Färber, Dogsbody, Featherstone and the sixty; Kea and the team are nobody.
        self.assertEqual((len(names), max(names.values())), (66, 1))
        self.assertEqual(self.person_of(files, "nobody-known"), [])
        self.assertEqual(len(self.person_of(files, "post-office")), 1)
        (maily,) = self.person_of(files, "maily")
        self.assertIn(maily, self.person_of(files, "reelwright"))

    def test_same_input_same_bytes_and_another_key_other_names(self):
        self.assertEqual(self.make(out="one"), self.make(out="two"))
        first = {person["name"] for person in self.people(self.make(out="one"))}
        other = {person["name"] for person in self.people(self.make("--key", "other", out="three"))}
        self.assertNotEqual(first, other)

    def test_a_pseudonym_is_never_a_name_in_the_lists(self):
        before = self.person_of(self.make(out="before"), "inkpost")[0]["name"]
        text = packages_text() + package("namesake", f"{before} <namesake@other.example>", "PDF viewer", "text")
        self.packages = self.write("Packages", text)
        after = self.make(out="after")
        self.assertNotIn(before, {person["name"] for person in self.people(after)})
        self.assertEqual(len(self.person_of(after, "inkpost")), 1)

    def test_offices_share_the_people(self):
        files = self.make("--offices", "4")
        handles = [[json.loads(line)["handle"] for line in files[f"office{number}.jsonl"].splitlines()]
                   for number in (1, 2, 3, 4)]
        self.assertEqual(sum(map(len, handles)), len(set().union(*handles)))
        self.assertTrue(all(handles))
        everybody = {person["handle"] for person in self.people(self.make("--offices", "1", out="single"))}
        self.assertEqual(set().union(*handles), everybody)

    def test_limit_takes_the_first(self):
        everybody = self.people(self.make("--offices", "1"))
        self.assertEqual(self.people(self.make("--offices", "1", "--limit", "5", out="few")), everybody[:5])

    @unittest.skipUnless(os.access("/usr/lib/apt/apt-helper", os.X_OK), "apt is not here")
    def test_a_compressed_list_gives_the_same(self):
        plain = self.make(out="plain")
        with lzma.open(self.packages + ".xz", "wb") as file:
            file.write(packages_text().encode())
        self.packages += ".xz"
        self.assertEqual(self.make(out="packed"), plain)

    def test_refusals_are_one_line(self):
        out = os.path.join(self.directory, "out")
        for name, text, said in (("empty", "", "apt-get update"), ("prose", "Call me Ishmael.\n" * 9, "not a list of pac"),
                                 ("teams", package("reelwright", LIST_TEAM, "a film tool"), "no person")):
            with self.subTest(name):
                self.assert_refused(self.run_program("--out", out, "--packages", self.write(name, text)), said)
                self.assertFalse(os.path.exists(out))
        self.assert_refused(self.run_program("--out", out, "--packages", "/nonexistent/Packages"), "cannot read")
        self.assert_refused(self.run_program("--out", out, "--packages", self.directory), "cannot read")
        with open(os.path.join(self.directory, "noise.xz"), "wb") as file:
            file.write(bytes(range(256)) * 40)
        self.assert_refused(self.run_program("--out", out, "--packages", file.name), "cannot read")
        done = self.run_program("--out", self.packages, "--packages", self.packages)
        self.assert_refused(done, "File exists")

    def test_wrong_options_are_refused(self):
        for arguments in (("--offices", "0"), ("--offices", "65"), ("--limit", "none"), ("--nonsense",)):
            with self.subTest(arguments):
                done = self.run_program("--out", self.directory, *arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(arguments[0], done.stderr)


class QuestionsTest(unittest.TestCase):
    def test_each_question_has_what_its_judge_needs(self):
        with open(os.path.join(ROOT, "tests", "real", "questions.tsv"), encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
        self.assertEqual(len(rows), 6)
        for question, with_sources, packages_only, pattern in rows:
            with self.subTest(question):
                self.assertTrue(1 <= int(packages_only) <= int(with_sources) <= 5)
                # A pattern that any package meets would judge nothing.
                self.assertIsNone(re.search(pattern, "apache2: web server | documentation", re.IGNORECASE))


if __name__ == "__main__":
    unittest.main()
