#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon and the command under valgrind, which sees what the sanitizers do not: memory that was never written."""
import json
import os
import shutil
import signal
import subprocess
import unittest

import harness

MEMORY = harness.ROOT / "tests" / "memory"
UNDER_VALGRIND = dict(os.environ, WHOCAN_VALGRIND="1")


@unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
class Memory(harness.Case):
    def office(self, name, *joins):
        flags = [word for address in joins for word in ("--join", address)]
        return self.daemon(name, flags=flags, wrapper=[str(MEMORY)], environment={"WHOCAN_VALGRIND": "1"})

    def whocan(self, office, *words, text=None):
        done = subprocess.run([str(MEMORY), str(harness.WHOCAN), "--socket", str(office.socket), *words], input=text,
                              env=UNDER_VALGRIND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def test_a_day_of_two_offices(self):
        organisation = self.organisation()
        leeds = self.office("leeds")
        self.whocan(leeds, "office", "join", organisation.invite("leeds"))
        york = self.office("york", leeds.address())
        rows = [harness.row(f"p{n}", skills=[{"name": "blogging", "level": "expert"}, "Welsh"]) for n in range(30)]
        self.whocan(york, "import", "-", "--format", "jsonl", "--quiet",
                    text="".join(json.dumps(row) + "\n" for row in rows))
        york.call("office.join", invite=organisation.invite("york"))
        harness.wait_linked([leeds, york])
        harness.wait_same_people([leeds, york], 30)

        self.assertEqual(len(json.loads(self.whocan(leeds, "find", "blogging", "--json"))["people"]), 10)
        last = self.whocan(leeds, "ask", "who blogs in Welsh?", "--json", "--wait", "60").splitlines()[-1]
        self.assertEqual({**json.loads(last), "event": "done"}["offices_heard"], 2)
        leeds.call("me.set", name="Ann Example", skills=["sign language"])
        harness.wait(lambda: york.handles("sign language"), "the profile is found in york")
        self.assertEqual(len(self.whocan(york, "export").splitlines()), 30)
        for words in (["offices"], ["status"], ["show", "p1@york"]):
            self.whocan(leeds, *words)
        leeds.signal(signal.SIGHUP)
        harness.wait(lambda: "read again" in leeds.log(), "leeds has reloaded")

        for office in (york, leeds):
            office.restart()
            self.assertTrue(office.handles("blogging"))
            office.stop()  # its exit status is valgrind's: not 0 after an error or a leak


if __name__ == "__main__":
    harness.main()
