#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""whocan doctor, damage that is found and mended, and whocand --check-state."""
import json
import os
import random
import subprocess
import unittest

import harness
from harness import row, wait

SKILLS = ["welding", "gardening", "blogging", "mapping", "nursing", "law"]
OTHERS = ["roads", "archives", "cooking", "testing", "planning"]


class Doctor(harness.Case):
    def setUp(self):
        super().setUp()
        self.leeds = self.daemon("leeds")
        self.leeds.import_rows([row(f"p{i:03}", title="Officer", skills=[SKILLS[i % 6], OTHERS[i % 5]])
                                for i in range(150)])
        self.data = self.leeds.state / "index" / "data.mdb"

    def doctor(self, *words, status=0):
        done = harness.whocan(self.leeds, "doctor", *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def answers(self):
        return [[p["handle"] for p in self.leeds.call("people.find", query=q, limit=50)["people"]]
                for q in ("welding", "gardening roads", "p007", "blging")]

    def flip(self, path, at, bits=1):
        with open(path, "r+b", buffering=0) as file:
            byte = os.pread(file.fileno(), 1, at)[0]
            os.pwrite(file.fileno(), bytes([byte ^ bits]), at)

    def flip_postings(self):
        """The logins in the documents of the newest state: no search reads them before it has found somebody."""
        data = self.data.read_bytes()
        places = [i for i in range(len(data) - 5) if data[i:i + 5] == b"\x04p149"]
        self.assertTrue(places)
        for at in places:
            self.flip(self.data, at + 2)

    def check_state(self, status):
        done = subprocess.run(self.leeds.command("--check-state"), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_all_is_well(self):
        self.assertIn("All is well.", self.doctor())
        self.assertNotIn("Samples", self.doctor("--full"))
        result = json.loads(self.doctor("--json", "--full"))
        self.assertTrue(result["ok"] and result["full"])
        self.assertEqual([c["name"] for c in result["checks"]],
                         ["records", "values", "words", "postings", "people", "same"])
        self.assertTrue(all(c["looked"] > 0 and c["faults"] == 0 and c["first"] is None for c in result["checks"]))
        before = self.answers()
        self.assertIn("was built anew, and all is well", self.doctor("--rebuild"))
        self.assertEqual(self.answers(), before)
        lines = harness.whocan(self.leeds, "audit").stdout
        self.assertIn("node.check", lines)

    def test_damage_while_running_is_found_and_mended(self):
        before = self.answers()
        self.flip_postings()
        said = self.doctor(status=1)
        self.assertIn("FAULT  the index is as it was written", said)
        self.assertIn("the index was built anew", said)
        self.assertEqual(self.answers(), before)
        self.assertIn("All is well.", self.doctor("--full"))
        metrics = self.leeds.call("node.metrics")["text"]
        self.assertIn("\nwhocan_index_damaged_total 1\n", metrics)
        self.assertIn("\nwhocan_index_rebuilds_total 1\n", metrics)
        self.assertIn("\nwhocan_index_building 0\n", metrics)

    def test_a_search_that_meets_damage_says_so_and_has_it_mended(self):
        before = self.answers()
        self.flip_postings()
        with self.assertRaises(harness.RpcError) as caught:  # it shows the one whose document is damaged
            self.leeds.call("people.find", query="p149")
        self.assertEqual(caught.exception.code, "BUSY")
        self.assertIn("being built anew", caught.exception.message)

        def mended():
            try:
                return self.answers() == before
            except harness.RpcError as error:
                self.assertEqual(error.code, "BUSY")
                return False
        wait(mended, "it was built anew", alive=[self.leeds])
        self.assertIn("the search index is damaged", self.leeds.log())
        self.assertIn("the search index was built anew: 150 people", self.leeds.log())

    def test_damage_while_stopped_or_killed(self):
        seed = int(os.environ.get("WHOCAN_SEED", random.SystemRandom().getrandbits(32)))
        print(f"seed {seed}")
        generator = random.Random(seed)
        before = self.answers()
        for end in (self.leeds.stop, self.leeds.kill, self.leeds.stop):
            end()
            for _ in range(40):
                self.flip(self.data, generator.randrange(self.data.stat().st_size), generator.randrange(1, 256))
            self.leeds.start()
            self.assertEqual(self.answers(), before)
        self.assertIn("the search index was damaged", self.leeds.log())

    def test_slow_searches_are_noted_without_their_text(self):
        self.leeds.restart("--slow-find", "1")
        before = len(self.leeds.log())
        found = self.leeds.call("people.find", query="officer wlding", limit=150)  # 150 reasons take more than 1 ms
        self.assertEqual(len(found["people"]), 150)
        said = self.leeds.log()[before:]
        self.assertIn("a slow find: ", said)
        self.assertIn(" 2 words (1 corrected), ", said)
        for word in ("officer", "wlding", "welding", "p001"):
            self.assertNotIn(word, said.lower())
        self.assertIn("\nwhocan_slow_finds_total 1\n", self.leeds.call("node.metrics")["text"])

    def test_a_search_is_explained(self):
        self.assertIsNone(self.leeds.call("people.find", query="welding")["explain"])
        found = self.leeds.call("people.find", query="wlding roads", limit=5, explain=True)
        explain = found["explain"]
        self.assertEqual([(w["word"], w["corrected"]) for w in explain["words"]], [("welding", True), ("roads", False)])
        term = explain["words"][0]["terms"][0]
        self.assertEqual((term["kind"], term["text"], term["people"], term["weight"]), ("word", "welding", 25, 0.75))
        self.assertEqual(term["pieces"], 1)
        self.assertGreaterEqual(term["read"], 1)
        self.assertEqual([p["login"] for p in explain["people"]],
                         [p["handle"].split("@")[0] for p in found["people"]])
        for person, shown in zip(explain["people"], found["people"], strict=True):
            self.assertEqual(person["score"], shown["score"])
            self.assertTrue(person["terms"] and all(t["share"] > 0 for t in person["terms"]))
        self.assertEqual(list(explain["times_us"]), ["read", "words", "lists", "people", "reasons"])
        text = harness.whocan(self.leeds, "find", "--explain", "wlding", "roads").stdout
        for part in ("What was looked for", "corrected", "What each has of it", "Time: read "):
            self.assertIn(part, text)

    def test_questions_that_say_nothing(self):
        found = self.leeds.call("people.find", query="who can help")
        self.assertTrue(found["stops_only"])
        self.assertFalse(self.leeds.call("people.find", query="who can weld welding")["stops_only"])
        text = harness.whocan(self.leeds, "find", "the").stdout
        self.assertIn("words that questions are made of", text)
        for query, code in (("", "INVALID"), ("?! ...", "INVALID"), ("\x00\x01\x1b\x7f", "INVALID"), ("\u202e\u200b", "INVALID"),
                            ("word " * 10000, "TOOBIG"), (b"\xff\xfe", "TYPE")):
            with self.subTest(query=query[:20]), self.refused(code, "query"):
                self.leeds.call("people.find", query=query)
        with self.leeds.client() as client:  # a str that is not UTF-8, which the library would not send
            raw = b"\x94\x00\x07\xabpeople.find\x91\x81\xa5query\xa4caf\xe9"
            client.send_bytes(raw)
            self.assertIn("UTF-8", client.response(7)[2]["message"])
        self.assertEqual(self.leeds.call("people.find", query="\x07welding\x1b\u202e")["people"][0]["skills"][0]["name"],
                         "welding")

    def test_the_state_of_a_stopped_daemon(self):
        self.assertIn("is using the state directory", self.check_state(1))
        self.leeds.stop()
        self.assertIn("All is well.", self.check_state(0))
        self.flip_postings()
        said = self.check_state(1)
        self.assertIn("ok     the records are as they were stored", said)
        self.assertIn("FAULT  the search index is as it was written", said)
        self.assertIn("nothing is lost", said)
        records = self.leeds.state / "records" / "data.mdb"
        data = records.read_bytes()
        self.flip(records, data.rindex(b"Officer"))
        said = self.check_state(1)
        self.assertIn("FAULT", said)
        self.assertIn("backup", said)
        done = harness.whocan(self.leeds, "doctor")
        self.assertEqual(done.returncode, 3)
        self.assertIn("whocand --check-state", done.stderr)


if __name__ == "__main__":
    unittest.main()
