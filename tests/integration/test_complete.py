#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""import --complete: rows that the file lacks end, and nobody goes by mistake."""
import json

import harness
from harness import row


class Complete(harness.Case):
    def setUp(self):
        super().setUp()
        self.leeds = self.daemon("leeds")
        self.rows = [row(f"p{i:04}") for i in range(1100)]
        self.leeds.import_rows(self.rows)
        self.leeds.call("me.set", name="Root", skills=["welding"])  # a profile without a row

    def run_import(self, rows, *flags):
        path = self.directory / "people.jsonl"
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
        return harness.whocan(self.leeds, "import", path, "--complete", *flags)

    def logins(self):
        return {h.split("@")[0] for h in self.leeds.people()}

    def test_rows_that_the_file_lacks_end(self):
        self.assertEqual(self.run_import(self.rows).returncode, 0)
        self.assertEqual(len(self.logins()), 1101)
        done = self.run_import(self.rows[3:], "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 rows would be retired: p0000, p0001, p0002", done.stdout)
        self.assertEqual(len(self.logins()), 1101)
        done = self.run_import(self.rows[3:], "--json")
        self.assertEqual(json.loads(done.stdout)["retired"], ["p0000", "p0001", "p0002"])
        self.assertEqual(self.logins(), {r["handle"] for r in self.rows[3:]} | {"root"})
        self.assertEqual(json.loads(self.run_import(self.rows[3:], "--json").stdout)["retired"], [])
        self.assertEqual(self.leeds.call("people.find", query="example", limit=1000)["total"], 1097)
        # who comes back into the directory is there again
        self.assertEqual(self.run_import(self.rows).returncode, 0)
        self.assertEqual(len(self.logins()), 1101)

    def test_many_need_a_word(self):
        for lacking in (101, 600, 1100):  # more than a hundred; more than a tenth; all of them
            done = self.run_import(self.rows[lacking:])
            self.assertEqual(done.returncode, 2, lacking)
            self.assertIn(f"lacks {lacking} of the 1100 people", done.stderr)
            self.assertIn("--yes", done.stderr)
            self.assertEqual(len(self.logins()), 1101)
        self.assertEqual(self.run_import(self.rows[600:], "--yes").returncode, 0)
        self.assertEqual(self.logins(), {r["handle"] for r in self.rows[600:]} | {"root"})

    def test_a_refused_row_keeps_everybody(self):
        done = self.run_import([{**self.rows[5], "email": "no address"}, *self.rows[6:]], "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody's row is retired", done.stderr)
        self.assertEqual(len(self.logins()), 1101)

    def test_only_logins_are_retired(self):
        with self.refused("INVALID", "handles"):
            self.leeds.call("people.retire", handles=["p0000", "p0001@york"])
        self.assertEqual(len(self.logins()), 1101)
        self.assertEqual(self.leeds.call("people.retire", handles=["p0000", "root", "nobody"]), {"retired": 1})
        self.assertIn("root", self.logins())


if __name__ == "__main__":
    harness.main()
