#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Audiences: what is for the organisation leaves the home office, and nothing else does; what is for the office is shown
there; what is for a question only, or for its owner alone, is shown to its owner alone."""
import json
import os
import random
import subprocess
import unittest

import msgpack

import harness
from harness import PATIENCE_S, WHOCAN, wait
from test_erase import as_uid, files_with

AUDIENCES = ("organisation", "office", "match", "me")
TEXTS = ("name", "title", "team", "ask_me_about", "email", "phone")
LISTS = ("skills", "interests", "languages")


def canary(field, audience):
    """No part of a word of anything else."""
    return f"zq{field.replace('_', '')}{audience}wx"


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        uids = harness.free_uids(len(AUDIENCES) + 2)
        self.uids = dict(zip([f"u{a}" for a in AUDIENCES] + ["other", "web"], uids))
        self.accounts = harness.Accounts(self.directory, **self.uids)

    def run_as(self, daemon, login, *words, **more):
        home = self.directory / f"home-{login}"
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, self.uids[login], self.uids[login])
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("WHOCAN_", "XDG_"))}
        environment.update(XDG_DATA_HOME=str(home), TMPDIR=str(home), **more)
        return subprocess.run([WHOCAN, "--socket", daemon.socket, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE_S * 2, check=False, env=environment, cwd="/",
                              user=self.uids[login], group=self.uids[login], extra_groups=[])

    def whocan(self, daemon, login, *words, status=0, stderr="", **more):
        done = self.run_as(daemon, login, *words, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(stderr, done.stderr)
        return done.stdout

    def call_as(self, login, daemon, method, **params):
        """The result of a call of somebody's, or their error."""
        _, _, error, result = as_uid(self.uids[login], daemon, method, params)
        return error if error is not None else result

    def write(self, daemon, audience):
        """Somebody with a canary in every field, all for one audience."""
        words = [f"{field}={canary(field, audience)}{'@example.org' if field == 'email' else ''}"
                 for field in TEXTS + LISTS]
        return self.whocan(daemon, f"u{audience}", "me", "set", *words, "--audience", audience)


