#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three offices of one organisation over loopback."""
import contextlib
import socket
import time
import unittest

import harness
from harness import row, wait, wait_linked, wait_same_people


class Three(harness.Case):
    """leeds, york and hull, linked, with two people each."""

    FLAGS = ()

    def setUp(self):
        super().setUp()
        self.leeds, self.york, self.hull = self.all = self.offices("leeds", "york", "hull", flags=self.FLAGS)
        for daemon in self.all:
            daemon.import_rows([row(f"alice.{daemon.name}", skills=[{"name": "blogging", "level": "expert"}]),
                                row(f"bob.{daemon.name}", skills=["welding"])])


class Exchange(Three):
    def test_everybody_is_known_everywhere(self):
        wait_same_people(self.all, 6)
        everybody = sorted(f"{n}.{o}@{o}" for n in ("alice", "bob") for o in ("leeds", "york", "hull"))
        for daemon in self.all:
            self.assertEqual(sorted(daemon.people(all=True)), everybody)
            wait(lambda d=daemon: len(d.handles("blogging")) == 3, "the index has all three", alive=self.all)
            self.assertEqual(daemon.call("people.show", handle="alice.york@york")["person"]["office"], "york")
            self.assertEqual(daemon.handles("blogging", office="hull"), ["alice.hull@hull"])
            self.assertEqual(sorted(daemon.people(office="hull")), ["alice.hull@hull", "bob.hull@hull"])

    def test_the_list_of_offices_says_what_is_known(self):
        wait_same_people(self.all, 6)
        offices = self.leeds.offices()
        self.assertEqual({n: (o["state"], o["people"]) for n, o in offices.items()},
                         {"hull": ("linked", 2), "leeds": ("self", 2), "york": ("linked", 2)})
        self.assertEqual(list(offices), ["hull", "leeds", "york"])
        self.assertRegex(offices["york"]["last_heard_at"], r"^20\d\d-.*Z$")
        self.assertRegex(offices["york"]["expires_at"], r"^20\d\d-.*Z$")
        self.assertLess(abs(offices["york"]["clock_offset_ms"]), 60000)
        self.assertEqual(offices["york"]["addresses"], [self.york.address()])
        status = self.leeds.status()
        self.assertEqual((status["mode"], status["offices_known"], status["organisation"], status["warnings"]),
                         ("member", 3, "Borough Council", []))
        self.assertEqual(sorted(link["office"] for link in status["links"]), ["hull", "york"])
        self.assertTrue(all(link["received_bytes"] > 0 and link["sent_bytes"] > 0 for link in status["links"]))
        self.assertGreater(status["certificate"]["days_left"], 0)

    def test_a_profile_edited_here_is_found_there_within_a_second(self):
        wait_same_people(self.all, 6)
        for skill in ("beekeeping", "lockpicking", "typography"):
            self.leeds.call("me.set", name="Root Example", skills=[skill])
            edited = time.monotonic()
            for daemon in (self.york, self.hull):
                wait(lambda d=daemon: d.handles(skill) == ["root@leeds"], f"{daemon.name} finds {skill}", patience_s=1,
                     alive=self.all)
            self.assertLess(time.monotonic() - edited, 1)

    def test_what_is_dropped_here_is_found_there_no_more(self):
        self.leeds.call("me.set", name="Root Example", skills=["beekeeping"])
        wait(lambda: self.york.handles("beekeeping") == ["root@leeds"], "york finds it", alive=self.all)
        self.leeds.call("me.drop", skills=["beekeeping"])
        wait(lambda: self.york.handles("beekeeping") == [], "york finds it no more", alive=self.all)

    def test_an_office_that_was_away_catches_up(self):
        wait_same_people(self.all, 6)
        self.york.stop()
        self.leeds.import_rows([row(f"late{i}") for i in range(300)])
        wait_same_people([self.hull], 306)
        self.york.start()
        wait_same_people([self.york], 306)
        self.assertIn("late299@leeds", self.york.people(office="leeds"))

    def test_an_office_keeps_what_it_knew_when_alone(self):
        wait_same_people(self.all, 6)
        self.leeds.stop()
        self.hull.stop()
        wait(lambda: not self.york.status()["links"], "york is alone", alive=[self.york])
        self.assertEqual(len(self.york.handles("blogging")), 3)
        self.york.restart()
        self.assertEqual(len(self.york.handles("blogging")), 3)
        self.assertEqual({n: o["state"] for n, o in self.york.offices().items()},
                         {"leeds": "known", "york": "self", "hull": "known"})


