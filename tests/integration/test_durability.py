#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing that was acknowledged is lost: not by kill -9, not by a full disk, not by a disk that fails."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import row, wait, wait_same_people

SMALL = os.environ.get("WHOCAN_SMALL") == "1"


class Killed(harness.Case):
    def test_every_acknowledged_row_is_there_after_kill_9(self):
        seed = int(os.environ.get("WHOCAN_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"seed {seed}")
        chance = random.Random(seed)
        leeds = self.daemon("leeds")
        acknowledged, number = set(), 0
        for _ in range(3 if SMALL else 8):
            with leeds.client() as client:
                ids = {}

                def feed(first=number, client=client, ids=ids):
                    with contextlib.suppress(OSError):
                        for i in range(500):
                            logins = [f"p{first + i * 20 + k}" for k in range(20)]
                            ids[i + 1] = logins
                            client.send("people.import", {"rows": [row(login, ask_me_about="x" * 500) for login in logins]})

                feeder = threading.Thread(target=feed)
                feeder.start()
                until = chance.randrange(1, 60)
                for _ in range(until):
                    message = client.response()
                    self.assertEqual(message[3], {"accepted": 20, "unchanged": 0, "refused": []})
                    acknowledged.update(ids[message[1]])
                leeds.kill()
                # what came before the end was acknowledged as well
                with contextlib.suppress(OSError):
                    while (message := client.receive()) is not None:
                        acknowledged.update(ids[message[1]])
                feeder.join()
            number += 10000
            leeds.start()
            held = {handle.split("@")[0] for handle in leeds.people()}
            self.assertEqual(acknowledged - held, set())
            self.assertEqual(leeds.status()["people"], len(held))
        self.assertEqual(len(leeds.handles("example", limit=1000)), min(1000, len(held)))

    def test_a_profile_that_was_acknowledged_is_there(self):
        leeds = self.daemon("leeds")
        for i in range(5):
            rev = leeds.call("me.set", name=f"Root {i}", skills=[f"skill{i}"])["rev"]
            leeds.kill()
            leeds.start()
            me = leeds.call("me.show")
            self.assertEqual((me["rev"], me["profile"]["name"]), (rev, f"Root {i}"))
            self.assertEqual(leeds.handles(f"skill{i}"), ["root@leeds"])

    def test_an_office_killed_among_others_agrees_with_them_again(self):
        leeds, york = daemons = self.offices("leeds", "york")
        for i in range(4):
            with leeds.client() as client:
                for k in range(20):
                    client.send("people.import", {"rows": [row(f"p{i}-{k}-{n}") for n in range(50)]})
                client.response()
                leeds.kill()
            leeds.start()
            wait(lambda: leeds.status()["people"] == york.status()["people"] > 0, "both know the same people",
                 alive=daemons)
        # a sequence number is never used twice: york would have refused or reported it
        self.assertNotIn("two contents", york.log())
        self.assertEqual(set(york.people(office="leeds")), set(leeds.people()))

    def test_killed_while_joining_it_is_one_office_or_the_other(self):
        organisation = self.organisation()
        count = 500 if SMALL else 3000
        for attempt, moment in enumerate((0.0, 0.02, 0.06, 0.12, 0.25)):
            leeds = self.daemon(f"attic{attempt}")
            leeds.import_rows([row(f"p{i}", skills=["welding"]) for i in range(count)])
            with leeds.client() as client:
                client.send("office.join", {"invite": organisation.invite(f"leeds{attempt}")})
                time.sleep(moment)  # the moment of the kill is what varies: every one must be good
                leeds.kill()
            leeds.start()
            shown = leeds.call("office.show")
            self.assertIn((shown["name"], shown["mode"]),
                          ((f"attic{attempt}", "standalone"), (f"leeds{attempt}", "member")))
            people = leeds.people(all=True)
            self.assertEqual(set(people), {f"p{i}@{shown['name']}" for i in range(count)})
            wait(lambda d=leeds: d.status()["people"] == count, "nobody is counted twice", alive=[leeds])
            self.assertEqual(leeds.call("people.find", query="welding")["total"], count)
            self.assertEqual(list(leeds.offices()), [shown["name"]])
            leeds.stop()


@unittest.skipUnless(os.geteuid() == 0, "needs root, to mount a small file system")
class FullDisk(harness.Case):
    def setUp(self):
        super().setUp()
        self.small = self.directory / "small"
        self.small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=755", "tmpfs", str(self.small)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.small)], check=False)

    def daemon_on_small_disk(self):
        leeds = self.new_daemon("leeds")
        leeds.state = self.small / "state"
        return leeds.start()

    def fill(self, daemon, prefix="p"):
        """Import until the disk is full; the logins that were acknowledged, and the error."""
        acknowledged = set()
        with daemon.client() as client:
            for i in range(1000):
                logins = [f"{prefix}{i}-{k}" for k in range(50)]
                try:
                    result = client.call("people.import", rows=[row(n, ask_me_about="x" * 900) for n in logins])
                except harness.RpcError as error:
                    return acknowledged, error
                self.assertEqual(result["refused"], [])
                acknowledged.update(logins)
        raise AssertionError("the disk was never full")

    def test_a_full_disk_is_one_clear_error_and_changes_nothing(self):
        leeds = self.daemon_on_small_disk()
        acknowledged, error = self.fill(leeds)
        self.assertEqual(error.code, "FULL")
        self.assertIn("disk", error.message)
        self.assertTrue(acknowledged)
        self.assertEqual({h.split("@")[0] for h in leeds.people()}, acknowledged)
        more, error = self.fill(leeds, "q")  # a smaller commit may find space where a larger did not
        self.assertEqual(error.code, "FULL")
        acknowledged |= more
        held = {h.split("@")[0] for h in leeds.people()}
        self.assertEqual(held, acknowledged)
        self.assertTrue(any("full" in w for w in leeds.status()["warnings"]))
        # with space it goes on by itself
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.small)], check=True)
        leeds.call("people.import", rows=[row(f"one-more-{i}") for i in range(50)])
        self.assertIn("there is space again", leeds.log())
        self.assertEqual(leeds.status()["warnings"], [])
        self.assertEqual(leeds.call("people.find", query="example")["total"], len(held) + 50)
        leeds.restart()
        self.assertEqual({h.split("@")[0] for h in leeds.people()},
                         acknowledged | {f"one-more-{i}" for i in range(50)})

    def test_a_restart_on_a_full_disk_keeps_everybody(self):
        leeds = self.daemon_on_small_disk()
        acknowledged, _ = self.fill(leeds)
        leeds.kill()
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.small)], check=True)
        leeds.start()
        self.assertEqual({h.split("@")[0] for h in leeds.people()}, acknowledged)

    def test_what_others_wrote_waits_for_space(self):
        organisation = self.organisation()
        leeds = self.daemon_on_small_disk()
        leeds.call("office.join", invite=organisation.invite("leeds"))
        york = self.daemon("york", flags=["--join", leeds.address()])
        york.call("office.join", invite=organisation.invite("york"))
        harness.wait_linked([leeds, york])
        york.import_rows([row(f"p{i}", ask_me_about="x" * 900) for i in range(6000)])
        wait(lambda: "is full: nothing new is stored" in leeds.log(), "the disk is full", alive=[leeds, york])
        subprocess.run(["mount", "-o", "remount,size=256m", str(self.small)], check=True)
        wait_same_people([leeds], 6000)
        leeds.restart()
        self.assertEqual(len(leeds.people(office="york")), 6000)


