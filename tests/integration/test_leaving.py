#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who has left is gone: from an account that is missing on seven days to every office, and nobody by mistake."""
import os
import struct
import subprocess
import unittest

import harness
from harness import row, wait
from test_audit_log import AuditCase
from test_socket import AsUser

LOGIN, HANDLE = "ida.quill", "ida.quill@leeds"  # no account of any machine
DAYS_LATER = harness.BUILD / "tests" / "days_later"


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Leaving(AsUser, AuditCase):
    """ida has an account, a row and a profile at leeds, which is linked with york, and nobody else has any: so each
    start of leeds looks for her account."""

    def setUp(self):
        super().setUp()
        self.accounts = harness.Accounts(self.directory, **{LOGIN: self.person})
        self.leeds, self.york = self.offices("leeds", "york", wrapper=self.accounts.wrapper)
        self.leeds.import_rows([row(LOGIN, title="Gardener")])
        self.write(self.person)
        self.look(lambda known: known["uid"] == self.person)

    def write(self, uid):
        self.assertNotIn("code", self.as_user(self.leeds, uid, "me.set", name="Alice", skills=["welding"]))
        self.everywhere([HANDLE])

    def everywhere(self, handles):
        wait(lambda: all(d.handles("welding") == handles for d in (self.leeds, self.york)), f"welding is {handles}",
             alive=[self.leeds, self.york])

    def known(self):
        """What leeds knows of her account (daemon/leaver.h)."""
        facts = {f["name"]: f["value"] for f in self.leeds.call("people.about", handle=LOGIN)["facts"]}
        if "account" not in facts:
            return None
        _, uid, absent_days, last_day, rev = struct.unpack(">IIIIQ", facts["account"])
        return {"uid": uid, "absent_days": absent_days, "last_day": last_day, "retire_to_rev": rev}

    def look(self, condition):
        """Start leeds again, which looks for the account, until what it knows is so."""
        self.leeds.restart()
        wait(lambda: (known := self.known()) and condition(known), "the look", alive=[self.leeds])

    def a_day_later(self, *more):
        self.leeds.stop()
        subprocess.run([DAYS_LATER, self.leeds.state, LOGIN, *more], check=True, timeout=harness.PATIENCE_S)
        self.leeds.start()

    def miss(self, days):
        """The looks of so many days at an account that is missing."""
        self.accounts.remove(LOGIN)
        self.look(lambda known: known["absent_days"] == 1)
        for day in range(2, days + 1):
            self.a_day_later()
            wait(lambda: self.known()["absent_days"] == day, f"day {day} is counted", alive=[self.leeds])  # pylint: disable=W0640

    def leaver_lines(self):
        return [(line["about"], line["rev"], line["why"], line.get("uid")) for line in self.acts(self.leeds, "leaver")]

    def test_seven_days_without_an_account(self):
        self.miss(6)
        self.everywhere([HANDLE])
        self.leeds.restart()  # the same day again
        self.assertEqual(self.known()["absent_days"], 6)
        self.a_day_later()
        self.everywhere([])
        wait(lambda: "who has no account here any more was retired" in self.leeds.log(), "the log says so")
        self.assertEqual(self.leaver_lines(), [(self.hashed(self.leeds, HANDLE), 2, "account", None)])
        # the row is the staff directory's, and ends with it
        for office in (self.leeds, self.york):
            self.assertEqual(office.handles("gardener"), [HANDLE])
        held = self.leeds.call("people.about", handle=LOGIN)
        self.assertEqual((held["profile"]["retired"], held["profile"]["erased"]), (True, False))
        self.assertEqual(self.leeds.call("people.retire", handles=[LOGIN]), {"retired": 1})
        for office in (self.leeds, self.york):
            wait(lambda o=office: o.people() == {}, f"nobody is left at {office.name}", alive=[self.leeds, self.york])
        # a new one begins anew
        self.accounts.add(LOGIN, self.own)
        self.write(self.own)

    def test_an_account_database_that_fails_retires_nobody(self):
        self.miss(6)
        self.accounts.sources("whocan-missing")  # no source can be asked
        for day in range(1, 4):
            self.a_day_later()
            wait(lambda: self.leeds.log().count("did not answer for 1 of 1 people") == day,  # pylint: disable=W0640
                 "the look", alive=[self.leeds])
        self.assertEqual(self.known()["absent_days"], 6)
        self.everywhere([HANDLE])
        self.accounts.sources("files")
        self.accounts.add(LOGIN, self.person)
        self.look(lambda known: (known["absent_days"], known["uid"]) == (0, self.person))
        self.everywhere([HANDLE])
        self.assertEqual(self.leaver_lines(), [])

    def test_so_many_at_once_retire_nobody_but_by_the_word_of_it(self):
        others = [f"p{i}" for i in range(9)]
        self.miss(6)
        self.a_day_later(*others)  # ten of ten
        wait(lambda: any("10 of 10 accounts are missing at once" in w for w in self.leeds.status()["warnings"]),
             "status warns", alive=[self.leeds])
        self.assertEqual(self.leeds.log().count("10 of 10 accounts are missing at once"), 1)
        self.everywhere([HANDLE])
        self.assertEqual(self.leaver_lines(), [])
        self.assertIn("\nwhocan_leavers_held 10\n", self.leeds.call("node.metrics")["text"])
        self.leeds.config_path.write_text("[whocan]\nleavers_many = yes\n")
        self.leeds.restart()
        self.everywhere([])
        self.assertEqual(self.leaver_lines(), [(self.hashed(self.leeds, HANDLE), 2, "account", None)])
        self.assertNotIn("missing at once", str(self.leeds.status()["warnings"]))
        self.assertIn("\nwhocan_leavers_held 0\n", self.leeds.call("node.metrics")["text"])

    def test_another_uid_is_another_person(self):
        self.accounts.remove(LOGIN)
        self.accounts.add(LOGIN, self.other)
        self.look(lambda known: known["uid"] == self.other)
        self.everywhere([])
        self.assertEqual(self.leaver_lines(), [(self.hashed(self.leeds, HANDLE), 2, "uid", None)])
        self.assertIn("whose account is another person's now was retired", self.leeds.log())
        self.write(self.other)
        self.look(lambda known: known["uid"] == self.other)
        self.everywhere([HANDLE])
        self.assertEqual(len(self.leaver_lines()), 1)
        self.assertEqual([(line["about"], line.get("rev"), line["former"], line["uid"]) for line in
                          self.acts(self.leeds, "reused")],
                         [(self.hashed(self.leeds, HANDLE), None, self.person, self.other)])


if __name__ == "__main__":
    harness.main()