class Ask(Three):
    def test_every_office_answers(self):
        wait_same_people(self.all, 6)
        answers, result = ask(self.leeds, "who can help with blogging")
        self.assertEqual(sorted(a["office"] for a in answers), ["hull", "leeds", "york"])
        self.assertEqual((result["offices_heard"], result["offices_known"], result["people_total"]), (3, 3, 3))
        for answer in answers:
            self.assertEqual([p["handle"] for p in answer["people"]], [f"alice.{answer['office']}@{answer['office']}"])
            person = answer["people"][0]
            self.assertEqual(person["name"], f"Alice.{answer['office']} Example")
            self.assertGreater(person["score"], 0)
            self.assertTrue(person["why"])
            self.assertEqual(answer["offices_known"], 3)
        self.assertEqual([a["offices_heard"] for a in answers], [1, 2, 3])

    def test_the_end_comes_as_soon_as_all_were_heard(self):
        started = time.monotonic()
        _, result = ask(self.leeds, "blogging", wait_ms=60000)
        self.assertEqual(result["offices_heard"], 3)
        self.assertLess(time.monotonic() - started, 30)

    def test_an_office_that_is_away_is_waited_for_and_missed(self):
        wait_same_people(self.all, 6)
        self.hull.kill()
        answers, result = ask(self.leeds, "blogging", wait_ms=1500)
        self.assertEqual((result["offices_heard"], result["offices_known"]), (2, 3))
        self.assertEqual(sorted(a["office"] for a in answers), ["leeds", "york"])

    def test_an_ask_can_be_cancelled(self):
        self.hull.kill()
        with self.leeds.client() as client:
            request = client.send("ask.create", {"text": "blogging", "wait_ms": 60000})
            while not client.notifications:
                message = client.receive()
                client.notifications.append((message[1], message[2][0]))
            started = client.notifications[0][1]
            self.assertEqual(started["request"], request)
            with self.leeds.client() as other:  # of the same account: any connection may
                self.assertEqual(other.call("ask.cancel", ask=started["ask"]), {})
                with self.refused("NOTFOUND", "ask"):
                    other.call("ask.cancel", ask=started["ask"])
            self.assertLessEqual(client.response(request)[3]["offices_heard"], 2)

    def test_asks_from_everywhere_at_once(self):
        clients = [d.client() for d in self.all for _ in range(4)]
        try:
            for client in clients:
                client.send("ask.create", {"text": "who knows about blogging", "wait_ms": 20000})
            for client in clients:
                self.assertEqual(client.response()[3]["offices_heard"], 3)
        finally:
            for client in clients:
                client.close()


class NotReplicated(Three):
    """The ask goes over the wire: nobody holds anybody else's people, and each home office answers."""

    FLAGS = ("--replicate=no",)

    def test_home_offices_answer(self):
        answers, result = ask(self.leeds, "who can help with blogging", wait_ms=20000)
        self.assertEqual(self.leeds.status()["people"], 2)
        self.assertEqual(self.leeds.handles("blogging"), ["alice.leeds@leeds"])
        self.assertEqual((result["offices_heard"], result["offices_known"], result["people_total"]), (3, 3, 3))
        people = {a["office"]: a["people"] for a in answers}
        self.assertEqual(people["leeds"][0]["name"], "Alice.leeds Example")
        for office in ("york", "hull"):
            self.assertEqual(set(people[office][0]), {"handle", "office", "score"})
            self.assertEqual(people[office][0]["handle"], f"alice.{office}@{office}")


