#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The first command of the README: it answers, it can be repeated, and it leaves nothing behind."""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Try(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="try ")
        self.addCleanup(holder.cleanup)
        # A space in its path, and longer than the path of a socket may be.
        self.dir = pathlib.Path(holder.name) / ("long " * 20).strip() / "try"
        self.dir.parent.mkdir()
        self.addCleanup(self.run_try, "stop")

    def run_try(self, *words, status=0):
        env = dict(os.environ, WHOCAN_TRY_DIR=str(self.dir))
        env.pop("SUDO_USER", None)
        done = subprocess.run(["sh", str(ROOT / "packaging" / "try"), *words], cwd="/", env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (status, ""), done.stdout)
        return done.stdout

    def daemons(self):
        """Command lines of running daemons that work in our directory."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if entry.name.isdigit() and "whocand" in line and str(self.dir) in line:
                found.append(line)
        return found

    def test_answer_again_and_stop(self):
        for _ in range(2):
            said = self.run_try()
            self.assertIn("who can help?", said)
            # Handles of people of all three offices, who do what was asked for.
            offices = set(re.findall(r"\b[a-z0-9._-]+@(harbour|moor|town)\b", said))
            self.assertEqual(offices, {"harbour", "moor", "town"}, said)
            self.assertRegex(said, r"(?i)blog")
            self.assertEqual(len(self.daemons()), 3)
            self.assertEqual(len(re.findall(r": 300 people", self.run_try("status"))), 3)
        sockets = pathlib.Path((self.dir / "sockets").read_text().strip())
        self.assertTrue(sockets.is_dir())
        self.run_try("stop")
        self.assertEqual(self.daemons(), [])
        self.assertFalse(sockets.exists())
        self.assertEqual(list(self.dir.parent.iterdir()), [])
        self.run_try("status", status=3)
        self.run_try("stop")


if __name__ == "__main__":
    unittest.main()
