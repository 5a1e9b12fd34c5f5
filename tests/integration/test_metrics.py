#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""node.metrics: the text format of Prometheus to the letter, and nothing about anybody in it."""
import re
import subprocess

import harness
from harness import row

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z]+="[^"\\\n]*",?)*)\})? (\S+)\Z')
CANARY = "zyxcanary"


def parse(text):
    """{name: (type, help, {labels: value})}; fails on whatever the format does not allow."""
    assert text.endswith("\n"), "the last line ends with a newline"
    families, current = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            assert NAME.match(name) and name not in families and help_text, line
            current = families[name] = [None, help_text, {}]
            current_name = name
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current_name and current[0] is None and not current[2], line
            assert kind in ("counter", "gauge", "histogram"), line
            current[0] = kind
        else:
            name, labels, value = SAMPLE.match(line).groups()
            suffixes = ("_bucket", "_sum", "_count") if current[0] == "histogram" else ("",)
            assert name in [current_name + s for s in suffixes], line
            key = (name, labels or "")
            assert key not in current[2], line
            current[2][key] = float(value)
    for name, (kind, _, samples) in families.items():
        assert kind and samples, name
        assert (kind == "counter") == name.endswith("_total"), name
        if kind == "histogram":
            buckets = [(float(re.search('le="([^"]+)"', labels).group(1).replace("+Inf", "inf")), value)
                       for (n, labels), value in samples.items() if n.endswith("_bucket")]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), name
            assert [v for _, v in buckets] == sorted(v for _, v in buckets), name
            assert buckets[-1][1] == samples[(name + "_count", "")], name
    return families


def value(families, name, labels=""):
    return families["whocan_" + name][2][("whocan_" + name, labels)]


class Metrics(harness.Case):
    def test_they_count_what_happened(self):
        leeds = self.daemon("leeds")
        leeds.import_rows([row("alice", skills=["blogging"]), row("bob", skills=["welding"])])
        for _ in range(7):
            leeds.call("people.find", query="blogging")
        with self.refused("NOTFOUND", "handle"):
            leeds.call("people.show", handle="zoe")
        families = parse(leeds.call("node.metrics")["text"])
        self.assertEqual(value(families, "people"), 2)
        self.assertEqual(value(families, "requests_total", 'class="find"'), 7)
        self.assertEqual(value(families, "requests_total", 'class="admin"'), 1)
        self.assertEqual(families["whocan_find_seconds"][2][("whocan_find_seconds_count", "")], 7)
        self.assertEqual(value(families, "errors_total"), 1)
        self.assertEqual(value(families, "offices_known"), 1)
        self.assertEqual(value(families, "connections"), 1)
        self.assertNotIn("whocan_certificate_days_left", families)

    def test_of_a_member(self):
        leeds, york = self.offices("leeds", "york")

        def open_links():
            families = parse(leeds.call("node.metrics")["text"])
            return value(families, "link_handshakes_total") - value(families, "link_dropped_total")

        for _ in range(2):
            with leeds.client() as client:
                client.ask("who can weld?", wait_ms=60000)
        families = parse(leeds.call("node.metrics")["text"])
        self.assertEqual([value(families, n) for n in ("asks_total", "answers_total", "asks_answered_total")], [2, 4, 2])
        there = parse(york.call("node.metrics")["text"])
        self.assertEqual([value(there, n) for n in ("asks_total", "answers_total", "asks_answered_total")], [0, 0, 2])
        harness.wait(lambda: open_links() == 1, "one link is left", alive=[leeds, york])
        families = parse(leeds.call("node.metrics")["text"])
        self.assertEqual((value(families, "offices_known"), value(families, "offices_linked")), (2, 1))
        self.assertIn(value(families, "certificate_days_left"), (729, 730))
        york.kill()
        harness.wait(lambda: value(parse(leeds.call("node.metrics")["text"]), "offices_linked") == 0, "the link is down")
        self.assertEqual(open_links(), 0)

    def test_what_waits_and_what_fails(self):
        leeds = self.daemon("leeds", flags=["--erase-interval", "3600"])

        def gauges():
            families = parse(leeds.call("node.metrics")["text"])
            return [value(families, n) for n in ("erasures_waiting", "audit_failing", "leavers_held")]

        leeds.import_rows([row("alice"), row("bob")])
        leeds.call("people.erase", handle="alice")
        harness.wait(lambda: gauges() == [0, 0, 0], "the first erasure is completed", alive=[leeds])
        erased = leeds.call("people.erase", handle="bob")  # within the interval
        self.assertEqual(gauges(), [erased["records"], 0, 0])

    def test_the_command_prints_them_and_the_documents_list_them(self):
        leeds, _ = self.offices("leeds", "york")
        done = subprocess.run([str(harness.WHOCAN), "metrics", "--socket", str(leeds.socket)], capture_output=True, text=True,
                              timeout=harness.PATIENCE_S, check=True)
        families = parse(done.stdout)
        text = (harness.ROOT / "docs" / "operations.md").read_text()
        self.assertEqual(re.findall(r"^\| `(whocan_\w+)` \| (\w+) \| (.*) \|$", text, re.M),
                         [(name, kind, help_text) for name, (kind, help_text, _) in families.items()])
        used = set(re.findall(r"whocan_\w+", text)) - set(families)
        self.assertEqual(used, set(), "the document speaks of metrics that are not there")

    def test_nothing_about_anybody_is_in_them(self):
        leeds = self.daemon("leeds")
        leeds.import_rows([row(CANARY + "login", title=CANARY + "title", skills=[CANARY + "skill"], team=CANARY + "team",
                               ask_me_about=CANARY + "about", email=CANARY + "@example.org")])
        with leeds.client() as client:
            client.call("me.set", name=CANARY + "name", interests=[CANARY + "interest"])
            client.call("people.find", query=CANARY + "query")
            client.ask(CANARY + "ask")
            with self.refused("METHOD"):
                client.call(CANARY + ".method")
            self.assertEqual(client.call("people.find", query=CANARY + "skill")["total"], 1)
            text = client.call("node.metrics")["text"]
        parse(text)
        self.assertNotIn(CANARY, text.lower())


if __name__ == "__main__":
    harness.main()
