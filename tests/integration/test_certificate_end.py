#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates that end soon are said: in status, in the log, in the list of offices, in the metrics."""
import json
import re

import harness
from harness import row, wait_linked, whocan


class Ending(harness.Case):
    DAYS = {"leeds": 20, "york": 5, "hull": 1, "ripon": 40}

    def setUp(self):
        super().setUp()
        council, self.by_name, joins = self.organisation(), {}, []
        for name, days in self.DAYS.items():
            daemon = self.daemon(name, flags=joins)
            daemon.call("office.join", invite=council.invite(name, "--days", str(days), "--quota", "50"))
            joins = [*joins, "--join", daemon.address()]
            self.by_name[name] = daemon
        wait_linked(list(self.by_name.values()))

    def warnings(self, name):
        return [w for w in self.by_name[name].status()["warnings"] if "certificate" in w]

    def said(self, name):
        return re.findall(r"warning: (the certificate of this office .*)", self.by_name[name].log())

    def test_each_office_says_how_long_it_has(self):
        for name, text in (("leeds", r"ends in (19|20) days"), ("york", r"ends in [45] days"),
                           ("hull", r"ends (within a day|in 1 day)")):
            warnings = self.warnings(name)
            self.assertEqual(len(warnings), 1, name)
            self.assertRegex(warnings[0], rf"^the certificate of this office {text}: have it renewed by")
            self.assertEqual(len(self.said(name)), 1, name)  # and links came up meanwhile
        self.assertEqual((self.warnings("ripon"), self.said("ripon")), ([], []))
        # at each start, once
        for name in self.DAYS:
            self.by_name[name].restart()
        wait_linked(list(self.by_name.values()))
        self.assertEqual({name: len(self.said(name)) for name in self.DAYS}, {"leeds": 2, "york": 2, "hull": 2, "ripon": 0})

    def test_the_list_of_offices_marks_others_in_their_last_week(self):
        shown = whocan(self.by_name["ripon"], "offices").stdout
        marks = re.findall(r"(?m)^! (\w+): its certificate ends in", shown)
        self.assertEqual(sorted(marks), ["hull", "york"])
        marks = re.findall(r"(?m)^! (\w+): its certificate ends in", whocan(self.by_name["leeds"], "offices").stdout)
        self.assertEqual(sorted(marks), ["hull", "leeds", "york"])  # its own in the last month
        listed = json.loads(whocan(self.by_name["ripon"], "offices", "--json").stdout)["offices"]
        for office in listed:
            self.assertEqual(office["expires_at"], self.by_name[office["name"]].call("office.show")["not_after"])

    def test_an_office_shows_its_certificate(self):
        leeds, york = self.by_name["leeds"], self.by_name["york"]
        leeds.import_rows([row(f"person{i}") for i in range(12)])
        shown = leeds.call("office.show")
        self.assertRegex(shown["fingerprint"], r"^[0-9a-f]{32}$")
        self.assertNotEqual(shown["fingerprint"], york.call("office.show")["fingerprint"])
        self.assertEqual((shown["serial"], shown["people"], shown["quota"], shown["mode"]), (1, 12, 50, "member"))
        self.assertIn(shown["days_left"], (19, 20))
        text = whocan(leeds, "office", "show").stdout
        self.assertRegex(text, r"(?m)^People +12 of at most 50$")
        self.assertRegex(text, rf"(?m)^Fingerprint +{shown['fingerprint']}$")
        self.assertRegex(text, r"(?m)^Certificate +\d+ \w+ \d+ to \d+ \w+ \d+ \(ends in \d+ days\)$")
        metrics = leeds.call("node.metrics")["text"]
        self.assertRegex(metrics, r"(?m)^whocan_certificate_days_left (19|20)$")

    def test_an_office_that_stands_alone_has_none(self):
        alone = self.daemon("attic")
        shown = alone.call("office.show")
        self.assertEqual((shown["not_after"], shown["days_left"], shown["quota"]), (None, None, None))
        self.assertEqual(alone.status()["warnings"], [])
        self.assertNotIn("certificate", alone.log())
        self.assertRegex(whocan(alone, "office", "show").stdout, r"(?m)^Certificate +none: this office stands alone$")


if __name__ == "__main__":
    harness.main()