class Canaries(Case):
    def setUp(self):
        super().setUp()
        self.leeds, self.york, self.hull = self.offices("leeds", "york", "hull", wrapper=self.accounts.wrapper,
                                                        flags=["--erase-interval", "0"],
                                                        config=f"[whocan]\nintranet_user = {self.uids['web']}\n")
        for audience in AUDIENCES:
            self.write(self.leeds, audience)
        for office in (self.york, self.hull):
            wait(lambda o=office: len(o.people(all=True)) == len(AUDIENCES), "everybody is known", alive=self.daemons)

    def assert_sees(self, shown, audiences, whom, fields=TEXTS + LISTS):
        """What was shown has the canaries of these audiences, and of no other."""
        text = repr(shown)
        for audience in AUDIENCES:
            for field in fields:
                self.assertEqual(canary(field, audience) in text, audience in audiences, f"{whom}: {field}, {audience}")

    def test_only_what_is_the_organisations_leaves_the_office(self):
        shown = [self.york.call("people.show", handle=f"u{a}@leeds") for a in AUDIENCES]
        self.assert_sees(shown, ["organisation"], "york")
        self.assert_sees(list(self.hull.people(all=True).items()), ["organisation"], "hull, exported")
        with self.york.client() as client:
            for audience in AUDIENCES:
                client.ask(f"who knows {canary('skills', audience)}?")
        self.york.stop()
        self.hull.stop()
        for audience in AUDIENCES:
            for field in TEXTS + LISTS:
                # what york asked for stands in its own record of the question
                asked = field == "skills" and audience != "organisation"
                places = files_with([self.york, self.hull], canary(field, audience))
                places = [p for p in places if not asked or "/records/" not in p]
                self.assertEqual(bool(places), audience == "organisation", f"{field} for {audience}: {places}")

    def test_what_is_hidden_is_in_the_records_of_its_office_alone(self):
        self.leeds.call("node.status")
        said = repr([self.leeds.call(m) for m in ("node.status", "node.metrics", "offices.list", "office.show")])
        log = self.leeds.log()
        for audience in AUDIENCES:
            for field in TEXTS + LISTS:
                text = canary(field, audience)
                self.assertNotIn(text, said)
                self.assertNotIn(text, log)
                files = files_with([self.leeds], text)
                self.assertTrue([f for f in files if "/records/" in f], f"{text} is nowhere: this would prove nothing")
                if audience in ("match", "me"):
                    self.assertEqual([f for f in files if "/records/" not in f], [], text)

    def test_who_sees_what_at_home(self):
        def all_of(login, **more):
            return [self.call_as(login, self.leeds, "people.show", handle=f"u{a}", **more) for a in AUDIENCES]
        self.assert_sees(all_of("other"), ["organisation", "office"], "a colleague")
        self.assert_sees(all_of("other", audience="organisation"), ["organisation"], "a colleague, as york")
        self.assert_sees(all_of("web"), ["organisation"], "the intranet")
        self.assert_sees(all_of("ume"), ["organisation", "office", "me"], "ume")
        self.assert_sees(all_of("umatch"), ["organisation", "office", "match"], "umatch")
        self.assert_sees(self.call_as("other", self.leeds, "people.export"), [], "an export, without its rows")
        self.assert_sees(list(self.leeds.people().items()), ["organisation"], "an export, even of root's")
        for audience in ("match", "me"):
            self.assertEqual(self.call_as("other", self.leeds, "people.show", handle="ume", audience=audience)["code"],
                             "DENIED")
        # what administration may read
        about = [self.leeds.call("people.about", handle=f"u{a}") for a in AUDIENCES]
        self.assert_sees(about, ["organisation"], "root")
        self.assertEqual([a["withheld"] for a in about], [False, True, True, True])
        own = self.call_as("ume", self.leeds, "me.export")
        self.assert_sees(own, ["me"], "her own export")
        self.assertEqual((own["local"]["me"]["phone"], own["withheld"]), (canary("phone", "me"), False))

    def test_a_search_and_a_question_find_nothing_that_is_hidden(self):
        for audience in ("match", "me"):
            for field in TEXTS + LISTS:
                found = self.call_as("other", self.leeds, "people.find", query=canary(field, audience))
                self.assertEqual((found["total"], found["people"]), (0, []), field)
        for field in ("name", "title", "team", "ask_me_about", "skills", "interests", "languages"):
            found = self.call_as("other", self.leeds, "people.find", query=canary(field, "office"))
            self.assertEqual([p["handle"] for p in found["people"]], ["uoffice@leeds"], field)
            self.assertEqual(self.call_as("web", self.leeds, "people.find", query=canary(field, "office"))["total"], 0)
        for audience in AUDIENCES:
            for field in ("title", "skills", "interests"):
                found = self.york.call("people.find", query=canary(field, audience))
                self.assertEqual(found["total"], audience == "organisation")
                for office in (self.york, self.leeds):
                    with office.client() as client:
                        answers, _ = client.ask(canary(field, audience))
                    people = [p for a in answers for p in a["people"]]
                    self.assertEqual(len(people), audience == "organisation", (office.name, field, audience, answers))

    def test_what_is_hidden_is_not_counted(self):
        def counted(call):
            found = call("people.find", query="leeds", facets=True)["facets"]
            self.assertEqual(found["people"], len(AUDIENCES))
            return [call("skills.list", limit=100), call("skills.list", prefix="zqskills"), found]
        for login, audiences in (("other", ["organisation", "office"]), ("web", ["organisation"]),
                                 ("ume", ["organisation", "office"])):
            for shown in counted(lambda m, login=login, **params: self.call_as(login, self.leeds, m, **params)):
                self.assert_sees(shown, audiences, login, fields=["skills"])
        for shown in counted(self.york.call):
            self.assert_sees(shown, ["organisation"], "york", fields=["skills"])

    def test_the_account_of_another_person_inherits_nothing(self):
        self.accounts.add("ume", self.uids["other"])
        self.accounts.remove("other")
        self.leeds.restart()
        for method, params in (("people.show", {"handle": "ume"}), ("me.export", {}), ("me.show", {})):
            said = self.call_as("other", self.leeds, method, **params)
            self.assert_sees(said, [], method)
        self.assertEqual(self.call_as("other", self.leeds, "me.show")["person"], None)
        self.assertNotIn("local", self.call_as("other", self.leeds, "me.export")["facts"])
        self.assertIsNone(self.call_as("other", self.leeds, "me.export")["local"])

    def test_who_is_erased_is_gone_with_what_was_hidden(self):
        for audience in AUDIENCES:
            self.whocan(self.leeds, f"u{audience}", "erase", "--yes", "--wait", "60")
        for audience in AUDIENCES:
            for field in TEXTS + LISTS:
                self.assertEqual(files_with(self.daemons, canary(field, audience)), [])


