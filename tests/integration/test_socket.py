#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The socket as docs/socket.md has it, through a MessagePack library that is not ours."""
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import time
import unittest

import msgpack

import harness
from harness import NOTIFICATION, RESPONSE, row

ROWS = [
    row("alice", title="Librarian", team="Libraries North",
        skills=[{"name": "content design", "level": "expert", "mentor": True}, "blogging"],
        interests=["local history"], ask_me_about="starting a blog", languages=["English", "Norwegian"],
        working_days=["mon", "tue", "wed", "thu", "fri", "sat", "sun"], email="alice@example.org",
        phone="+44 113 496 0000", willing=True),
    row("bob", title="Engineer", skills=["welding"]),
]


class OneDaemon(harness.Case):
    """Tests with one daemon that knows two people."""

    def setUp(self):
        super().setUp()
        self.leeds = self.daemon("leeds", flags=["--vocabulary", str(harness.ROOT / "tests" / "vocabulary")])
        self.leeds.import_rows(ROWS)
        self.client = self.leeds.client()
        self.addCleanup(self.client.close)


class Rpc(OneDaemon):
    def test_a_response_is_as_the_specification_has_it(self):
        self.client.send("office.show", msgid=4294967295)
        message = self.client.receive()
        self.assertEqual(message[:3], [RESPONSE, 4294967295, None])
        self.assertEqual(message[3]["name"], "leeds")
        self.assertEqual(len(message), 4)

    def test_params_may_be_empty_or_one_map(self):
        for params in ([], [{}]):
            self.assertIsNone(self.client.response(self.client.send("office.show", params))[2])
        for params, code in (({"a": 1}, "TYPE"), ("x", "TYPE"), ([{}, {}], "TYPE"), ([1], "TYPE"), (None, "TYPE")):
            self.client.send_bytes(msgpack.packb([0, 9, "office.show", params]))
            self.assertEqual(self.client.response(9)[2]["code"], code)

    def test_many_requests_are_answered_whatever_their_order(self):
        ids = [self.client.send("people.find", {"query": "blogging"}) for _ in range(200)]
        got = {self.client.receive()[1] for _ in ids}
        self.assertEqual(got, set(ids))

    def test_a_quick_request_overtakes_a_slow_one(self):
        slow = self.client.send("people.import", {"rows": [row(f"p{i}") for i in range(200)]})
        quick = self.client.send("office.show")
        self.assertEqual([self.client.response()[1], self.client.response()[1]], [quick, slow])

    def test_a_message_in_single_bytes_is_a_message(self):
        data = msgpack.packb([0, 5, "people.show", [{"handle": "alice"}]])
        for i in range(len(data)):
            self.client.send_bytes(data[i:i + 1])
        self.assertEqual(self.client.response(5)[3]["person"]["handle"], "alice@leeds")

    def test_notifications_are_never_answered(self):
        self.client.send_bytes(msgpack.packb([NOTIFICATION, "office.show", []]))
        self.client.send_bytes(msgpack.packb([NOTIFICATION, "no.such", []]))
        self.client.send_bytes(msgpack.packb([NOTIFICATION, "me.set", [{"name": "Quiet Example"}]]))
        harness.wait(lambda: (self.client.call("me.show")["person"] or {}).get("name") == "Quiet Example",
                     "the notification was carried out")

    def test_a_client_may_shut_its_sending_side(self):
        self.client.send("people.find", {"query": "blogging"})
        self.client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual(self.client.response(1)[3]["total"], 1)
        self.assertIsNone(self.client.receive())

    def test_an_error_leaves_the_connection_open(self):
        with self.refused("METHOD"):
            self.client.call("people.frobnicate")
        with self.refused("MISSING", "query"):
            self.client.call("people.find")
        self.assertEqual(self.client.call("office.show")["name"], "leeds")


class Garbage(OneDaemon):
    def refuses(self, data, code):
        with self.leeds.client() as client:
            with contextlib.suppress(BrokenPipeError):  # it may say no before it has seen everything
                client.send_bytes(data)
            message = client.receive()
            self.assertEqual((message[0], message[1], message[3]), (RESPONSE, None, None), message)
            self.assertEqual(message[2]["code"], code, message)
            self.assertNotIn("\n", message[2]["message"])
            self.assertIsNone(client.receive())
        self.assertEqual(self.leeds.call("office.show")["name"], "leeds")

    def test_what_is_not_messagepack_rpc_gets_one_answer_and_the_door(self):
        for data, code in (
                (b"GET / HTTP/1.1\r\n\r\n", "PROTOCOL"),  # 'G' is the number 71: a message, but not one of ours
                (b"\xc1", "TYPE"),
                (b"\xc7\x01\x01x", "TYPE"),  # an extension
                (b"\x93\x01\x02\x03", "PROTOCOL"),
                (msgpack.packb([1, 1, None, {}]), "PROTOCOL"),  # a response
                (msgpack.packb([0, 1, "office.show"]), "PROTOCOL"),
                (msgpack.packb([0, -1, "office.show", []]), "PROTOCOL"),
                (msgpack.packb([0, 2 ** 32, "office.show", []]), "PROTOCOL"),
                (msgpack.packb([0, 1, 7, []]), "PROTOCOL"),
                (msgpack.packb("text"), "PROTOCOL"),
                (b"\x91" * 17 + b"\xc0", "DEPTH"),
                (b"\xdd\x10\x00\x00\x00", "TOOBIG"),  # an array of 2^28 in five bytes
                (b"\xc6\x00\x10\x00\x01", "TOOBIG"),  # a megabyte and one byte of binary
        ):
            with self.subTest(data=data[:20]):
                self.refuses(data, code)

    def test_a_megabyte_is_the_limit(self):
        big = "x" * (1 << 20)
        self.refuses(msgpack.packb([0, 1, "people.find", [{"query": big}]]), "TOOBIG")
        # just below it is read, and refused for what it says
        with self.refused("TOOBIG", "query"):
            self.client.call("people.find", query=big[:-100])

    def test_what_came_before_garbage_is_answered(self):
        self.client.send_bytes(msgpack.packb([0, 1, "office.show", []]) + b"\xc1")
        self.assertEqual(self.client.response(1)[3]["name"], "leeds")
        self.assertEqual(self.client.receive()[1], None)
        self.assertIsNone(self.client.receive())

    def test_half_a_message_changes_nothing(self):
        data = msgpack.packb([0, 1, "me.set", [{"name": "Half"}]])
        with self.leeds.client() as client:
            client.send_bytes(data[:-1])
        self.assertIsNone(self.client.call("me.show")["person"])


