#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Offices on hosts of their own, behind links that are slow, lose frames, and fail."""
import time
import unittest

import harness
import lab
import network
from harness import row, wait, wait_linked, wait_same_people

SILENT_S = 20  # docs/protocol.md: a link is given up after so long


def setUpModule():
    network.enter()


class Slow(harness.Case):
    """leeds, york, hull and bath, each on a host of its own; links of 20 ms that lose 7 frames of 100."""

    def setUp(self):
        super().setUp()
        self.lab = lab.Lab(4, delay_ms=20, loss=0.07, seed=20260101)
        self.addCleanup(self.lab.close)  # after its daemons were stopped
        organisation = self.organisation()
        self.all = []
        for host, name in enumerate(("leeds", "york", "hull", "bath")):
            joins = [word for h in range(host) for word in ("--join", f"{self.lab.address(h)}:7411")]
            daemon = self.daemon(name, flags=joins, listen=f"{self.lab.address(host)}:7411",
                                 wrapper=self.lab.wrapper(host))
            daemon.call("office.join", invite=organisation.invite(name))
            daemon.import_rows([row(f"alice.{name}", skills=["blogging"])])
            self.all.append(daemon)
        wait_linked(self.all)
        self.leeds, self.york, self.hull, self.bath = self.all

    def say(self, office, skill):
        office.call("me.set", name="Root Example", skills=[skill])

    def finds(self, office, skill, handles, what):
        wait(lambda: sorted(office.handles(skill)) == handles, what, alive=self.all)

    def test_what_is_lost_cut_off_and_silent(self):
        wait_same_people(self.all, 4)
        # bath loses its power; its neighbours are not told
        silent = time.monotonic()
        self.lab.part([0, 1, 2], [3])
        self.say(self.leeds, "beekeeping")
        for office in (self.york, self.hull):
            self.finds(office, "beekeeping", ["root@leeds"], f"{office.name} finds what leeds says, whatever is lost")
        with self.york.client() as client:
            answers, result = client.ask("blogging", wait_ms=1500)
        self.assertEqual({a["office"] for a in answers}, {"leeds", "york", "hull"})
        self.assertEqual((result["offices_heard"], result["offices_known"]), (3, 4))
        # and hull is cut off for a moment, in which both sides say something
        self.lab.part([0, 1], [2], [3])
        self.say(self.york, "typography")
        self.say(self.hull, "lockpicking")
        self.finds(self.leeds, "typography", ["root@york"], "leeds finds what york says")
        self.assertEqual((self.leeds.handles("lockpicking"), self.hull.handles("typography")), ([], []))
        self.lab.part([0, 1, 2], [3])
        for office in (self.leeds, self.york, self.hull):
            self.finds(office, "typography", ["root@york"], f"{office.name} has what york said")
            self.finds(office, "lockpicking", ["root@hull"], f"{office.name} has what hull said")
        # the silent host is noticed by all, in time
        for office in (self.leeds, self.york, self.hull):
            wait(lambda o=office: o.offices()["bath"]["state"] == "known", f"{office.name} misses bath",
                 SILENT_S + harness.PATIENCE_S, alive=self.all)
        self.assertGreater(time.monotonic() - silent, 5)  # and not because somebody told them
        # its office said something meanwhile; it comes back, and all are whole
        self.say(self.bath, "welding")
        self.assertEqual(self.leeds.handles("welding"), [])
        self.lab.heal()
        wait_linked(self.all)
        for office in self.all:
            for skill, handle in (("beekeeping", "root@leeds"), ("typography", "root@york"),
                                  ("lockpicking", "root@hull"), ("welding", "root@bath")):
                self.finds(office, skill, [handle], f"{office.name} has what {handle} said")


if __name__ == "__main__":
    unittest.main()