@unittest.skipUnless(shutil.which("strace") and os.geteuid() == 0, "needs strace, and root")
class FailingDisk(harness.Case):
    def test_an_io_error_ends_the_process_before_anything_is_acknowledged(self):
        """fdatasync fails: the rows of that commit were not acknowledged, and those before are there."""
        trace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync,msync",
                 "-e", "inject=fdatasync:error=EIO:when=25+"]
        if "SAN_OPTIONS" in "".join(os.environ):
            self.skipTest("the leak sanitizer does not run under strace")
        leeds = self.daemon("leeds", wrapper=trace)
        acknowledged = set()
        with leeds.client() as client, contextlib.suppress(ConnectionError, OSError):
            for i in range(200):
                logins = [f"p{i}-{k}" for k in range(5)]
                result = client.call("people.import", rows=[row(n) for n in logins])
                self.assertEqual(result["accepted"], 5)
                acknowledged.update(logins)
        self.assertEqual(leeds.ended(), 1)
        self.assertRegex(leeds.log(), "error: the (records|audit log) could not be read or written")
        self.assertTrue(acknowledged)
        leeds.wrapper = []
        leeds.start()
        self.assertEqual(acknowledged - {h.split("@")[0] for h in leeds.people()}, set())


if __name__ == "__main__":
    harness.main()