class Describe(OneDaemon):
    def test_the_description_and_the_document_name_the_same_methods(self):
        described = self.client.call("api.describe")
        text = (harness.ROOT / "docs" / "socket.md").read_text()
        section = text.split("\n## Methods\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `([a-z.]+)` \| (\w+) \|", section, re.M)
        self.assertEqual([(m["name"], m["access"]) for m in described["methods"]], rows)
        for method in described["methods"]:  # and every parameter that the table names, and no other
            cell = re.search(rf"^\| `{re.escape(method['name'])}` \| \w+ \|([^|]*)\|", section, re.M).group(1)
            params = {p["name"] for p in method["params"]}
            if cell.startswith(" the fields below"):
                params -= {"name", "title", "team", "skills", "interests", "ask_me_about", "languages", "working_days",
                           "email", "phone", "willing"}
            self.assertEqual(set(re.findall(r"`(\w+)`\??:? (?:str|int|list|map|bool|bin|\[|\d)", cell)), params, method["name"])
        roles = re.findall(r"^\| `(\w+)` \| (.*) \|$", text.split("\n## Who may call what\n")[1].split("\n## ")[0], re.M)
        self.assertEqual([(r["name"], r["who"]) for r in described["roles"]], roles)
        self.assertEqual(described["name"], "whocand")
        self.assertEqual(described["protocol"], 1)

    def test_each_method_gives_what_its_description_says(self):
        """Every key of a result is described, and the other way round."""
        examples = {
            "api.describe": {}, "people.find": {"query": "blogging"}, "people.show": {"handle": "alice"},
            "people.import": {"rows": [], "dry_run": True}, "people.export": {}, "me.show": {},
            "people.rows": {}, "people.retire": {"handles": []},
            "me.reject": {}, "me.set": {"name": "Root"}, "me.add": {"skills": ["x"]}, "me.drop": {"skills": ["x"]},
            "me.export": {}, "me.erase": {}, "me.erasure": {}, "people.about": {"handle": "alice"},
            "people.erase": {"handle": "bob"}, "people.erasure": {"handle": "bob"},
            "ask.create": {"text": "blogging"}, "offices.list": {}, "node.status": {}, "node.metrics": {}, "node.check": {},
            "office.show": {}, "org.known": {},
            "audit.read": {"verify": True}, "vocabulary.list": {"words": "x"}, "vocabulary.read": {"id": "esco"}, "skills.list": {},
            "office.request": {"name": "leeds"},
        }
        for method in self.client.call("api.describe")["methods"]:
            for param in method["params"]:
                self.assertEqual(set(param), {"name", "type", "required", "help"})
                self.assertIn(param["type"], ("str", "int", "bool", "list", "bin", "map"))
            if method["name"] in ("ask.cancel", "node.watch", "office.join", "office.leave", "org.submit", "me.put"):
                continue
            with self.subTest(method=method["name"]):
                result = self.client.call(method["name"], **examples[method["name"]])
                self.assertEqual(set(result), {r["name"] for r in method["result"]})
                if method["name"] == "me.show":
                    self.assertIsNone(result["person"])


class Errors(OneDaemon):
    def test_parameters_are_checked(self):
        for method, params, code, field in (
                ("people.find", {"query": 7}, "TYPE", "query"),
                ("people.find", {"query": ""}, "INVALID", "query"),
                ("people.find", {"query": "?!"}, "INVALID", "query"),
                ("people.find", {"query": "x" * 1001}, "TOOBIG", "query"),
                ("people.find", {"query": "a b", "limit": 0}, "INVALID", "limit"),
                ("people.find", {"query": "a b", "limit": 1001}, "INVALID", "limit"),
                ("people.find", {"query": "a b", "limit": "ten"}, "TYPE", "limit"),
                ("people.find", {"query": "a b", "office": "york"}, "NOTFOUND", "office"),
                ("people.find", {"query": "a b", "level": "wizard"}, "INVALID", "level"),
                ("people.find", {"query": "a b", "level": 4}, "TYPE", "level"),
                ("people.find", {"query": "a b", "team": ""}, "INVALID", "team"),
                ("people.find", {"query": "a b", "team": "?!"}, "INVALID", "team"),
                ("people.find", {"query": "a b", "language": "-"}, "INVALID", "language"),
                ("people.find", {"query": "a b", "mentor": "yes"}, "TYPE", "mentor"),
                ("people.find", {"query": "a b", "today": 1}, "TYPE", "today"),
                ("people.find", {"query": "a b", "qurey": "c"}, "INVALID", None),
                ("people.show", {"handle": "zoe"}, "NOTFOUND", "handle"),
                ("people.show", {"handle": "alice@york"}, "NOTFOUND", "office"),
                ("people.show", {"handle": "Alice"}, "INVALID", "handle"),
                ("people.export", {"office": "york"}, "NOTFOUND", "office"),
                ("people.export", {"all": 1}, "TYPE", "all"),
                ("people.export", {"all": True, "office": "leeds"}, "INVALID", "all"),
                ("people.import", {"rows": {}}, "TYPE", "rows"),
                ("people.import", {"rows": [{}] * 201}, "TOOBIG", "rows"),
                ("people.import", {}, "MISSING", "rows"),
                ("me.set", {"name": 7}, "TYPE", "name"),
                ("me.set", {"skills": [{"name": "x", "level": "wizard"}]}, "INVALID", "skills[].level"),
                ("me.set", {"skills": ["x", "X"]}, "INVALID", "skills[].name"),
                ("me.set", {"email": "nobody"}, "INVALID", "email"),
                ("me.set", {"working_days": ["someday"]}, "INVALID", "working_days[]"),
                ("me.set", {"confirmed_at": 7}, "INVALID", None),
                ("me.set", {"handle": "x"}, "INVALID", None),
                ("me.set", {"name": "x", "if_rev": 7}, "STALE", None),
                ("me.add", {"skills": "x"}, "TYPE", "skills"),
                ("ask.create", {"text": ""}, "INVALID", "text"),
                ("ask.create", {"text": "x", "wait_ms": 60001}, "INVALID", "wait_ms"),
                ("ask.cancel", {"ask": "00"}, "NOTFOUND", "ask"),
                ("office.join", {"invite": "whocan-invite-1:rubbish"}, None, "invite"),
        ):
            with self.subTest(method=method, params=str(params)[:60]):
                with self.assertRaises(harness.RpcError) as caught:
                    self.client.call(method, **params)
                if code:
                    self.assertEqual(caught.exception.code, code, caught.exception.message)
                self.assertEqual(caught.exception.detail.get("field"), field)
                self.assertNotIn("\n", caught.exception.message)

    def test_a_megabyte_in_one_field_changes_nothing(self):
        before = self.leeds.people()
        result = self.client.call("people.import", rows=[row("carol", title="x" * 1000000)])
        self.assertEqual(result["accepted"], 0)
        self.assertEqual([(r["index"], r["handle"], r["field"]) for r in result["refused"]], [(0, "carol", "title")])
        with self.refused("TOOBIG", "title"):
            self.client.call("me.set", title="x" * 1000000)
        self.assertEqual(self.leeds.people(), before)