class Joining(harness.Case):
    def test_people_come_along(self):
        organisation = self.organisation()
        leeds = self.daemon("attic")
        leeds.import_rows([row(f"p{i}", skills=["welding"], email=f"p{i}@example.org") for i in range(700)])
        leeds.call("me.set", name="Root Example", skills=["brewing"])
        rev = leeds.call("me.set", ask_me_about="beer")["rev"]
        result = leeds.call("office.join", invite=organisation.invite("leeds", "--title", "Leeds Civic Hall"))
        self.assertEqual(result, {"name": "leeds", "organisation": "Borough Council", "people_moved": 701})
        shown = leeds.call("office.show")
        self.assertEqual((shown["name"], shown["title"], shown["organisation"], shown["mode"]),
                         ("leeds", "Leeds Civic Hall", "Borough Council", "member"))
        for _ in range(2):
            self.assertEqual(leeds.status()["people"], 701)
            self.assertEqual(leeds.handles("brewing"), ["root@leeds"])
            self.assertEqual(len(leeds.handles("welding", limit=1000)), 700)
            me = leeds.call("me.show")
            self.assertEqual((me["rev"], me["profile"]["ask_me_about"]), (rev, "beer"))
            self.assertEqual(list(leeds.offices()), ["leeds"])
            leeds.stop()
            leeds.name = "leeds"  # the certificate's name: no other is taken
            leeds.start()
        york = self.daemon("york", flags=["--join", leeds.address()])
        york.call("office.join", invite=organisation.invite("york"))
        wait_same_people([leeds, york], 701)

    def test_a_member_keeps_the_name_in_its_certificate(self):
        leeds, = self.offices("leeds")
        leeds.stop()
        leeds.name = "bradford"
        leeds.start()
        self.assertEqual(leeds.call("office.show")["name"], "leeds")
        self.assertIn("office = bradford is ignored", leeds.log())

    def test_wrong_invitations_change_nothing(self):
        organisation = self.organisation()
        leeds = self.daemon("leeds")
        leeds.import_rows([row("alice")])
        before = leeds.call("office.show")
        invite = organisation.invite("leeds")
        altered = invite[:40] + ("B" if invite[40] == "A" else "A") + invite[41:]
        for wrong in ("hello", "whocan-invite-1:", invite[:-5], altered, invite + "AAAA"):
            with self.assertRaises(harness.RpcError) as caught:
                leeds.call("office.join", invite=wrong)
            self.assertEqual(caught.exception.detail, {"field": "invite"})
        self.assertEqual(leeds.call("office.show"), before)
        self.assertEqual(list(leeds.people()), ["alice@leeds"])
        leeds.call("office.join", invite=invite)
        with self.refused("EXISTS"):
            leeds.call("office.join", invite=organisation.invite("york"))

    def test_an_office_with_more_people_than_its_certificate_allows_does_not_join(self):
        organisation = self.organisation()
        leeds = self.daemon("leeds")
        leeds.import_rows([row(f"p{i}") for i in range(3)])
        before = leeds.call("office.show")
        with self.refused("LIMIT", "invite"):
            leeds.call("office.join", invite=organisation.invite("leeds", "--quota", "2"))
        self.assertEqual(leeds.call("office.show"), before)
        self.assertEqual(len(leeds.people()), 3)
        leeds.call("office.join", invite=organisation.invite("leeds", "--quota", "3"))
        self.assertIn("allows no more than 3", "".join(leeds.status()["warnings"]))
        refused = leeds.call("people.import", rows=[row("one-more")])["refused"]
        self.assertEqual(len(refused), 1)

    def test_offices_of_two_organisations_do_not_talk(self):
        for directory in ("a", "b"):
            (self.directory / directory).mkdir()
        one = harness.Organisation(self.directory / "a", "One Council")
        two = harness.Organisation(self.directory / "b", "Two Council")
        leeds, york = self.offices("leeds", "york", organisation=one)
        other = self.daemon("other", flags=["--join", leeds.address(), "--join", york.address()])
        other.call("office.join", invite=two.invite("other"))
        leeds.import_rows([row("alice")])
        wait_same_people([york], 1)
        wait(lambda: other.log().count("did not answer as an office") >= 2, "both said no", alive=[other])
        self.assertEqual(list(other.offices()), ["other"])
        self.assertEqual(other.status()["people"], 0)
        self.assertEqual(set(leeds.offices()), {"leeds", "york"})

    def test_garbage_on_the_port_gets_no_answer(self):
        leeds, york = self.offices("leeds", "york")
        host, port = leeds.address().rsplit(":", 1)
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, b"\xff" * 70000, b"\x00\x30" + b"x" * 48):
            with socket.create_connection((host, int(port)), timeout=harness.PATIENCE_S) as connection:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(garbage)
                    self.assertEqual(connection.recv(100), b"")
        leeds.import_rows([row("alice")])
        wait_same_people([york], 1)

    def test_a_peer_may_be_named_later(self):
        organisation = self.organisation()
        leeds, = self.offices("leeds", organisation=organisation)
        york, = self.offices("york", organisation=organisation)
        self.assertEqual(list(york.offices()), ["york"])
        york.config_path.write_text(f"[whocan]\njoin = {leeds.address()}\n")
        york.signal(1)
        wait_linked([leeds, york])

    def test_joining_waits_for_nobody_and_nobody_is_lost(self):
        """Asks and searches go on while an office joins; changes are told to come again."""
        organisation = self.organisation()
        leeds = self.daemon("leeds")
        leeds.import_rows([row(f"p{i}") for i in range(2000)])
        with leeds.client() as client:
            join = client.send("office.join", {"invite": organisation.invite("leeds")})
            show = client.send("office.show")
            codes = {}
            for _ in range(2):
                message = client.response()
                codes[message[1]] = (message[2] or {}).get("code")
            self.assertEqual(codes[join], None)
            self.assertIn(codes[show], (None, "BUSY"))
        self.assertEqual(leeds.status()["people"], 2000)


