#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sample council: its files are what the generator writes, within the limits of a profile."""

import json
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLE = os.path.join(ROOT, "packaging", "sample")
OFFICES = ("harbour", "moor", "town")
KEYS = {"handle", "name", "title", "team", "skills", "interests", "ask_me_about", "languages", "email"}
LEVELS = {"awareness", "working", "practitioner", "expert"}
BLOG_WORDS = re.compile(r"blog|WordPress", re.IGNORECASE)


def read_people(office):
    with open(os.path.join(SAMPLE, office + ".jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class SampleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.people = {office: read_people(office) for office in OFFICES}

    def everybody(self):
        for office, people in self.people.items():
            for person in people:
                yield f"{office}: {person.get('handle')}", person

    def test_generator_reproduces_the_files(self):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([os.path.join(SAMPLE, "generate"), "--out", directory], check=True)
            self.assertEqual(sorted(os.listdir(directory)), [office + ".jsonl" for office in OFFICES])
            for office in OFFICES:
                with open(os.path.join(directory, office + ".jsonl"), "rb") as made, \
                        open(os.path.join(SAMPLE, office + ".jsonl"), "rb") as kept:
                    self.assertEqual(made.read(), kept.read(), office)

    def test_about_three_hundred_people(self):
        for office, people in self.people.items():
            self.assertTrue(80 <= len(people) <= 120, f"{office}: {len(people)}")

    def test_handles_are_logins_and_unique(self):
        for who, person in self.everybody():
            with self.subTest(who):
                self.assertRegex(person["handle"], r"^[a-z0-9][a-z0-9._-]{0,31}$")
        for office, people in self.people.items():
            handles = [person["handle"] for person in people]
            self.assertEqual(len(handles), len(set(handles)), office)

    def test_limits_of_each_field(self):
        for who, person in self.everybody():
            with self.subTest(who):
                self.assertLessEqual(set(person), KEYS)
                for key in ("name", "title", "team"):
                    self.assertTrue(1 <= len(person[key].encode()) <= 200, key)
                self.assertLessEqual(len(person.get("ask_me_about", "").encode()), 1000)
                self.assertLessEqual(len(person["email"].encode()), 254)
                self.assertTrue(person["email"].endswith(".example"))
                self.assertTrue(1 <= len(person["languages"]) <= 16)
                self.assertTrue(all(1 <= len(item.encode()) <= 32 for item in person["languages"]))
                self.assertLess(len(json.dumps(person, ensure_ascii=False).encode()), 16384)

    def test_limits_of_skills_and_interests(self):
        for who, person in self.everybody():
            with self.subTest(who):
                names = [skill["name"] for skill in person["skills"]]
                self.assertTrue(1 <= len(names) <= 64)
                self.assertTrue(1 <= len(person["interests"]) <= 32)
                for words in (names, person["interests"]):
                    self.assertEqual(len(words), len(set(words)))
                    self.assertTrue(all(1 <= len(word.encode()) <= 100 for word in words))
                self.assertLessEqual({skill["level"] for skill in person["skills"]}, LEVELS)

    def test_each_office_has_people_for_the_blog_that_no_title_shows(self):
        for office, people in self.people.items():
            blog = [person for person in people if BLOG_WORDS.search(json.dumps(person["skills"]) + json.dumps(
                person["interests"]) + person.get("ask_me_about", ""))]
            self.assertTrue(2 <= len(blog) <= 8, f"{office}: {[person['handle'] for person in blog]}")
            for person in blog:
                self.assertNotRegex(person["title"], r"(?i)blog|web|content|communication|editor|media")

    def test_norwegian_is_there(self):
        text = " ".join(json.dumps(person, ensure_ascii=False) for _, person in self.everybody())
        for word in ("blogging på norsk", "nettsted", "informasjonssikkerhet", "geografisk informasjon"):
            self.assertIn(word, text.lower())


if __name__ == "__main__":
    unittest.main()