class People(OneDaemon):
    def test_a_person_is_as_documented(self):
        self.assertEqual(self.client.call("people.show", handle="alice@leeds")["person"], {
            "handle": "alice@leeds", "name": "Alice Example", "title": "Librarian", "team": "Libraries North",
            "office": "leeds",
            "skills": [{"name": "content design", "level": "expert", "mentor": True, "source": "directory"},
                       {"name": "blogging", "level": "", "source": "directory"}],
            "interests": ["local history"], "ask_me_about": "starting a blog", "languages": ["English", "Norwegian"],
            "working_days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "contact": {"email": "alice@example.org", "phone": "+44 113 496 0000"},
            "willing": True, "available": True, "confirmed_at": None,
            "source": "directory", "authored_by": None, "key_changed_at": None})
        self.assertEqual(self.client.call("people.show", handle="bob")["person"], {
            "handle": "bob@leeds", "name": "Bob Example", "title": "Engineer", "team": "", "office": "leeds",
            "skills": [{"name": "welding", "level": "", "source": "directory"}], "interests": [], "ask_me_about": "",
            "languages": [], "contact": {}, "willing": True, "available": True, "confirmed_at": None,
            "source": "directory", "authored_by": None, "key_changed_at": None})

    def test_a_hit_says_how_good_it_is_and_why(self):
        result = self.client.call("people.find", query="blogging")
        self.assertEqual(result["total"], 1)
        self.assertGreaterEqual(result["took_us"], 0)
        hit = result["people"][0]
        self.assertEqual(hit["handle"], "alice@leeds")
        self.assertGreater(hit["score"], 0)
        self.assertTrue(hit["why"])
        self.assertTrue(all(isinstance(w, str) for w in hit["why"]))

    def test_mistakes_find_what_was_meant(self):
        self.leeds.import_rows([row("ida", skills=["Økonomi", "webmaster", "procurement"])])
        for query, to in (("bloging", "blogging"), ("bgolgnig", "blogging"), ("contnet", "content"),
                          ("økonmi", "okonomi"), ("web master", "webmaster"), ("proccuremment", "procurement"),
                          ("conten", "content")):
            with self.subTest(query=query):
                result = self.client.call("people.find", query=query)
                self.assertEqual([p["handle"] for p in result["people"]],
                                 ["ida@leeds" if to in ("okonomi", "webmaster", "procurement") else "alice@leeds"])
                self.assertEqual(result["corrected"], [{"from": query, "to": to}])
        self.assertEqual(self.client.call("people.find", query="blogging")["corrected"], [])
        self.assertEqual(self.client.call("people.find", query="zymurgy")["corrected"], [])

    def test_questions_that_are_none(self):
        for query, code in (("", "INVALID"), ("\x01\x02", "INVALID"), ("a b " * 10000, "TOOBIG"), ("?!", "INVALID")):
            with self.subTest(query=query[:10]), self.refused(code, "query"):
                self.client.call("people.find", query=query)
        for query in ("can you help", "x" * 1000, "who what which", "bl\x00ogg\x1bing", "qz " * 333):
            with self.subTest(query=query[:10]):
                self.assertEqual(self.client.call("people.find", query=query)["people"], [])

    def test_limit_and_office_narrow_a_search(self):
        self.leeds.import_rows([row(f"p{i}", skills=["welding"]) for i in range(30)])
        self.assertEqual(len(self.leeds.handles("welding")), 10)
        self.assertEqual(len(self.leeds.handles("welding", limit=3)), 3)
        self.assertEqual(len(self.leeds.handles("welding", limit=1000, office="leeds")), 31)

    def test_filters_narrow_a_search(self):
        days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        self.leeds.import_rows([
            row("anne", skills=[{"name": "gis", "level": "expert"}], team="Planning North", working_days=days,
                languages=["Norwegian Bokmål"]),
            row("carl", skills=[{"name": "gis", "level": "working", "mentor": True}], team="Planning South")])

        def found(**filters):
            result = self.client.call("people.find", query="gis", **filters)
            self.assertEqual((result["total"], result["total_exact"]), (len(result["people"]), True))
            return [p["handle"].split("@")[0] for p in result["people"]]
        self.assertEqual(found(), ["anne", "carl"])
        self.assertEqual(found(team="planning"), ["anne", "carl"])
        self.assertEqual(found(team="south planning"), ["carl"])
        self.assertEqual(found(language="norwegian"), ["anne"])
        self.assertEqual(found(level="practitioner"), ["anne"])
        self.assertEqual(found(mentor=True), ["carl"])
        self.assertEqual(found(mentor=True, level="expert"), [])
        self.assertEqual(found(mentor=False, today=False), ["anne", "carl"])
        self.assertEqual(found(today=True), ["anne", "carl"])
        today = time.localtime().tm_wday
        self.leeds.import_rows([row("anne", skills=["gis"], working_days=[d for i, d in enumerate(days)
                                                                         if i not in (today, (today + 1) % 7)])])
        self.assertEqual(found(today=True), ["carl"])  # and if midnight comes meanwhile

    def test_a_result_never_outgrows_a_message(self):
        filler = [f"{'welding' if i == 0 else 'subject'} {i} {'x' * 80}" for i in range(64)]
        self.leeds.import_rows([row(f"p{i}", skills=filler) for i in range(300)], batch=100)
        result = self.client.call("people.find", query="welding", limit=1000)
        self.assertEqual(result["total"], 301)
        self.assertGreater(len(result["people"]), 50)
        self.assertLess(len(result["people"]), 301)

    def test_export_gives_what_import_took(self):
        self.assertEqual(self.leeds.people(), {
            "alice@leeds": {**ROWS[0], "handle": "alice@leeds",
                            "skills": [ROWS[0]["skills"][0], {"name": "blogging"}]},
            "bob@leeds": {**ROWS[1], "handle": "bob@leeds", "skills": [{"name": "welding"}]}})
        result = self.client.call("people.import", rows=list(self.leeds.people().values()))
        self.assertEqual(result, {"accepted": 0, "unchanged": 2, "refused": []})

    def test_an_export_streams_in_pages(self):
        self.leeds.import_rows([row(f"p{i}") for i in range(450)])
        result = self.client.call("people.export")
        self.assertEqual(result["count"], 452)
        pages = [p for m, p in self.client.notifications if m == "people.batch"]
        self.assertGreater(len(pages), 1)
        self.assertEqual({p["request"] for p in pages}, {self.client.last_id})
        handles = [r["handle"] for p in pages for r in p["people"]]
        self.assertEqual(len(handles), 452)
        self.assertEqual(len(set(handles)), 452)