class Twins(harness.Case):
    """One invitation that two machines took."""

    def test_each_names_the_other(self):
        organisation = self.organisation()
        invite = organisation.invite("york")
        york, copy = self.new_daemon("york"), self.new_daemon("copy")
        for daemon in (york, copy):
            daemon.start().call("office.join", invite=invite)
        self.assertEqual([w for d in (york, copy) for w in d.status()["warnings"]], [])
        # the copy learns of york's address: by a card, a beacon, or somebody who configures it
        copy.config_path.write_text(f"[whocan]\njoin = {york.address()}\n")
        copy.signal(1)
        warnings = harness.wait(lambda: copy.status()["warnings"], "it is told", alive=[york, copy])
        self.assertEqual(len(warnings), 1)
        self.assertIn("another machine runs as this office", warnings[0])
        self.assertIn("127.0.0.1", warnings[0])
        tries = copy.log().count("did not answer as an office")
        harness.wait(lambda: copy.log().count("did not answer as an office") > tries + 1, "it is tried again",
                     alive=[york, copy])
        self.assertEqual(copy.log().count("another machine runs as this office"), 1)  # said once

    def test_an_office_that_dials_itself_has_no_twin(self):
        leeds, = self.offices("leeds")
        leeds.config_path.write_text(f"[whocan]\njoin = {leeds.address()}\n")
        leeds.signal(1)
        harness.wait(lambda: "did not answer as an office" in leeds.log(), "it dialled itself", alive=[leeds])
        self.assertEqual(leeds.status()["warnings"], [])
        self.assertNotIn("another machine", leeds.log())


def ask(daemon, text, wait_ms=None):
    with daemon.client() as client:
        return client.ask(text, wait_ms=wait_ms)


if __name__ == "__main__":
    unittest.main()
