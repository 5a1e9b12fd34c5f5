#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An office leaves its organisation: it keeps its people, the others forget them, and it may come back."""
import json
import os
import signal
import time

import harness
from harness import row, wait, wait_linked, wait_same_people, whocan

SMALL = os.environ.get("WHOCAN_SMALL") == "1"


class Leaving(harness.Case):
    """leeds, york and hull, linked, with three people each; hull leaves."""

    def setUp(self):
        super().setUp()
        self.council = self.organisation()
        self.leeds, self.york, self.hull = self.all = self.offices("leeds", "york", "hull", organisation=self.council)
        for daemon in self.all:
            daemon.import_rows([row(f"alice.{daemon.name}", skills=["blogging"]),
                                row(f"bob.{daemon.name}", skills=["welding"])])
            daemon.call("me.set", name=f"Root of {daemon.name}", skills=["beekeeping"])
        wait_same_people(self.all, 9)

    def own(self, name="hull"):
        return {f"alice.hull@{name}", f"bob.hull@{name}", f"root@{name}"}

    def left_alone(self, daemon):
        return (not any(h.endswith("@hull") for h in daemon.people(all=True))
                and not any(h.endswith("@hull") for h in daemon.handles("beekeeping"))
                and daemon.status()["people"] == 6)

    def test_its_people_stay_here_and_are_gone_elsewhere(self):
        before = self.hull.call("office.show")
        done = whocan(self.hull, "office", "leave", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        for daemon in (self.leeds, self.york):  # they have it, and write it down
            wait(lambda d=daemon: self.left_alone(d), f"{daemon.name} forgets hull", patience_s=5, alive=self.all)
        self.assertIn('left Borough Council and stands alone as "hull". 3 profiles stayed.', done.stdout)
        self.assertIn("2 of 2 linked offices have forgotten its people", done.stdout)
        self.assertIn(f"whocan org revoke {before['key']} --key FILE", done.stdout)
        # alone, with all of its people and nobody else's
        after = self.hull.call("office.show")
        self.assertEqual((after["mode"], after["name"], after["people"]), ("standalone", "hull", 3))
        self.assertNotEqual(after["key"], before["key"])
        self.assertNotEqual(after["organisation_id"], before["organisation_id"])
        self.assertEqual(set(self.hull.people(all=True)), self.own())
        self.assertEqual(self.hull.handles("welding"), ["bob.hull@hull"])
        self.assertEqual(list(self.hull.offices()), ["hull"])
        self.assertEqual(self.hull.status()["links"], [])
        # the profile of somebody with a key is the office's word now, as after joining
        self.assertEqual(self.hull.people(all=True)["root@hull"]["name"], "Root of hull")
        self.hull.call("me.set", title="Beekeeper")
        # it stays so: after restarts, and whatever is reconciled
        for daemon in self.all:
            daemon.restart()
        wait_linked([self.leeds, self.york])
        self.assertEqual(set(self.hull.people(all=True)), self.own())
        for daemon in (self.leeds, self.york):
            self.assertTrue(self.left_alone(daemon), daemon.name)
            self.assertEqual(daemon.status()["warnings"], [])  # and nobody was at fault
        acts = [e for e in self.audited(self.hull) if e["act"] == "office.leave"]
        self.assertEqual([e["stage"] for e in acts], ["begin", "end"], acts)
        self.assertEqual((acts[1]["result"], acts[1]["offices_told"], acts[1]["key"]), ("OK", 2, before["key"]))

    def audited(self, daemon):
        paths = sorted((daemon.state / "audit").glob("*.log"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def test_nothing_of_others_is_left_in_its_files(self):
        self.hull.call("office.leave")
        self.hull.stop()
        self.assertNotIn("warning", self.hull.log())  # the stores were written anew
        held = {p.name: p.read_bytes() for p in self.hull.state.rglob("*") if p.is_file()}
        holding = {text: [name for name, data in held.items() if text.encode() in data]
                   for text in ("alice.hull", "alice.york", "Root of leeds")}
        self.assertTrue(holding.pop("alice.hull"))
        self.assertEqual(holding, {"alice.york": [], "Root of leeds": []})

    def test_it_can_come_back(self):
        self.hull.call("office.leave")
        self.hull.call("office.join", invite=self.council.invite("hull"))
        wait_linked(self.all)
        wait_same_people(self.all, 9)
        self.hull.call("office.leave")
        wait(lambda: self.left_alone(self.york), "york forgets hull again", alive=self.all)
        # by its own keys, too
        request = self.hull.call("office.request")["request"]
        admission = self.council.run("org", "admit", request).strip()
        self.hull.call("office.join", invite=admission)
        wait_linked(self.all)
        wait_same_people(self.all, 9)
        self.assertTrue(self.own() <= set(self.leeds.people(all=True)))

    def test_the_keys_that_it_left_with_are_used_up(self):
        attic = self.daemon("attic", flags=["--join", self.leeds.address()])
        invitation = self.council.invite("attic")
        attic.import_rows([row("zoe")])
        attic.call("office.join", invite=invitation)
        attic.call("office.leave")
        with self.refused("EXISTS", "invite"):
            attic.call("office.join", invite=invitation)
        self.assertEqual(set(attic.people(all=True)), {"zoe@attic"})

    def test_without_links_it_says_who_still_knows(self):
        self.leeds.stop()
        self.york.stop()
        wait(lambda: self.hull.status()["links"] == [], "no links", alive=[self.hull])
        begun = time.monotonic()
        done = whocan(self.hull, "office", "leave", "--yes")
        self.assertLess(time.monotonic() - begun, harness.PATIENCE_S)
        self.assertIn("No other office was linked: they keep its people until", done.stdout)
        self.assertEqual(set(self.hull.people(all=True)), self.own())
        self.leeds.start()
        self.assertIn("alice.hull@hull", self.leeds.people(all=True))  # nobody told it

    def test_a_neighbour_that_does_not_answer_delays_it_by_seconds_only(self):
        self.york.signal(signal.SIGSTOP)
        self.addCleanup(self.york.signal, signal.SIGCONT)
        result = self.hull.call("office.leave")
        self.assertEqual((result["offices_linked"], result["offices_told"], result["people_kept"]), (2, 1, 3))
        wait(lambda: self.left_alone(self.leeds), "leeds forgets hull", alive=[self.leeds])
        self.york.signal(signal.SIGCONT)  # it had it in its buffers, or has it from leeds
        wait(lambda: self.left_alone(self.york), "york forgets hull", alive=self.all)

    def test_it_asks_first_and_only_a_member_can(self):
        done = whocan(self.hull, "office", "leave")
        self.assertEqual(done.returncode, 2)
        self.assertIn("say --yes", done.stderr)
        self.assertEqual(self.hull.call("office.show")["mode"], "member")
        self.hull.call("office.leave")
        with self.refused("NOTFOUND"):
            self.hull.call("office.leave")


class Killed(harness.Case):
    def test_killed_after_the_decision_it_is_alone(self):
        attic, york = self.offices("attic", "york")
        attic.import_rows([row(f"p{i}", skills=["welding"]) for i in range(50)])
        wait_same_people([attic, york], 50)
        york.signal(signal.SIGSTOP)  # it says nothing: attic waits for it
        self.addCleanup(york.signal, signal.SIGCONT)
        with attic.client() as client:
            client.send("office.leave")
            wait(lambda: "telling its neighbours" in attic.log(), "the decision", alive=[attic])
            attic.kill()
        attic.start()
        self.assertEqual(attic.call("office.show")["mode"], "standalone")
        self.assertEqual(set(attic.people(all=True)), {f"p{i}@attic" for i in range(50)})
        self.assertEqual(list(attic.offices()), ["attic"])

    def test_killed_while_leaving_it_is_a_member_or_alone(self):
        organisation = self.organisation()
        york = self.offices("york", organisation=organisation, linked=False)[0]
        count = 300 if SMALL else 800
        outcomes = set()
        for attempt, moment in enumerate((0.0, 0.02, 0.08, 0.2, 0.5)):
            name = f"attic{attempt}"
            attic = self.daemon(name, flags=["--join", york.address()])
            attic.import_rows([row(f"p{i}", skills=["welding"]) for i in range(count)])
            attic.call("office.join", invite=organisation.invite(name))
            wait_linked([york, attic])
            wait(lambda n=name: len(york.people(office=n)) == count, "york has them all", alive=[york, attic])
            key = attic.call("office.show")["key"]
            with attic.client() as client:
                client.send("office.leave")
                time.sleep(moment)  # the moment of the kill is what varies: every one must be good
                attic.kill()
            attic.start()
            shown = attic.call("office.show")
            outcomes.add(shown["mode"])
            self.assertEqual(shown["mode"] == "member", shown["key"] == key)
            if shown["mode"] == "member":
                wait_linked([york, attic])
                self.assertEqual(len(york.people(office=name)), count)
            else:
                self.assertEqual(set(attic.people(all=True)), {f"p{i}@{name}" for i in range(count)})
                self.assertEqual(list(attic.offices()), [name])
            self.assertEqual(len(attic.people(office=name)), count)
            self.assertEqual(attic.call("people.find", query="welding", office=name)["total"], count)
            attic.stop()
        print("ended as", sorted(outcomes))


if __name__ == "__main__":
    harness.main()