class Import(OneDaemon):
    def test_rows_are_judged_one_by_one(self):
        result = self.client.call("people.import", rows=[
            row("carol"),
            row("Carol"),
            {"name": "Nobody"},
            row("dave@leeds"),
            row("erin@york"),
            row("carol", title="again"),
            row("frank", colour="red"),
            row("grace", skills=[{"name": ""}]),
            row("heidi", email=["x"]),
            "ivan",
            {**row("judy"), "name": "two\nlines"},
            row("alice", **{k: v for k, v in ROWS[0].items() if k != "handle"}) | ROWS[0],
        ])
        self.assertEqual(result["accepted"], 2)
        self.assertEqual(result["unchanged"], 1)
        self.assertEqual([(r["index"], r["handle"], r["field"]) for r in result["refused"]],
                         [(1, "Carol", "handle"), (2, "", "handle"), (4, "erin@york", "handle"), (5, "carol", "handle"),
                          (6, "frank", "colour"), (7, "grace", "skills[].name"), (8, "heidi", "email"), (9, "", ""),
                          (10, "judy", "name")])
        for refused in result["refused"]:
            self.assertTrue(refused["reason"])
            self.assertNotIn("\n", refused["reason"])
        self.assertEqual(set(self.leeds.people()), {f"{n}@leeds" for n in ("alice", "bob", "carol", "dave")})
        self.assertEqual(self.leeds.people()["carol@leeds"].get("title"), None)

    def test_a_dry_run_stores_nothing(self):
        before = self.leeds.status()["records"]
        result = self.client.call("people.import", rows=[row("carol"), row("X"), ROWS[1]], dry_run=True)
        self.assertEqual((result["accepted"], result["unchanged"], len(result["refused"])), (1, 1, 1))
        self.assertEqual(self.leeds.status()["records"], before)
        self.assertNotIn("carol@leeds", self.leeds.people())

    def test_a_row_replaces_the_row_before(self):
        self.assertEqual(self.client.call("people.import", rows=[row("bob", team="Works")])["accepted"], 1)
        self.assertEqual(self.leeds.people()["bob@leeds"], row("bob@leeds", name="Bob Example", team="Works"))
        self.assertEqual(self.leeds.handles("welding"), [])

    def test_overlapping_imports_of_one_person_all_count(self):
        ids = [self.client.send("people.import", {"rows": [row("bob", team=f"Team {i}")]}) for i in range(40)]
        for _ in ids:
            self.assertEqual(self.client.response()[3], {"accepted": 1, "unchanged": 0, "refused": []})
        self.assertRegex(self.leeds.people()["bob@leeds"]["team"], r"^Team \d+$")

    def test_a_record_has_16_kib(self):
        skills = [f"{i} {'ø' * 48}" for i in range(64)]
        interests = [f"{i} {'ø' * 48}" for i in range(32)]
        full = row("carol", skills=[{"name": s, "level": "practitioner", "mentor": True, "learn": True, "id": s}
                                    for s in skills], interests=interests, ask_me_about="x" * 1000)
        result = self.client.call("people.import", rows=[full])
        self.assertEqual(result["accepted"], 0)
        self.assertIn("16 KiB", result["refused"][0]["reason"])