class Editing(Case):
    def setUp(self):
        super().setUp()
        self.leeds = self.daemon("leeds", wrapper=self.accounts.wrapper)

    def me(self):
        return self.call_as("other", self.leeds, "me.show")

    def shown(self, audience):
        text = self.whocan(self.leeds, "other", "show", "other", "--as", audience, "--json")
        return json.loads(text)

    def test_a_field_moves_and_keeps_its_audience(self):
        self.whocan(self.leeds, "other", "me", "set", "name=Other", "phone=111", "email=o@example.org")
        self.assertEqual(self.shown("organisation")["contact"], {"phone": "111", "email": "o@example.org"})
        self.whocan(self.leeds, "other", "me", "set", "--audience", "phone=office, email=me")
        self.assertEqual(self.shown("organisation")["contact"], {})
        self.assertEqual(self.shown("office")["contact"], {"phone": "111"})
        self.assertEqual(self.shown("me")["contact"], {"phone": "111", "email": "o@example.org"})
        # a new value stays where the old one was, and so does the first one after none
        self.whocan(self.leeds, "other", "me", "set", "phone", "222")
        self.assertEqual(self.shown("office")["contact"], {"phone": "222"})
        self.whocan(self.leeds, "other", "me", "set", "phone", "")
        self.assertEqual(self.shown("me")["contact"], {"email": "o@example.org"})
        self.whocan(self.leeds, "other", "me", "set", "phone", "333")
        self.assertEqual((self.shown("organisation")["contact"], self.shown("office")["contact"]), ({}, {"phone": "333"}))
        self.whocan(self.leeds, "other", "me", "set", "--audience", "phone=organisation")
        self.assertEqual(self.shown("organisation")["contact"], {"phone": "333"})

    def test_skills_and_interests_each_have_one(self):
        self.whocan(self.leeds, "other", "me", "add", "skill", "welding", "--level", "expert")
        self.whocan(self.leeds, "other", "me", "add", "skill", "sign language", "--audience", "match")
        self.whocan(self.leeds, "other", "me", "add", "interest", "choir", "--audience", "me")

        def skills(audience):
            return [s["name"] for s in self.shown(audience)["skills"]]
        self.assertEqual((skills("office"), skills("match")), (["welding"], ["welding", "sign language"]))
        text = self.whocan(self.leeds, "other", "me")
        self.assertRegex(text, r"Only match +skill sign language")
        self.assertRegex(text, r"Only me +interest choir")
        # said again without an audience it stays hidden; moved, it keeps its level
        self.whocan(self.leeds, "other", "me", "add", "skill", "Sign Language", "--level", "working")
        self.assertEqual(skills("office"), ["welding"])
        self.whocan(self.leeds, "other", "me", "set", "--audience", "skill sign language=office,skill welding=me")
        self.assertEqual((skills("organisation"), skills("office")), ([], ["Sign Language"]))
        self.assertEqual(self.shown("office")["skills"][0]["level"], "working")
        self.assertEqual(self.whocan(self.leeds, "other", "me", "drop", "skill", "welding"), "Dropped: welding\n")
        self.whocan(self.leeds, "other", "me", "set", "--audience", "skill welding=me", status=4, stderr="no such name")
        self.whocan(self.leeds, "other", "me", "set", "--audience", "phone=everyone", status=2, stderr="organisation")
        self.whocan(self.leeds, "other", "me", "set", "--audience", "me", status=2, stderr="which field")
        self.whocan(self.leeds, "other", "show", "other", "--as", "nobody", status=2, stderr="--as takes")

    def test_the_form_shows_and_takes_it(self):
        self.whocan(self.leeds, "other", "me", "set", "name=Other", "phone=111", "skills=welding,chess", "--audience",
                    "phone=office,skill chess=me")
        editor = self.directory / "editor"
        editor.write_text("#!/bin/sh\ngrep -q '^phone: 111 \\[office\\]$' \"$1\" || exit 9\n"
                          "grep -q '^  chess \\[me\\]$' \"$1\" || exit 8\n"
                          "sed -i -e 's/^  chess .*/  chess/' -e 's/^  welding/  welding [match]/' "
                          "-e 's/^name: Other/name: Other [office]/' \"$1\"\n")
        editor.chmod(0o755)
        self.whocan(self.leeds, "other", "me", "edit", VISUAL=str(editor))
        seen = self.shown("organisation")
        self.assertEqual((seen["name"], [s["name"] for s in seen["skills"]], seen["contact"]), ("", ["chess"], {}))
        self.assertEqual(self.me()["person"]["audience"],
                         {"name": "office", "phone": "office", "skills": {"welding": "match"}})

    def test_the_office_refuses_a_field_in_two_places(self):
        self.call_as("other", self.leeds, "me.set", phone="111", audience={"phone": "office"})
        self.assertEqual(self.call_as("other", self.leeds, "people.show", handle="other", audience="organisation")
                         ["person"]["contact"], {})
        self.assertEqual(self.call_as("other", self.leeds, "me.set", phone="1", audience={"phone": "all"})["code"],
                         "INVALID")
        self.assertEqual(self.call_as("other", self.leeds, "me.set", phone="1", audience=["phone"])["code"], "TYPE")

    def test_a_kill_at_any_moment_leaves_a_field_in_one_place(self):
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        leeds = self.daemon("york")
        done = 0  # phone is the number of the last change; odd ones are for the office
        leeds.call("me.set", phone="0", audience={"phone": "organisation"})
        for _ in range(12):
            with leeds.client() as client:
                sent = [client.send("me.set", {"phone": str(n), "audience": {"phone": ("organisation", "office")[n % 2]}})
                        for n in range(done + 1, done + 9)]
                for msgid in sent[:chance.randrange(len(sent))]:
                    client.response(msgid)
                    done += 1
                leeds.kill()
            leeds.start()
            me = leeds.call("me.show")
            phone = int(me["profile"]["phone"])
            self.assertGreaterEqual(phone, done)
            seen = leeds.call("people.show", handle="root", audience="organisation")["person"]["contact"].get("phone")
            self.assertEqual(seen, None if phone % 2 else str(phone))
            self.assertEqual(me["person"].get("audience", {}), {"phone": "office"} if phone % 2 else {})
            done = phone


if __name__ == "__main__":
    harness.main()
