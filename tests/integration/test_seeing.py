#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of other offices: whocan offices, status --links and watch."""
import json
import signal
import subprocess
import threading

import harness
from harness import row, wait, whocan

CANARY = "zyxcanary"


class Watching:
    """whocan watch --json, its events as they come."""

    def __init__(self, daemon, *words):
        self.process = subprocess.Popen([str(harness.WHOCAN), "--socket", str(daemon.socket), "watch", *words],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def events(self, name, **facts):
        events = [json.loads(line) for line in list(self.lines)]
        return [e for e in events if e["event"] == name and facts.items() <= e.items()]

    def end(self):
        """Ctrl-C; its exit status and what it said about errors."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self):
        self.thread.join(harness.PATIENCE_S)
        status = self.process.wait(harness.PATIENCE_S)
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return status, said


class Seeing(harness.Case):
    def watching(self, daemon, *words):
        w = Watching(daemon, *words)
        self.addCleanup(self._kill, w)
        wait(lambda: w.lines, "it watches", alive=[daemon])
        return w

    @staticmethod
    def _kill(w):
        if w.process.poll() is None:
            w.process.kill()
            w.ended()

    def test_offices_and_links_are_shown(self):
        """In a chain leeds - york - hull: how far, by whom, how fresh, which version."""
        leeds, york = self.offices("leeds", "york", organisation=(council := self.organisation()))
        hull = self.daemon("hull", flags=["--join", york.address()])
        hull.call("office.join", invite=council.invite("hull"))
        wait(lambda: "hull" in leeds.offices(), "leeds knows hull", alive=self.daemons)
        with hull.client() as client:
            client.ask("who can weld?", wait_ms=60000)
        far = wait(lambda: (o := leeds.offices()["hull"])["hops"] and o, "leeds heard an ask of hull", alive=self.daemons)
        self.assertIn((far["state"], far["hops"], far["via"]), [("linked", 1, None), ("known", 2, "york")])
        self.assertIsNotNone(far["last_news_at"])
        near = leeds.offices()["york"]
        self.assertEqual((near["state"], near["hops"], near["via"], near["clock_known"]), ("linked", 1, None, True))
        self.assertEqual(near["version"], leeds.status()["version"])
        self.assertEqual(leeds.offices()["leeds"]["hops"], 0)
        shown = whocan(leeds, "offices").stdout
        self.assertRegex(shown, r"(?m)^leeds .*this office")
        self.assertRegex(shown, r"(?m)^york .*linked .* direct ")
        self.assertLess(shown.index("\nleeds"), shown.index("\nyork"))
        # a reconciliation has measured the way there and back
        link = wait(lambda: next((k for k in leeds.status()["links"] if k["office"] == "york" and k["rtt_ms"] is not None),
                                 None), "a round trip", alive=self.daemons)
        self.assertEqual((link["role"], link["path"], link["dropped_frames"]), ("neighbour", "eager", 0))
        self.assertGreater(link["received_frames"], 2)
        status = wait(lambda: (s := leeds.status())["reconciliation"]["last"] and s, "a reconciliation", alive=self.daemons)
        self.assertEqual((status["overlay"]["mode"], status["overlay"]["root"]), ("flood", None))
        self.assertEqual(status["reconciliation"]["broken_off"], 0)
        shown = whocan(leeds, "status").stdout
        self.assertNotIn("LINK TO", shown)
        self.assertRegex(shown, r"(?m)^Neighbours +\d neighbour")
        self.assertRegex(shown, r"(?m)^Reconciled +.* with (york|hull): \d+ difference")
        shown = whocan(leeds, "status", "--links").stdout
        self.assertRegex(shown, r"(?m)^york .* eager ")
        self.assertRegex(shown, r"(?m)^Reconciling +\d+ rounds? since the start: ")

    def test_what_happens_is_told(self):
        leeds, york = self.offices("leeds", "york", organisation=(council := self.organisation()))
        w, text = self.watching(leeds, "--json"), self.watching(leeds)
        york.import_rows([row(CANARY + "login", name=CANARY, title=CANARY, skills=[CANARY + "skill"])])
        with york.client() as client:
            client.ask(CANARY + " question", wait_ms=60000)
        with leeds.client() as client:
            client.ask(CANARY + " question", wait_ms=60000)
        wait(lambda: w.events("ask_passed", office="york", hops=1) and w.events("ask_here"), "asks", alive=[leeds])
        wait(lambda: sum(e["accepted"] for e in w.events("records")) >= 1, "records", alive=[leeds])
        hull = self.daemon("hull", flags=["--join", leeds.address()])
        hull.call("office.join", invite=council.invite("hull"))
        wait(lambda: w.events("office_new", office="hull") and w.events("link_up", office="hull"), "hull", alive=[leeds])
        wait(lambda: w.events("reconciled", office="hull"), "a reconciliation", alive=[leeds])
        hull.kill()
        down = wait(lambda: w.events("link_down", office="hull"), "hull is gone", alive=[leeds])
        self.assertEqual(down[0]["reason"], "the other end closed it")
        wait(lambda: w.events("dial_failed", address=hull.listen, reason="not reachable"), "it is dialled", alive=[leeds])
        council.run("--socket", str(york.socket), "org", "revoke", "hull")
        wait(lambda: w.events("office_revoked", office="hull"), "hull is revoked", alive=[leeds])
        self.assertEqual(w.end(), (0, ""))
        self.assertEqual(text.end(), (0, ""))
        self.assertRegex("".join(text.lines), r"(?m)^\d\d:\d\d:\d\d  link_down  office hull, reason the other end closed it$")
        said = "".join(w.lines + text.lines)
        self.assertNotIn(CANARY, said)
        self.assertNotIn(york.call("office.show")["key"][:16], said)
        wait(lambda: "\nwhocan_watchers 0\n" in leeds.call("node.metrics")["text"], "nobody watches", alive=[leeds])

    def test_a_daemon_that_stops_ends_it(self):
        leeds = self.daemon("leeds")
        w = self.watching(leeds)
        leeds.stop()
        status, said = w.ended()
        self.assertEqual(status, 3, said)
        self.assertIn("the daemon is stopping", said)


if __name__ == "__main__":
    harness.main()