class Me(OneDaemon):
    """The tests run as root, whose handle is root@leeds."""

    def test_a_profile_is_made_changed_and_cleared(self):
        shown = self.client.call("me.show")
        self.assertEqual((shown["handle"], shown["office"], shown["rev"], shown["person"], shown["profile"], shown["row"]),
                         ("root@leeds", "leeds", 0, None, None, None))
        result = self.client.call("me.set", name="Root Example", skills=["brewing"], email="root@example.org")
        self.assertEqual(result["rev"], 1)
        self.assertEqual(result["person"]["source"], "self")
        self.assertRegex(result["person"]["confirmed_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(self.leeds.handles("brewing"), ["root@leeds"])
        result = self.client.call("me.set", skills=[], title="Gardener")
        self.assertEqual((result["rev"], result["person"]["skills"], result["person"]["name"], result["person"]["title"]),
                         (2, [], "Root Example", "Gardener"))
        self.assertEqual(self.client.call("me.show")["profile"],
                         {"handle": "root@leeds", "name": "Root Example", "title": "Gardener",
                          "email": "root@example.org"})

    def test_skills_and_interests_are_added_and_dropped(self):
        self.client.call("me.add", skills=["brewing", {"name": "Welding", "level": "expert"}], interests=["bees"])
        result = self.client.call("me.add", skills=[{"name": "welding", "learn": True}])
        self.assertEqual([(s["name"], s["level"]) for s in result["person"]["skills"]], [("brewing", ""), ("welding", "")])
        result = self.client.call("me.drop", skills=["BREWING", "nothing"], interests=["bees"])
        self.assertEqual(result["dropped"], ["brewing", "bees"])
        self.assertEqual([s["name"] for s in result["person"]["skills"]], ["welding"])
        rev = result["rev"]
        result = self.client.call("me.drop", skills=["nothing"])
        self.assertEqual((result["dropped"], result["rev"]), ([], rev))
        with self.refused("TOOBIG", "skills"):
            self.client.call("me.add", skills=[f"s{i}" for i in range(64)])

    def test_own_words_win_over_the_directory(self):
        self.leeds.import_rows([row("root", title="Clerk", skills=[{"name": "filing", "level": "working"}, "brewing"])])
        result = self.client.call("me.set", title="Brewer", skills=[{"name": "brewing", "level": "expert"}])
        person = result["person"]
        self.assertEqual((person["name"], person["title"], person["source"]), ("Root Example", "Brewer", "both"))
        self.assertEqual([(s["name"], s["level"], s["source"]) for s in person["skills"]],
                         [("brewing", "expert", "self"), ("filing", "working", "directory")])
        shown = self.client.call("me.show")
        self.assertEqual(shown["row"]["title"], "Clerk")
        self.assertEqual(shown["profile"]["title"], "Brewer")
        self.leeds.import_rows([row("root", title="Archivist")])
        self.assertEqual(self.client.call("me.show")["person"]["title"], "Brewer")

    def test_an_edit_of_something_older_is_refused(self):
        rev = self.client.call("me.set", name="One")["rev"]
        self.client.call("me.set", name="Two", if_rev=rev)
        with self.refused("STALE"):
            self.client.call("me.set", name="Three", if_rev=rev)
        with self.refused("STALE"):
            self.client.call("me.set", name="Three", if_rev=0)
        self.assertEqual(self.client.call("me.show")["person"]["name"], "Two")

    def test_no_edit_is_lost_when_many_come_at_once(self):
        ids = [self.client.send("me.add", {"skills": [f"skill {i}"]}) for i in range(60)]
        revs = [self.client.response()[3]["rev"] for _ in ids]
        self.assertEqual(sorted(revs), list(range(1, 61)))
        self.assertEqual(len(self.client.call("me.show")["profile"]["skills"]), 60)

    def test_a_queue_of_wrong_edits_is_refused_edit_by_edit(self):
        ids = [self.client.send("me.set", {"name": "Good"})]
        ids += [self.client.send("me.set", {"email": "wrong"}) for _ in range(60)]
        codes = [(self.client.response()[2] or {}).get("code") for _ in ids]
        self.assertEqual(codes, [None] + ["INVALID"] * 60)


class Ask(OneDaemon):
    def test_an_ask_streams_and_ends_when_all_were_heard(self):
        answers, result = self.client.ask("who can help with blogging", wait_ms=60000)
        self.assertEqual([m for m, _ in self.client.notifications], ["ask.started", "ask.answer"])
        started = self.client.notifications[0][1]
        self.assertEqual(started, {"request": 1, "ask": result["ask"], "offices_known": 1})
        self.assertEqual(result, {"ask": result["ask"], "offices_heard": 1, "offices_known": 1, "people_total": 1})
        self.assertEqual({k: v for k, v in answers[0].items() if k != "people"},
                         {"request": 1, "ask": result["ask"], "office": "leeds", "total": 1, "offices_heard": 1,
                          "offices_known": 1})
        self.assertEqual(answers[0]["people"][0]["handle"], "alice@leeds")
        self.assertTrue(answers[0]["people"][0]["why"])

    def test_an_ask_may_not_wait_at_all(self):
        _, result = self.client.ask("who can help with blogging", wait_ms=0)
        self.assertLessEqual(result["offices_heard"], 1)

    def test_an_answer_lists_eight(self):
        self.leeds.import_rows([row(f"p{i}", skills=["welding"]) for i in range(30)])
        answers, result = self.client.ask("welding")
        self.assertEqual((len(answers[0]["people"]), answers[0]["total"], result["people_total"]), (8, 31, 31))


class Limits(OneDaemon):
    def test_a_client_that_does_not_read_is_closed(self):
        with self.leeds.client() as client:
            request = msgpack.packb([0, 1, "api.describe", []])
            try:
                while True:
                    client.send_bytes(request * 100)
            except (BrokenPipeError, ConnectionResetError):
                pass
        harness.wait(lambda: "bytes unread" in self.leeds.log(), "the log says so")
        self.assertEqual(self.leeds.call("office.show")["name"], "leeds")

    def test_a_stream_waits_for_a_slow_reader(self):
        about = "x" * 1000
        self.leeds.import_rows([row(f"p{i}", ask_me_about=about, title="y" * 200) for i in range(4000)])
        with self.leeds.client() as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = client.send("people.export")
            before = rss_kib(self.leeds.process.pid)
            for _ in range(50):  # the daemon goes on with others
                self.leeds.call("office.show")
            self.assertLess(rss_kib(self.leeds.process.pid) - before, 20000)
            self.assertEqual(client.response(request)[3]["count"], 4002)

    def test_thirty_two_connections_of_one_account(self):
        self.client.call("office.show")
        harness.wait(lambda: self.leeds.connections() == 1, "nobody else is there")
        clients = [self.leeds.client() for _ in range(31)]  # self.client is the thirty-second
        try:
            for client in clients:
                client.call("office.show")
            with self.leeds.client() as one_more:
                message = one_more.receive()
                self.assertEqual((message[1], message[2]["code"]), (None, "LIMIT"))
                self.assertIsNone(one_more.receive())
            clients.pop().close()
            harness.wait(self.leeds.answers, "a place is free again")
        finally:
            for client in clients:
                client.close()

    def test_clients_that_come_and_go_leave_nothing_behind(self):
        before = rss_kib(self.leeds.process.pid)
        for _ in range(300):
            with self.leeds.client() as client, contextlib.suppress(ConnectionError):  # too many at once
                client.send("people.find", {"query": "blogging"})
                client.send("people.export")
                client.send("ask.create", {"text": "blogging", "wait_ms": 60000})
        harness.wait(lambda: self.leeds.connections() == 1, "their connections are closed", alive=[self.leeds])
        self.assertLess(rss_kib(self.leeds.process.pid) - before, 20000)


def rss_kib(pid):
    """Resident memory; nothing under a sanitizer, which keeps freed memory on purpose."""
    if os.environ.get("WHOCAN_SMALL") == "1":
        return 0
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1))


class AsUser(harness.Case):
    """`as_user` runs a call with another uid."""

    def as_user(self, daemon, uid, method, gid=None, **params):
        code = ("import harness, sys, json\n"
                "try:\n    print(json.dumps(harness.Client(sys.argv[1]).call(sys.argv[2], **json.loads(sys.argv[3]))))\n"
                "except harness.RpcError as e:\n    print(json.dumps({'code': e.code, 'message': e.message}))\n")
        done = subprocess.run(["/usr/bin/python3", "-B", "-c", code, str(daemon.socket), method, json.dumps(params)],
                              user=uid, group=gid if gid is not None else uid, extra_groups=[], capture_output=True,
                              text=True, check=False, cwd="/",
                              env={**os.environ, "PYTHONPATH": str(self.directory / "lib")})
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def setUp(self):
        super().setUp()
        lib = self.directory / "lib"  # where every account can read it
        lib.mkdir(mode=0o755)
        (lib / "harness.py").write_text(pathlib.Path(harness.__file__).read_text())
        (lib / "harness.py").chmod(0o644)
        self.person, self.own, self.other = harness.free_uids(3)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Access(AsUser):
    """Who may do what."""

    def test_people_may_search_and_system_accounts_may_not(self):
        leeds = self.daemon("leeds")
        self.assertEqual(self.as_user(leeds, self.person, "office.show")["name"], "leeds")
        refusal = self.as_user(leeds, 33, "office.show")
        self.assertEqual(refusal["code"], "DENIED")
        self.assertIn("group whocan", refusal["message"])
        self.assertEqual(self.as_user(leeds, 65534, "office.show")["code"], "DENIED")
        self.assertEqual(self.as_user(leeds, 0, "office.show")["name"], "leeds")

    def test_administration_is_for_root(self):
        leeds = self.daemon("leeds")
        refusal = self.as_user(leeds, self.person, "people.import", rows=[])
        self.assertEqual(refusal["code"], "DENIED")
        self.assertIn("whocan-admin", refusal["message"])
        self.assertEqual(self.as_user(leeds, self.person, "office.join", invite="x")["code"], "DENIED")
        self.assertEqual(self.as_user(leeds, 0, "people.import", rows=[])["accepted"], 0)
        # who may watch also sees which version an office runs
        self.assertEqual(self.as_user(leeds, self.person, "node.watch")["code"], "DENIED")
        self.assertIsNone(self.as_user(leeds, self.person, "offices.list")["offices"][0]["version"])
        self.assertIsNotNone(self.as_user(leeds, 0, "offices.list")["offices"][0]["version"])

    def test_the_daemons_own_user_is_an_administrator(self):
        leeds = self.daemon("leeds", user=(self.own, self.own))
        self.assertEqual(self.as_user(leeds, self.own, "people.import", rows=[])["accepted"], 0)
        self.assertEqual(self.as_user(leeds, self.other, "people.import", rows=[])["code"], "DENIED")

    def test_a_group_may_be_let_in(self):
        # daemon (1) and www-data (33) are in every Debian; 33's own group has the name www-data
        leeds = self.daemon("leeds", config="[whocan]\naccess = group\ngroup = www-data\nadmin_group = daemon\n")
        self.assertEqual(self.as_user(leeds, 33, "office.show")["name"], "leeds")
        self.assertEqual(self.as_user(leeds, self.person, "office.show")["code"], "DENIED")
        self.assertEqual(self.as_user(leeds, self.person, "office.show", gid=33)["name"], "leeds")
        self.assertEqual(self.as_user(leeds, 1, "people.import", rows=[])["accepted"], 0)
        leeds.config_path.write_text("[whocan]\naccess = everyone\n")
        leeds.signal(1)
        harness.wait(lambda: self.as_user(leeds, self.person, "office.show").get("name") == "leeds", "the reload lets everyone in")

    def test_a_group_that_is_not_there_is_named(self):
        leeds = self.daemon("leeds", config="[whocan]\nadmin_group = no-such-group\n")
        harness.wait(lambda: 'admin_group: this machine has no group "no-such-group"' in leeds.log(), "a warning")
        leeds.config_path.write_text("[whocan]\ngroup = nor-this-one\n")
        leeds.signal(1)
        harness.wait(lambda: 'group: this machine has no group "nor-this-one"' in leeds.log(), "another warning")

    def test_a_connection_that_is_open_is_judged_anew(self):
        leeds = self.daemon("leeds", config="[whocan]\naccess = everyone\npeople_uid_min = 0\n")
        with leeds.client() as client:
            client.call("office.show")
            leeds.config_path.write_text("[whocan]\naccess = everyone\nlog_level = info\n")
            leeds.signal(1)
            harness.wait(lambda: "was read again" in leeds.log(), "the reload")
            client.call("office.show")

    def test_an_account_without_a_name_has_no_profile(self):
        leeds = self.daemon("leeds")
        self.assertEqual(self.as_user(leeds, self.person, "me.show")["code"], "NOTFOUND")
        self.assertIn(str(self.person), self.as_user(leeds, self.person, "me.show")["message"])
        self.assertEqual(self.as_user(leeds, self.person, "ask.create", text="blogging")["offices_heard"], 1)

    def test_everybody_edits_themselves_alone(self):
        leeds = self.daemon("leeds", config="[whocan]\naccess = everyone\n")
        self.assertEqual(self.as_user(leeds, 33, "me.set", name="Web")["person"]["handle"], "www-data@leeds")
        self.assertEqual(self.as_user(leeds, 1, "me.show")["person"], None)

    def test_each_role_calls_its_methods_and_no_others(self):
        """The whole table, by accounts that have one role each."""
        accounts = harness.Accounts(self.directory, person=self.person, web=self.own)
        accounts.group("keepers", 59990, "keeper")
        accounts.add("keeper", self.other)
        leeds = self.daemon("leeds", wrapper=accounts.wrapper,
                            config=f"[whocan]\nintranet_user = web\nintranet_acts = yes\nadmin_group = keepers\n"
                                   f"people_uid_min = {self.person}\npeople_uid_max = {self.person}\n")
        may = {"person": {"read", "self"}, "keeper": {"read", "self", "admin"}, "web": {"read"}, "nobody": set(),
               "root": {"read", "self", "admin"}}
        uids = {"person": self.person, "keeper": self.other, "web": self.own, "nobody": 65534, "root": 0}
        for method in leeds.call("api.describe")["methods"]:
            for who, roles in may.items():
                with self.subTest(method=method["name"], who=who):
                    # a parameter that no method knows: whoever is let in is told so, and nothing happens
                    answer = self.as_user(leeds, uids[who], method["name"], no_such_parameter=1)
                    intranet = who == "web" and method["access"] == "self"  # it might say "as"
                    self.assertEqual(answer["code"], "INVALID" if method["access"] in roles or intranet else "DENIED")
        self.assertIn('say with "as"', self.as_user(leeds, self.own, "me.show")["message"])

    def test_a_new_member_of_a_group_is_let_in_with_the_next_connection(self):
        accounts = harness.Accounts(self.directory, person=self.person)
        accounts.group("door", 59991)
        leeds = self.daemon("leeds", wrapper=accounts.wrapper, config="[whocan]\naccess = group\ngroup = door\n")
        self.assertEqual(self.as_user(leeds, self.person, "office.show")["code"], "DENIED")
        accounts.group("door", 59991, "person")
        self.assertEqual(self.as_user(leeds, self.person, "office.show")["name"], "leeds")
        accounts.group("door", 59991)
        self.assertEqual(self.as_user(leeds, self.person, "office.show")["code"], "DENIED")

    def test_the_range_of_people_is_that_of_the_configuration(self):
        low, high = sorted((self.person, self.other))
        leeds = self.daemon("leeds", config=f"[whocan]\npeople_uid_min = {low}\npeople_uid_max = {high}\n")
        for uid, let_in in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
            answer = self.as_user(leeds, uid, "office.show")
            self.assertEqual("name" in answer, let_in, f"uid {uid}: {answer}")

    def test_the_socket_is_open_to_all_and_says_no_itself(self):
        leeds = self.daemon("leeds")
        self.assertEqual(leeds.socket.stat().st_mode & 0o777, 0o666)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Fairness(AsUser):
    """What one account does delays no other, and every limit is per account."""

    WORDS = [a + b for a in ("book", "road", "tree", "youth") for b in ("care", "plan", "law", "map", "work")]

    def setUp(self):
        super().setUp()
        # what AddressSanitizer keeps of freed memory is not what an account can take
        options = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "quarantine_size_mb=1")))
        self.leeds = self.daemon("leeds", config="[whocan]\naccess = everyone\n", environment={"ASAN_OPTIONS": options})
        self.leeds.import_rows([row(f"p{i}", skills=self.WORDS, ask_me_about=" ".join(self.WORDS)) for i in range(400)])

    def spawn(self, uid, code, *words):
        """A process of another account; the code has `path`, `harness`, `words`, and prints."""
        code = "import sys, harness, msgpack\npath, words = sys.argv[1], sys.argv[2:]\n" + code
        process = subprocess.Popen(["/usr/bin/python3", "-B", "-u", "-c", code, str(self.leeds.socket), *words], user=uid,
                                   group=uid, extra_groups=[], stdout=subprocess.PIPE, text=True, cwd="/",
                                   env={**os.environ, "PYTHONPATH": str(self.directory / "lib")})
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    # sends as much as is taken, on many connections, and reads the answers to all of it
    BACKLOG = """
clients = [harness.Client(path) for _ in range(8)]
for client in clients:
    for i in range(30):
        client.send("people.find", {"query": " ".join(words), "limit": 1000})
print("sent")
answers = 0
for client in clients:
    for i in range(30):
        if client.receive()[2] is None:
            answers += 1
            print(answers)
print("end")
"""

    def test_the_backlog_of_one_account_does_not_delay_another(self):
        enemy = self.spawn(self.person, self.BACKLOG, *self.WORDS)
        self.assertEqual(enemy.stdout.readline(), "sent\n")
        self.assertEqual(enemy.stdout.readline(), "1\n")  # they are at it
        for _ in range(3):
            self.assertEqual(self.as_user(self.leeds, self.other, "people.find", query=self.WORDS[0])["total"], 400)
        # what is in the pipe by now was answered before: most of the backlog still waits
        os.set_blocking(enemy.stdout.fileno(), False)
        before = (os.read(enemy.stdout.fileno(), 65536) if select.select([enemy.stdout], [], [], 0)[0] else b"").split()
        self.assertNotIn(b"end", before)
        self.assertLess(len(before), 200)

    def test_over_the_bound_it_is_busy_and_says_until_when(self):
        counts = json.loads(self.spawn(self.person, """
import json
client = harness.Client(path)
codes, retry = {}, set()
for i in range(60):
    client.send("ask.create", {"text": "booklaw", "wait_ms": 0})
for i in range(60):
    message = client.response()
    code = message[2]["code"] if message[2] else "ok"
    codes[code] = codes.get(code, 0) + 1
    if code == "BUSY":
        retry.add(message[2]["detail"]["retry_after_ms"])
        assert "try again in" in message[2]["message"]
        break
print(json.dumps([codes, sorted(retry)]))
""").stdout.readline())
        self.assertEqual(counts[0]["BUSY"], 1)
        self.assertTrue(all(10000 <= ms <= 20000 for ms in counts[1]), counts)
        self.assertLess(counts[0].get("ok", 0), 40)
        # another account is not over anything, and administrators are never
        self.assertEqual(self.as_user(self.leeds, self.other, "ask.create", text="booklaw", wait_ms=0)["offices_known"], 1)
        with self.leeds.client() as root:
            for _ in range(60):
                root.send("ask.create", {"text": "booklaw", "wait_ms": 0})
            codes = {(root.response()[2] or {}).get("code") for _ in range(60)}
        self.assertLessEqual(codes, {None, "LIMIT"})

    def test_only_administrators_send_large_messages(self):
        answer = self.spawn(self.person, """
client = harness.Client(path)
client.send("me.set", {"ask_me_about": "x" * 70000})
message = client.receive()
print(message[1], message[2]["code"])
""").stdout.readline()
        self.assertEqual(answer, "None TOOBIG\n")
        with self.refused("TOOBIG", "ask_me_about"):
            self.leeds.call("me.set", ask_me_about="x" * 70000)

    def test_unread_answers_of_all_connections_count_together(self):
        enemy = self.spawn(self.person, """
clients = [harness.Client(path) for _ in range(30)]
try:
    while True:
        for client in clients:
            client.send("api.describe")
except (BrokenPipeError, ConnectionResetError):
    print("closed")
""")
        most = 0

        def ended():
            nonlocal most
            most = max(most, rss_kib(self.leeds.process.pid))
            return enemy.poll() is not None
        before = rss_kib(self.leeds.process.pid)
        harness.wait(ended, "a connection was closed", alive=[self.leeds])
        self.assertLess(most - before, 100000)
        self.assertIn("bytes unread", self.leeds.log())

    def test_a_connection_flood_keeps_nobody_out(self):
        enemies = [self.spawn(self.person, """
import socket
print("begun")
while True:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.send(words[0].encode())
    except OSError:
        pass
""", word) for word in ("garbage", "\x94")]
        for enemy in enemies:
            enemy.stdout.readline()
        for _ in range(3):
            self.assertEqual(self.as_user(self.leeds, self.other, "people.find", query=self.WORDS[0])["total"], 400)
        for enemy in enemies:
            enemy.kill()
            enemy.wait()
        harness.wait(lambda: self.leeds.connections() == 0, "all connections are closed")


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Intranet(AsUser):
    """The intranet's account: searches, and acts for people where the configuration says so."""

    CONFIG = "[whocan]\nintranet_user = web\nintranet_acts = {}\npeople_uid_max = {}\n"

    def start(self, acts):
        self.accounts = harness.Accounts(self.directory, alice=self.person, web=self.own)
        people_max = max(self.person, self.own - 1) if self.own > self.person else self.own - 1
        leeds = self.daemon("leeds", wrapper=self.accounts.wrapper, config=self.CONFIG.format(acts, people_max))
        return leeds

    def test_it_searches_and_acts_for_nobody_unless_told(self):
        leeds = self.start("no")
        self.assertEqual(self.as_user(leeds, self.own, "people.find", query="x")["total"], 0)
        for method, params in (("me.show", {}), ("me.set", {"name": "X"}), ("ask.create", {"text": "x"})):
            refusal = self.as_user(leeds, self.own, method, **{"as": "alice"}, **params)
            self.assertEqual(refusal["code"], "DENIED")
            self.assertIn("intranet_acts = yes", refusal["message"])
        leeds.config_path.write_text(leeds.config_path.read_text().replace("acts = no", "acts = yes"))
        leeds.signal(1)
        harness.wait(lambda: self.as_user(leeds, self.own, "me.show", **{"as": "alice"}).get("handle") == "alice@leeds",
                     "the reload lets it act")

    def test_it_acts_for_a_person(self):
        leeds = self.start("yes")
        done = self.as_user(leeds, self.own, "me.set", name="Alice Archer", **{"as": "alice"})
        self.assertEqual(done["person"]["handle"], "alice@leeds")
        self.as_user(leeds, self.own, "me.add", skills=["weaving", "filing"], **{"as": "alice"})
        self.as_user(leeds, self.own, "me.drop", skills=["filing"], **{"as": "alice"})
        shown = self.as_user(leeds, self.person, "me.show")
        self.assertEqual([s["name"] for s in shown["profile"]["skills"]], ["weaving"])
        self.assertFalse(self.as_user(leeds, self.own, "me.show", **{"as": "alice"})["admin"])
        self.assertEqual(self.as_user(leeds, self.own, "ask.create", text="weaving", **{"as": "alice"})["people_total"], 1)

    def test_only_for_accounts_that_may_use_the_office(self):
        leeds = self.start("yes")
        for login, code in (("nosuchuser", "NOTFOUND"), ("root", "DENIED"), ("web", "DENIED"), ("A B", "INVALID")):
            refusal = self.as_user(leeds, self.own, "me.show", **{"as": login})
            self.assertEqual(refusal["code"], code, refusal)

    def test_nobody_else_acts_for_anybody(self):
        leeds = self.start("yes")
        for uid in (self.person, 0):
            refusal = self.as_user(leeds, uid, "me.set", name="X", **{"as": "alice"})
            self.assertEqual(refusal["code"], "DENIED")
            self.assertIn("intranet_user", refusal["message"])
        self.assertEqual(self.as_user(leeds, self.person, "me.show")["rev"], 0)


if __name__ == "__main__":
    harness.main()
