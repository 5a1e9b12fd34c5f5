#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The command whocan against a daemon that does what a test wants: on a terminal and off it, with
answers that come late, refusals, garbage, and an end in the middle."""
import csv
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import unittest

import msgpack

from fake_daemon import FakeDaemon, HangUp, Refusal
from screen import PATIENCE_S, Terminal

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WHOCAN_BUILD", ROOT / "build" / "dev"))
WHOCAN = str(BUILD / "cli" / "whocan")


def person(handle, name, score=0.5, **more):
    return {"handle": handle, "name": name, "title": "Librarian", "team": "Libraries", "office": handle.split("@")[1],
            "skills": [{"name": "blogging", "level": "expert"}], "interests": [], "ask_me_about": "",
            "languages": [], "working_days": [], "contact": {"email": "x@example.org", "phone": ""},
            "willing": True, "available": True, "confirmed_at": "2026-03-01T09:30:00Z", "source": "self",
            "score": score, "why": ["expert in blogging"], **more}


ALICE = person("alice@leeds", "Alice Archer", 0.9)
BJORN = person("bjorn@bergen", "Bjørn Dahl", 0.8)
CAROL = person("carol@hull", "Carol Cole", 0.7)
EVIL = person("evil@hull", "Eve\x1b[2J\u202elive", 0.6, title="\x1b]0;pwned\x07", why=["\x9b31m"])


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="whocan-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.socket = self.directory / "s"
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.startswith(("WHOCAN_", "XDG_")) and k not in
                            ("NO_COLOR", "COLUMNS", "TERM", "VISUAL", "EDITOR")}
        self.environment["WHOCAN_SOCKET"] = str(self.socket)
        self.environment["TMPDIR"] = str(self.directory)
        self.environment["XDG_DATA_HOME"] = str(self.directory / "data")

    def serve(self, **handlers):
        """A daemon with these handlers; "_" stands for "." in their names."""
        daemon = FakeDaemon(self.socket, {name.replace("_", ".", 1): f for name, f in handlers.items()})
        self.addCleanup(daemon.close)
        return daemon

    def run_whocan(self, *words, stdin=None, environment=None, **more):
        return subprocess.run([WHOCAN, *map(str, words)], input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                              env={**self.environment, **(environment or {})}, **more)

    def whocan(self, *words, status=0, stderr="", **more):
        """Run it, check how it ended, return its standard output."""
        done = self.run_whocan(*words, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(stderr, done.stderr)
        if not stderr:
            self.assertEqual(done.stderr, "")
        return done.stdout

    def terminal(self, *words, **how):
        terminal = Terminal([WHOCAN, *map(str, words)], self.environment, **how)
        self.addCleanup(terminal.close)
        return terminal

    def file(self, name, text):
        path = self.directory / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path


class Reaching(Case):
    """What it says when the daemon cannot be reached."""

    def test_no_socket(self):
        self.whocan("status", status=3, stderr="no daemon is running")
        done = self.run_whocan("status")
        self.assertIn(str(self.socket), done.stderr)
        self.assertIn("systemctl start whocan", done.stderr)

    def test_socket_of_a_dead_daemon(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        listener.close()
        self.whocan("status", status=3, stderr="is left from one that ended")

    def test_not_a_socket(self):
        self.socket.write_text("")
        self.whocan("status", status=3, stderr="is not a socket")

    def test_path_too_long(self):
        self.whocan("--socket", "/" + "x" * 200, "status", status=3, stderr="longer than the 107 bytes")

    @unittest.skipIf(os.geteuid() != 0, "only root can try as somebody else")
    def test_permission(self):
        closed = self.directory / "closed"
        closed.mkdir()
        self.serve()
        os.chmod(self.directory, 0o755)
        os.rename(self.socket, closed / "s")
        shutil.chown(closed, group="daemon")
        closed.chmod(0o750)
        program = self.directory / "whocan"  # the build may lie where others cannot look
        shutil.copy(WHOCAN, program)
        done = subprocess.run([program, "--socket", closed / "s", "status"], capture_output=True, text=True,
                              check=False, user=65534, group=65534, extra_groups=[], timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 3)
        self.assertIn("you may not open", done.stderr)
        self.assertIn('the group "daemon"', done.stderr)

    def test_garbage_from_the_daemon(self):
        def garbage(connection, _):
            connection.send(b"HTTP/1.1 400 Bad Request\r\n")
            raise HangUp
        self.serve(node_status=garbage)
        done = self.run_whocan("status")
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_end_in_the_middle(self):
        def hang_up(*_):
            raise HangUp
        self.serve(people_find=hang_up)
        self.whocan("find", "x", status=3, stderr="closed the connection")

    def test_refusal(self):
        def refuse(*_):
            raise Refusal("DENIED", "ask IT to add you to the group\x1b[2J whocan")
        self.serve(people_find=refuse)
        done = self.run_whocan("find", "x")
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertEqual(done.stderr, "whocan: ask IT to add you to the group\\u{1b}[2J whocan\n")

    def test_full_output(self):
        self.serve(people_find=lambda *_: {"people": [ALICE], "total": 1, "took_us": 1})
        with open("/dev/full", "w") as full:
            done = subprocess.run([WHOCAN, "find", "x"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=self.environment, check=False, timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 5)
        self.assertIn("No space left", done.stderr)

    def test_closed_descriptors(self):
        """Where one of the first three is closed, what is printed must not reach the daemon instead."""
        daemon = self.serve(people_find=lambda *_: {"people": [ALICE], "total": 1, "took_us": 1})
        for closed, status, said in ((">&-", 5, "cannot write the output"), ("<&-", 0, ""), ("2>&-", 0, ""),
                                     ("<&- >&- 2>&-", 5, "")):
            with self.subTest(closed=closed):
                done = subprocess.run(["/bin/sh", "-c", f'exec "$0" find blog {closed}', WHOCAN], text=True,
                                      capture_output=True, env=self.environment, check=False, timeout=PATIENCE_S)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual("Alice" in done.stdout, status == 0)
        self.assertEqual([method for method, _ in daemon.calls], ["people.find"] * 4)


class Usage(Case):
    def test_mistakes(self):
        for words, said in ((["fnd"], 'did you mean "find"?'), (["find"], "usage: whocan find QUERY..."),
                            (["find", "x", "--limit", "0"], "from 1 to 1000"),
                            (["find", "x", "--limit", "many"], "from 1 to 1000"),
                            (["ask", "x", "--wait", "61"], "from 0 to 60"), (["ask", "x", "--wait", "nan"], "from 0"),
                            (["find", "x" * 1001], "the limit is 1000"), (["ask", "x" * 1001], "at most 1000"),
                            (["me", "set", "colour", "blue"], 'no field "colour"'),
                            (["me", "set", "nmae", "x"], 'did you mean "name"?'),
                            (["me", "set", "handle", "root"], "cannot be changed"),
                            (["me", "set", "skills", "a:expart"], "is not a level"),
                            (["me", "add", "hobby", "x"], "skill hobby, or interest hobby"),
                            (["me", "add", "interest", "x", "--mentor"], "go with a skill"),
                            (["export", "--format", "xml"], "csv or jsonl"),
                            (["export", "--all", "--office", "x"], "exclude each other"),
                            (["org", "create", "X"], "--key FILE"), (["--socket", "", "status"], "--socket needs the path"),
                            (["office", "join"], "usage: whocan office join"),
                            (["me", "add", "skill", "x", "--level", "guru"], "level must be one of awareness, working"),
                            (["me", "set", "name", "Root", "Rootsson", "title=X"], "looks like another field"), ([], "what shall it do?")):
            with self.subTest(words=words):
                done = self.run_whocan(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(said, done.stderr)

    def test_not_text(self):
        done = subprocess.run([WHOCAN, "find", b"\xff"], capture_output=True, env=self.environment, check=False,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"not UTF-8", done.stderr)

    def test_help_and_version(self):
        self.assertRegex(self.whocan("--version"), r"^whocan \d+\.\d+\.\d+\n$")
        self.assertIn("Commands:", self.whocan("--help"))
        self.assertIn("Usage: whocan me add", self.whocan("me", "add", "--help"))
        for group, others in (("me", ("set", "edit", "add", "drop")), ("org", ("create", "invite")), ("office", ("join",))):
            text = self.whocan(group, "--help")
            for other in ("show", *others):
                self.assertRegex(text, rf"(?m)^  {group} {other}\b")
            self.assertEqual(self.whocan("help", group), text)
        self.assertEqual(self.whocan("help", "find"), self.whocan("find", "--help"))

    def test_completion(self):
        script = ROOT / "packaging" / "completion" / "whocan"

        def complete(*words):
            quoted = " ".join(f"'{w}'" for w in words)
            done = subprocess.run(["bash", "--norc", "-c",
                                   f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
                                   "_whocan; printf '%s\\n' \"${COMPREPLY[@]}\""],
                                  capture_output=True, text=True, check=True, timeout=PATIENCE_S)
            self.assertEqual(done.stderr, "")
            return done.stdout.split()
        self.assertEqual(complete("whocan", "fi"), ["find"])
        self.assertEqual(complete("whocan", "--socket", "/s", "me", "a"), ["add"])
        self.assertEqual(complete("whocan", "me", "set", "ti"), ["title"])
        self.assertEqual(complete("whocan", "me", "add", "skill", "x", "--level", "e"), ["expert"])
        self.assertEqual(complete("whocan", "org", "invite", "leeds", "--q"), ["--quota"])
        self.assertIn("--wait", complete("whocan", "ask", "x", "--"))


class Find(Case):
    def test_json_is_one_object(self):
        daemon = self.serve(people_find=lambda *_: {"people": [ALICE, EVIL], "total": 7, "took_us": 35})
        out = self.whocan("find", "--json", "start", "a blog", "--limit", "2", "--office", "leeds")
        answer = json.loads(out)
        self.assertEqual(answer, {"people": [ALICE, EVIL], "total": 7, "took_us": 35})
        self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
        self.assertEqual(daemon.calls, [("people.find", {"query": "start a blog", "limit": 2, "office": "leeds"})])

    def test_filters(self):
        daemon = self.serve(people_find=lambda *_: {"people": [], "total": 0, "took_us": 1})
        out = self.whocan("find", "gis", "--team", "web data", "--language", "Welsh", "--level", "Expert", "--mentor",
                          "--today")
        self.assertIn("Nobody found who is all of that", out)
        self.assertEqual(daemon.calls, [("people.find", {"query": "gis", "limit": 10, "team": "web data", "language": "Welsh",
                                                         "level": "expert", "mentor": True, "today": True})])
        self.whocan("find", "gis", "--level", "wizard", status=2, stderr="level must be one of awareness, working")

    def test_people(self):
        self.serve(people_find=lambda *_: {"people": [ALICE, BJORN, EVIL], "total": 12, "took_us": 1})
        out = self.whocan("find", "blog")
        self.assertIn("Alice Archer", out)
        self.assertIn("bjorn@bergen", out)
        self.assertIn("Eve\\u{1b}[2J", out)
        self.assertIn("3 of 12 people", out)
        self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")

    def test_a_footer_says_how_to_see_more(self):
        self.serve(people_find=lambda *_: {"people": [ALICE, BJORN], "total": 12, "took_us": 1})
        self.assertIn("2 of 12 people; --limit N shows more.", self.whocan("find", "blog", "-n2"))
        self.assertIn("2 of 12 people; one answer holds no more.", self.whocan("find", "blog", "-n3"))

    def test_a_footer_does_not_claim_to_know_all(self):
        answer = {"people": [ALICE, BJORN], "total": 900, "total_exact": False, "took_us": 1}
        self.serve(people_find=lambda *_: answer)
        self.assertIn("2 of at least 900 people; --limit N shows more.", self.whocan("find", "blog", "-n2"))

    def test_a_footer_keeps_to_a_narrow_screen(self):
        for answer in ({"people": [ALICE, BJORN], "total": 12}, {"people": [], "total": 0}):
            self.serve(people_find=lambda *_, answer=answer: {**answer, "took_us": 1})
            out = self.whocan("find", "blog", environment={"COLUMNS": "40"})
            self.assertLessEqual(max(map(len, out.splitlines())), 40, out)
            self.assertRegex(out, r"tells\s+all\s+about\s+one\.|whocan\s+ask\n")
            self.socket.unlink()

    def test_what_was_corrected_stands_first(self):
        corrected = [{"from": "bloging", "to": "blogging"}, {"from": "bloging", "to": "logging"},
                     {"from": "we\u202eb", "to": "web\x1b[2J"}]
        answer = {"people": [ALICE], "total": 1, "took_us": 1, "corrected": corrected}
        self.serve(people_find=lambda *_: answer)
        lines = self.whocan("find", "bloging").splitlines()
        self.assertEqual(lines[:2], ['Nobody found for "bloging"; shown for "blogging", "logging".',
                                     'Nobody found for "we\\u{202e}b"; shown for "web\\u{1b}[2J".'])
        self.assertIn("Alice Archer", lines[2])

    def test_nobody(self):
        self.serve(people_find=lambda *_: {"people": [], "total": 0, "took_us": 1})
        self.assertIn("Nobody found", self.whocan("find", "blog"))

    def test_colour_is_for_terminals_that_want_it(self):
        self.serve(people_find=lambda *_: {"people": [ALICE], "total": 1, "took_us": 1})
        terminal = self.terminal("find", "blog")
        self.assertEqual(terminal.end(), 0)
        self.assertIn("\x1b[1m", terminal.raw)
        self.assertIn("Alice Archer  alice@leeds  Librarian, Libraries", terminal.screen.text)
        self.environment["NO_COLOR"] = "1"
        terminal = self.terminal("find", "blog")
        self.assertEqual(terminal.end(), 0)
        self.assertNotIn("\x1b", terminal.raw)


class Ask(Case):
    """Answers that come one after the other, when the test lets them."""

    def setUp(self):
        super().setUp()
        self.gates = [threading.Event() for _ in range(3)]
        self.cancelled = []

    def serve_ask(self):
        def answer(connection, heard, office, *people):
            connection.notify("ask.answer", ask="a1", office=office, people=list(people), total=len(people),
                              offices_heard=heard, offices_known=3)

        def create(connection, params):
            connection.notify("ask.started", ask="a1", offices_known=3)
            answer(connection, 1, "hull", CAROL)
            self.assertTrue(self.gates[0].wait(PATIENCE_S))
            answer(connection, 2, "leeds", ALICE, EVIL)
            self.assertTrue(self.gates[1].wait(PATIENCE_S))
            answer(connection, 3, "bergen", BJORN)
            self.assertTrue(self.gates[2].wait(PATIENCE_S))
            return {"ask": "a1", "offices_heard": 3, "offices_known": 3, "people_total": 4}

        def cancel(_, params):
            self.cancelled.append(params)
            return {}
        return self.serve(ask_create=create, ask_cancel=cancel)

    def test_json_lines_come_at_once(self):
        daemon = self.serve_ask()
        process = subprocess.Popen([WHOCAN, "ask", "--json", "--wait", "2.5", "who", "can"], stdout=subprocess.PIPE,
                                   env=self.environment, text=True)
        self.addCleanup(process.stdout.close)
        first = json.loads(process.stdout.readline())
        self.assertEqual(first, {"event": "answer", "ask": "a1", "office": "hull", "people": [CAROL], "total": 1,
                                 "offices_heard": 1, "offices_known": 3})
        self.gates[0].set()
        self.assertEqual(json.loads(process.stdout.readline())["office"], "leeds")
        self.gates[1].set()
        self.assertEqual(json.loads(process.stdout.readline())["people"], [BJORN])
        self.gates[2].set()
        self.assertEqual(json.loads(process.stdout.readline()),
                         {"event": "done", "ask": "a1", "offices_heard": 3, "offices_known": 3, "people_total": 4})
        self.assertEqual(process.stdout.read(), "")
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(daemon.calls, [("ask.create", {"text": "who can", "wait_ms": 2500})])

    def test_answers_appear_as_they_arrive(self):
        self.serve_ask()
        terminal = self.terminal("ask", "who can")
        terminal.until("Heard from 1 of 3 offices, 1 person")
        self.assertIn("Carol Cole", terminal.screen.text)
        self.gates[0].set()
        terminal.until("Heard from 2 of 3 offices, 3 people")
        self.gates[1].set()
        terminal.until("Heard from 3 of 3 offices, 4 people")
        self.gates[2].set()
        self.assertEqual(terminal.end(), 0)
        lines = terminal.screen.text.splitlines()
        self.assertEqual([line.split()[0] for line in lines[0:8:2]], ["Alice", "Bjørn", "Carol", "Eve\\u{1b}[2J\\u{202e}live"])
        self.assertEqual(lines[-1], "Heard from 3 of 3 offices: 4 people.")
        self.assertNotIn("Ctrl-C", terminal.screen.text)

    def test_a_small_screen_shows_the_best(self):
        self.serve_ask()
        terminal = self.terminal("ask", "who can", rows=6)
        terminal.until("Heard from 1 of 3")
        self.gates[0].set()
        terminal.until("Heard from 2 of 3")
        self.assertLess(len(terminal.screen.lines), 6)
        self.assertIn("Alice", terminal.screen.text)
        self.assertNotIn("Carol", terminal.screen.text)
        self.gates[1].set()
        self.gates[2].set()
        self.assertEqual(terminal.end(), 0)
        self.assertIn("Carol", terminal.screen.text)

    def test_ctrl_c_keeps_what_came(self):
        self.serve_ask()
        terminal = self.terminal("ask", "who can")
        terminal.until("Heard from 1 of 3")
        terminal.interrupt()
        self.assertEqual(terminal.end(), 130)
        self.assertIn("Carol Cole", terminal.screen.text)
        self.assertIn("Heard from 1 of 3 offices: 1 person.", terminal.screen.text)
        self.assertEqual(self.cancelled, [{"ask": "a1"}])
        for gate in self.gates:
            gate.set()

    def test_off_a_terminal_there_are_no_control_codes(self):
        self.serve_ask()
        for gate in self.gates:
            gate.set()
        out = self.whocan("ask", "who can", environment={"TERM": "xterm"})
        self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        self.assertEqual(out.count("Heard from"), 1)
        self.assertLess(out.index("Alice"), out.index("Carol"))

    def test_nobody_was_heard(self):
        self.serve(ask_create=lambda *_: {"ask": "a1", "offices_heard": 0, "offices_known": 3, "people_total": 0})
        out = self.whocan("ask", "x", "--wait", "0")
        self.assertIn("No office has answered in that time: raise --wait.", out)
        self.assertIn("Heard from 0 of 3 offices", out)
        self.assertNotIn("other words", out)

    def test_nobody_was_found(self):
        self.serve(ask_create=lambda *_: {"ask": "a1", "offices_heard": 3, "offices_known": 3, "people_total": 0})
        self.assertIn("Nobody found. Try other words", self.whocan("ask", "x"))

    def test_a_refusal(self):
        def refuse(*_):
            raise Refusal("LIMIT", "you have asked 10 times in a minute: wait a little")
        self.serve(ask_create=refuse)
        self.whocan("ask", "x", status=4, stderr="wait a little")

    def test_the_daemon_ends(self):
        def hang_up(connection, _):
            connection.notify("ask.started", ask="a1", offices_known=3)
            raise HangUp
        self.serve(ask_create=hang_up)
        self.whocan("ask", "x", "--json", status=3, stderr="closed the connection")


class Import(Case):
    def serve_import(self, refuse=lambda row: None):
        def take(_, params):
            refused = [{"index": i, "handle": row["handle"], "field": "name", "reason": refuse(row)}
                       for i, row in enumerate(params["rows"]) if refuse(row)]
            return {"accepted": len(params["rows"]) - len(refused), "unchanged": 0, "refused": refused}
        return self.serve(people_import=take)

    def rows(self, daemon):
        return [row for _, params in daemon.calls for row in params["rows"]]

    def test_csv(self):
        daemon = self.serve_import()
        path = self.file("p.csv", '\ufeffLogin;Name;skills;e-mail;willing\r\n'
                                  'alice;"Archer; ""Alice""";content design:expert:mentor|blogging;a@x;no\r\n'
                                  '\r\nbob;Bob;;;\r\n')
        self.assertEqual(self.whocan("import", path), "2 rows: 2 accepted, 0 unchanged, 0 refused\n")
        self.assertEqual(daemon.calls, [("people.import", {"rows": [
            {"handle": "alice", "name": 'Archer; "Alice"', "email": "a@x", "willing": False,
             "skills": [{"name": "content design", "level": "expert", "mentor": True}, "blogging"]},
            {"handle": "bob", "name": "Bob"}]})])

    def test_json_lines_from_standard_input(self):
        daemon = self.serve_import()
        rows = [{"handle": "alice", "skills": [{"name": "x", "level": "expert"}, "y"], "name": "Ålice"},
                {"handle": "bob", "unknown": {"nested": [1, 2.5, None]}}]
        text = "\n".join(map(json.dumps, rows))
        self.whocan("import", "-", "--dry-run", stdin=text)
        self.assertEqual(daemon.calls, [("people.import", {"rows": rows, "dry_run": True})])
        self.assertEqual(self.whocan("import", "-", "--quiet", stdin=text), "")

    def test_a_broken_structure_changes_nothing(self):
        daemon = self.serve_import()
        for text, said in (('handle,name\na,b\nc,"d\n', "line 3: a quoted field is never closed"),
                           ("handle,name\na\n", "line 2 has 1 columns, the header 2"),
                           ("handle,salary\na,5\n", 'column "salary" is not known (known are: handle, name, title,'),
                           ("handle,name\na,\xff\n".encode("latin-1"), "line 2 is not UTF-8"),
                           ('[{"handle": "a"}]', "jq -c"), ("", "is empty")):
            with self.subTest(said=said):
                done = self.run_whocan("import", self.file("people", text))
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(said, done.stderr)
                self.assertIn("nothing was imported", done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)
        self.whocan("import", self.directory / "none", status=5, stderr="No such file")
        self.assertEqual(daemon.calls, [])

    def test_refused_rows_are_listed_with_their_line(self):
        daemon = self.serve_import(lambda row: "is not\x1b[2J nice" if row["handle"] == "bob" else None)
        path = self.file("p.jsonl", '{"handle": "alice"}\n'
                                    '{"handle": "bob"}\n'
                                    'not json\n'
                                    '{"handle": "alice@leeds"}\n'
                                    '{"handle": "big", "name": "' + "x" * (1 << 20) + '"}\n'
                                    '{"handle": "quiet"}')
        out = self.whocan("import", path, status=1)
        lines = out.splitlines()
        self.assertEqual(lines[-1], "6 rows: 2 accepted, 0 unchanged, 4 refused")
        self.assertIn("  line 2, bob: name: is not\\u{1b}[2J nice", lines)
        self.assertIn("  line 4, alice@leeds: the same handle stands in line 1", lines)
        self.assertTrue(any(line.startswith("  line 3: is not JSON") for line in lines))
        self.assertTrue(any(line.startswith("  line 5") and "a record holds 16,384" in line for line in lines), out)
        self.assertEqual([row["handle"] for row in self.rows(daemon)], ["alice", "bob", "quiet"])
        report = json.loads(self.whocan("import", path, "--json", status=1))
        self.assertEqual([r["line"] for r in report.pop("refused")], [2, 3, 4, 5])
        self.assertEqual(report, {"dry_run": False, "rows": 6, "accepted": 2, "unchanged": 0})

    def test_only_the_first_refusals_fill_the_screen(self):
        self.serve_import(lambda row: "no")
        path = self.file("p.csv", "handle\n" + "".join(f"u{i}\n" for i in range(500)))
        out = self.whocan("import", path, status=1).splitlines()
        self.assertEqual(len(out), 22)
        self.assertEqual(out[20], "  and 480 more: --verbose lists them all")
        self.assertEqual(len(self.whocan("import", path, "--verbose", status=1).splitlines()), 501)
        self.assertEqual(len(json.loads(self.whocan("import", path, "--json", status=1))["refused"]), 500)

    def test_the_first_refusals_are_those_of_the_first_lines(self):
        """Rows that are refused here are known before those that the daemon refuses."""
        self.serve_import(lambda row: "no")
        path = self.file("p.jsonl", "".join(f'{{"handle": "u{i}"}}\nnot json\n' for i in range(1500)))
        out = self.whocan("import", path, status=1).splitlines()
        self.assertEqual([int(re.match(r"  line (\d+)", line)[1]) for line in out if line.startswith("  line")],
                         list(range(1, 21)))
        self.assertIn("  and 2,980 more: --verbose lists them all", out)
        report = json.loads(self.whocan("import", path, "--json", status=1))
        self.assertEqual([r["line"] for r in report["refused"]], list(range(1, 3001)))

    def test_batches_keep_to_the_limits(self):
        sizes = []

        def take(_, params):
            sizes.append((len(params["rows"]), len(json.dumps(params))))
            return {"accepted": len(params["rows"]), "unchanged": 0, "refused": []}
        self.serve(people_import=take)
        path = self.file("p.jsonl", "".join(json.dumps({"handle": f"u{i}", "ask_me_about": "x" * (i % 2 * 12000)}) + "\n"
                                            for i in range(2001)))
        self.assertEqual(self.whocan("import", path), "2,001 rows: 2,001 accepted, 0 unchanged, 0 refused\n")
        self.assertEqual(sum(count for count, _ in sizes), 2001)
        self.assertTrue(all(count <= 200 and size < 1 << 20 for count, size in sizes), sizes)

    def test_the_daemon_ends_in_the_middle(self):
        batches = []

        def take(_, params):
            batches.append(params)
            if len(batches) == 1:
                return {"accepted": 150, "unchanged": 50, "refused": []}
            raise HangUp
        daemon = self.serve(people_import=take)
        daemon.concurrent = False
        path = self.file("p.csv", "handle\n" + "".join(f"u{i}\n" for i in range(5000)))
        done = self.run_whocan("import", path)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("200 of 5,000 rows were acknowledged and are safe", done.stderr)
        self.assertIn("Import the same file again", done.stderr)

    def test_the_daemon_refuses(self):
        def refuse(*_):
            raise Refusal("DENIED", "importing is for root and the group whocan-admin")
        self.serve(people_import=refuse)
        done = self.run_whocan("import", self.file("p.csv", "handle\na\n"))
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertIn("the group whocan-admin", done.stderr)
        self.assertIn("No row was acknowledged", done.stderr)
        self.assertNotIn("again", done.stderr)

    def test_a_progress_bar_on_a_terminal(self):
        gate = threading.Event()
        count = []

        def take(_, params):
            count.append(params)
            if len(count) > 2:
                self.assertTrue(gate.wait(PATIENCE_S))
            return {"accepted": len(params["rows"]), "unchanged": 0, "refused": []}
        daemon = self.serve(people_import=take)
        daemon.concurrent = False
        path = self.file("p.csv", "handle\n" + "".join(f"u{i}\n" for i in range(1000)))
        terminal = self.terminal("import", path, stdout=False)
        terminal.until("[#########...............]  40%  400 of 1,000 rows")
        gate.set()
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.screen.text, "")  # the bar is gone at the end
        self.assertEqual(terminal.process.stdout.read(), b"1,000 rows: 1,000 accepted, 0 unchanged, 0 refused\n")


    def test_ctrl_c_says_what_is_safe(self):
        gate = threading.Event()
        count = []

        def take(_, params):
            count.append(params)
            if len(count) > 2:
                self.assertTrue(gate.wait(PATIENCE_S))
            return {"accepted": len(params["rows"]), "unchanged": 0, "refused": []}
        daemon = self.serve(people_import=take)
        daemon.concurrent = False
        path = self.file("p.csv", "handle\n" + "".join(f"u{i}\n" for i in range(5000)))
        terminal = self.terminal("import", path)
        terminal.until("400 of 5,000 rows")
        terminal.interrupt()
        gate.set()
        self.assertEqual(terminal.end(), 130)
        safe = 200 * len(count)
        self.assertLess(safe, 5000)
        self.assertIn(f"{safe:,} of 5,000 rows were acknowledged and are safe", terminal.screen.text)


class Export(Case):
    ROWS = [{"handle": "alice", "name": "Alice; \"A\"", "skills": [{"name": "ISO 9001:2015", "level": "expert"}, "x|y"],
             "interests": ["a, b"], "ask_me_about": "one\ntwo", "languages": ["English"], "willing": False},
            {"handle": "bob", "name": "Bob\u202e", "email": "b@x"}]

    def serve_export(self, count=2):
        def export(connection, _):
            for row in self.ROWS:
                connection.notify("people.batch", people=[row])
            return {"count": count}
        return self.serve(people_export=export)

    def test_json_lines(self):
        daemon = self.serve_export()
        out = self.whocan("export", "--all")
        self.assertEqual([json.loads(line) for line in out.splitlines()], self.ROWS)
        self.assertEqual(daemon.calls, [("people.export", {"all": True})])

    def test_what_is_exported_can_be_imported(self):
        daemon = self.serve_export()
        daemon.handlers["people.import"] = lambda _, params: {"accepted": len(params["rows"]), "unchanged": 0,
                                                              "refused": []}
        for name in ("p.jsonl", "p.csv"):
            path = self.directory / name
            daemon.calls.clear()
            self.whocan("export", "--output", path)
            self.whocan("import", path)
            self.assertEqual(daemon.calls[-1], ("people.import", {"rows": self.ROWS}), name)
        with open(path, newline="", encoding="utf-8") as file:
            self.assertEqual(next(csv.DictReader(file))["name"], 'Alice; "A"')

    def test_csv_on_a_terminal_is_harmless(self):
        self.serve_export()
        terminal = self.terminal("export", "--format", "csv", columns=200)
        self.assertEqual(terminal.end(), 0)
        self.assertIn("bob,Bob\\u{202e},", terminal.screen.text)
        self.assertIn("\u202e", self.whocan("export", "--format", "csv"))

    def test_a_file_appears_when_it_is_complete(self):
        self.serve_export(count=3)  # one row was lost on the way
        path = self.file("p.jsonl", "old")
        self.whocan("export", "--output", path, status=3, stderr="2 of 3 rows came")
        self.assertEqual(path.read_text(), "old")
        self.assertEqual(sorted(p.name for p in self.directory.iterdir()), ["p.jsonl", "s"])
        self.whocan("export", "--output", "/nonexistent/p", status=5, stderr="/nonexistent/p")


class OwnProfile(Case):
    """A daemon with one profile."""

    PROFILE = {"handle": "alice", "name": "Alice", "skills": [{"name": "blogging", "level": "expert"}], "phone": "1"}

    OFFICE_KEY = bytes(range(32))
    NOW_MS = 1767225600000

    def serve_me(self, on_put=None, profile=PROFILE, pending=None):
        """A daemon that holds this profile, signed with the key of this machine."""
        held = {"rev": 0, "body": None, "key": None, "sig": None}
        self.me = held

        def show(_, params):
            edit = None
            if "key" in params:
                edit = {"office_key": self.OFFICE_KEY, "subject": "alice", "rev": held["rev"] + 1, "now": self.NOW_MS,
                        "key_changed_at": 0, "body": held["body"], "author_key": held["key"], "author_sig": held["sig"]}
            return {"handle": "alice@leeds", "office": "leeds", "admin": False, "rev": held["rev"],
                    "person": ALICE if held["body"] else None, "profile": profile if held["body"] else None, "row": None,
                    "has_key": held["key"] is not None, "pending": pending, "edit": edit}

        def put(connection, params):
            if on_put and held["body"]:
                on_put(connection, msgpack.unpackb(params["body"]))
            held.update({k: params[k] for k in ("body", "key", "sig")}, rev=held["rev"] + 1)
            return {"person": ALICE, "rev": held["rev"]}
        daemon = self.serve(me_show=show, me_put=put, me_reject=lambda *_: {})
        if profile:
            fields = {k: v for k, v in profile.items() if k != "handle"}
            self.whocan("me", "set", "--json", "-", stdin=json.dumps(fields))
            daemon.calls.clear()
        return daemon

    @staticmethod
    def puts(daemon):
        """The bodies that were sent."""
        return [msgpack.unpackb(p["body"]) for m, p in daemon.calls if m == "me.put"]

    def assert_put(self, daemon, **fields):
        """The last body sent has these fields; an empty one is not in it."""
        body = self.puts(daemon)[-1]
        for key, value in fields.items():
            if key == "skills":
                value = [s if isinstance(s, dict) else {"name": s} for s in value]
            if value in ("", []):
                self.assertNotIn(key, body)
            else:
                self.assertEqual(body[key], value)

    def edit(self, script, status=0, **more):
        """me edit with a shell script for an editor; $1 is the file."""
        editor = self.file("editor", "#!/bin/sh\n" + script)
        editor.chmod(0o755)
        return self.whocan("me", "edit", status=status, environment={"EDITOR": str(editor)}, **more)

    def drafts(self):
        return list(self.directory.glob("whocan-me-*"))


class Me(OwnProfile):
    def test_show(self):
        self.serve_me()
        self.assertEqual(self.whocan("me"), self.whocan("me", "show"))
        self.assertEqual(json.loads(self.whocan("me", "--json"))["rev"], 1)

    def test_show_nobody(self):
        self.serve_me(profile=None)
        self.assertIn("You are alice@leeds, and nobody can find you yet", self.whocan("me"))

    def test_set(self):
        daemon = self.serve_me()
        profile = self.file("p.json", '{"name": "Alice", "skills": ["a"]}')
        for words, params in ((["title", "Head", "Librarian"], {"title": "Head Librarian"}),
                              (["phone", ""], {"phone": ""}),
                              (["skills", "a:expert, b", "c:mentor"],
                               {"skills": [{"name": "a", "level": "expert"}, "b", {"name": "c", "mentor": True}]}),
                              (["team=Web", "E-Mail=a=b@x", "willing=no", "languages=English,Norwegian"],
                               {"team": "Web", "email": "a=b@x", "willing": False,
                                "languages": ["English", "Norwegian"]}),
                              (["working days", "mon", "Tuesday"], {"working_days": ["mon", "tue"]}),
                              (["name", "a=b"], {"name": "a=b"}),
                              (["--json", profile], {"name": "Alice", "skills": ["a"]})):
            with self.subTest(words=words):
                self.whocan("me", "set", *words)
                self.assert_put(daemon, **params)
        self.whocan("me", "set", "--json", "-", stdin='{"name": "X"}')
        self.assert_put(daemon, name="X", title="Head Librarian")
        self.assertEqual(self.whocan("me", "set", "title", "X"), "Saved: title.\n")
        for text in ("{", "[]", "5"):
            self.whocan("me", "set", "--json", "-", stdin=text, status=2, stderr="JSON")
        for text, says in (('{"confirmed_at": 7}', '"confirmed_at" is not a field'), ('{"office": "x"}', "not a field"),
                           ('{"key_changed_at": 7}', "not a field"), ('{"name": 7}', "name must be text"),
                           ('{"skills": [{"name": "a", "level": "x"}]}', "skill level must be one of")):
            self.whocan("me", "set", "--json", "-", stdin=text, status=4, stderr=says)

    def test_add_and_drop(self):
        daemon = self.serve_me()
        self.assertEqual(self.whocan("me", "add", "skill", "content", "design,", "go:learn", "--level", "working",
                                     "--mentor"), "Added: content design, go\n")
        self.assert_put(daemon, skills=[
            {"name": "blogging", "level": "expert"}, {"name": "content design", "level": "working", "mentor": True},
            {"name": "go", "level": "working", "mentor": True, "learn": True}], phone="1")
        self.whocan("me", "add", "interest", "local", "history")
        self.assert_put(daemon, interests=["local history"])
        self.assertEqual(self.whocan("me", "drop", "skill", "Blogging"), "Dropped: blogging\n")
        self.assertEqual([s["name"] for s in self.puts(daemon)[-1]["skills"]], ["content design", "go"])
        puts = len(self.puts(daemon))
        self.whocan("me", "drop", "skill", "flying", status=4, stderr="not among the skills")
        out = self.whocan("me", "drop", "skill", "flying", "--json", status=4, stderr="not among the skills")
        self.assertEqual(json.loads(out)["dropped"], [])
        self.assertEqual(len(self.puts(daemon)), puts)  # nothing to sign
        self.assertEqual(self.whocan("me", "drop", "skill", "go, flying",
                                     stderr="not among the skills of your profile: flying;"), "Dropped: go\n")

    def test_edit(self):
        daemon = self.serve_me()
        out = self.edit('sed -i "s/^phone:.*/phone: 2/; s/^  blogging.*/  blogging: expert, mentor/" "$1"')
        self.assertEqual(out, "Saved: skills, phone.\n")
        self.assert_put(daemon, skills=[{"name": "blogging", "level": "expert", "mentor": True}], phone="2", name="Alice")
        self.assertEqual(self.drafts(), [])

    def test_edit_without_a_change(self):
        daemon = self.serve_me()
        self.assertEqual(self.edit("true"), "Nothing was changed.\n")
        self.assertEqual(self.edit(': > "$1"'), "Nothing was changed.\n")
        self.assertEqual(self.edit('echo "# bye" >> "$1"'), "Nothing was changed.\n")
        self.edit("exit 1", status=5, stderr="nothing was changed")
        self.assertEqual(self.puts(daemon), [])
        self.assertEqual(self.drafts(), [])

    def test_a_mistake_brings_the_editor_back(self):
        daemon = self.serve_me()
        mend = 'if grep -q "^#! line .*: \\"expart\\" is not a level" "$1"; then sed -i "s/expart/expert/" "$1"; ' \
               'else sed -i "s/^phone:.*/phone: 2/; s/^  blogging: expert/  blogging: expart/" "$1"; fi'
        self.assertEqual(self.edit(mend), "Saved: phone.\n")
        self.assert_put(daemon, phone="2", rev=2)

    def test_a_refusal_brings_the_editor_back(self):
        def on_put(_, body):
            if len(body["phone"]) > 3:
                raise Refusal("TOOBIG", "phone has 4 bytes; the limit is 3")
        daemon = self.serve_me(on_put)
        mend = 'if grep -q "^#! phone has 4 bytes" "$1"; then sed -i "s/^phone:.*/phone: 22/" "$1"; ' \
               'else sed -i "s/^phone:.*/phone: 4444/" "$1"; fi'
        self.assertEqual(self.edit(mend), "Saved: phone.\n")
        self.assertEqual([p["phone"] for p in self.puts(daemon)], ["4444", "22"])
        self.edit('grep -q "^#!" "$1" || sed -i "s/^phone:.*/phone: 4444/" "$1"', status=2, stderr="you gave up")
        [draft] = self.drafts()
        self.assertIn("phone: 4444", draft.read_text())

    def test_a_conflict_keeps_the_text(self):
        def on_put(*_):
            raise Refusal("STALE", "the profile has changed")
        self.serve_me(on_put)
        self.edit('sed -i "s/^phone:.*/phone: 5/" "$1"', status=4, stderr="changed elsewhere while you edited it")
        [draft] = self.drafts()
        self.assertIn("phone: 5", draft.read_text())
        self.assertEqual(stat.S_IMODE(draft.stat().st_mode), 0o600)

    def test_a_conflict_before_it_is_sent_keeps_the_text(self):
        daemon = self.serve_me()
        other = f'{WHOCAN} me set title Elsewhere >/dev/null; sed -i "s/^phone:.*/phone: 5/" "$1"'
        self.edit(other, status=4, stderr="changed elsewhere while you edited it")
        self.assertEqual([b.get("phone") for b in self.puts(daemon)], ["1"])  # that of the other edit

    def test_a_daemon_that_ends_keeps_the_text(self):
        def on_put(*_):
            raise HangUp
        self.serve_me(on_put)
        self.edit('sed -i "s/^phone:.*/phone: 5/" "$1"', status=3, stderr="Your text is kept in")
        self.assertEqual(len(self.drafts()), 1)


class Signing(OwnProfile):
    """What the command signs, and what it does not."""

    def key(self):
        return self.directory / "data" / "whocan" / "person.key"

    def test_the_first_edit_makes_a_key_and_later_ones_use_it(self):
        daemon = self.serve_me(profile=None)
        self.whocan("me")
        self.assertFalse(self.key().exists())
        self.whocan("me", "set", "name", "Alice")
        made = self.key().read_bytes()
        self.assertEqual(stat.S_IMODE(self.key().stat().st_mode), 0o600)
        self.whocan("me", "set", "name", "Alice Archer")
        self.assertEqual(self.key().read_bytes(), made)
        first, second = [p for m, p in daemon.calls if m == "me.put"]
        self.assertEqual(first["key"], second["key"])
        body = self.puts(daemon)[-1]
        self.assertEqual((body["office"], body["subject"], body["rev"], body["confirmed_at"]),
                         (self.OFFICE_KEY, "alice", 2, self.NOW_MS))
        self.assertNotIn("key_changed_at", body)

    def test_a_key_that_others_can_read_signs_nothing(self):
        daemon = self.serve_me()
        self.key().chmod(0o644)
        self.whocan("me", "set", "name", "X", status=5, stderr="others can read the key that signs your profile")
        self.key().chmod(0o600)
        self.key().write_text("rubbish")
        self.whocan("me", "set", "name", "X", status=5, stderr="is damaged")
        self.assertEqual(self.puts(daemon), [])

    def test_somebody_who_was_quicker_is_built_upon(self):
        stale = []

        def on_put(_, body):
            if not stale:
                stale.append(body)
                self.whocan("me", "set", "title", "Quicker")
                raise Refusal("STALE", "your profile was changed in the meantime")
        daemon = self.serve_me(on_put)
        self.assertEqual(self.whocan("me", "set", "phone", "3"), "Saved: phone.\n")
        self.assert_put(daemon, phone="3", title="Quicker", rev=3)

    def test_it_does_not_try_for_ever(self):
        def on_put(*_):
            raise Refusal("STALE", "your profile was changed in the meantime")
        daemon = self.serve_me(on_put)
        self.whocan("me", "set", "phone", "3", status=4, stderr="changed in the meantime")
        self.assertEqual(len(self.puts(daemon)), 5)

    def test_words_slipped_in_are_not_signed(self):
        """The office's daemon gives out a body under the person's key that they did not sign."""
        daemon = self.serve_me()
        good = self.me["body"]
        for what, body in (("a changed word", good.replace(b"Alice", b"Alize")),
                           ("another login", good.replace(b"\xa5alice", b"\xa5malic"))):
            with self.subTest(what):
                self.assertNotEqual(body, good)
                self.me["body"] = body
                self.whocan("me", "set", "phone", "3", status=4, stderr="does not fit its signature")
                self.whocan("me", "add", "skill", "x", status=4, stderr="nothing was signed")
        self.me.update(body=good, rev=self.me["rev"] + 1)  # an older one than it claims
        self.whocan("me", "set", "phone", "3", status=4, stderr="does not fit its signature")
        self.assertEqual(self.puts(daemon), [])

    PENDING = {"id": "0123456789abcdef", "edit": "set", "asked_at": "2026-01-01T00:00:00Z", "by": "intranet",
               "fields": {"title": "Head\x1b[2J Librarian", "phone": "", "skills": [{"name": "a", "level": "expert"}]}}

    def test_what_waits_is_shown_and_confirmed(self):
        daemon = self.serve_me(pending={**self.PENDING, "fields": {"title": "Head Librarian", "phone": ""}})
        shown = self.whocan("me")
        for line in ("The intranet asked for this change", "title         Head Librarian", "phone         (taken away)",
                     "`whocan me confirm` publishes it"):
            self.assertIn(line, shown)
        self.assertIn("Published, signed with your key.", self.whocan("me", "confirm"))
        self.assert_put(daemon, title="Head Librarian", phone="", name="Alice")
        self.assertEqual(daemon.calls[-1][1]["confirms"], self.PENDING["id"])

    def test_on_a_terminal_it_asks_first(self):
        daemon = self.serve_me(pending={**self.PENDING, "fields": {"title": "Head Librarian"}})
        for answer, puts in (("n", 0), ("", 0), ("y", 1)):
            terminal = self.terminal("me", "confirm")
            terminal.until("Publish this under your name? [y/N]")
            terminal.type(answer + "\r")
            self.assertEqual(terminal.end(), 0)
            self.assertEqual(len(self.puts(daemon)), puts)

    def test_what_waits_cannot_harm_the_terminal(self):
        self.serve_me(pending=self.PENDING)
        self.assertNotIn("\x1b", self.whocan("me"))

    def test_what_waits_is_dropped(self):
        daemon = self.serve_me(pending=self.PENDING)
        self.assertEqual(self.whocan("me", "reject"), "Dropped. Your profile is as it was.\n")
        self.assertEqual(daemon.calls[-1], ("me.reject", {"id": self.PENDING["id"]}))
        self.assertEqual(self.puts(daemon), [])

    def test_nothing_waits(self):
        self.serve_me()
        self.whocan("me", "confirm", status=4, stderr="nothing waits")
        self.whocan("me", "reject", status=4, stderr="nothing waits")


class Organisation(Case):
    def setUp(self):
        super().setUp()
        self.key = self.directory / "org.key"
        self.passphrase = self.file("passphrase", "correct horse\nsecond line\n")
        self.options = ["--key", self.key, "--passphrase-file", self.passphrase]

    def create(self):
        self.whocan("org", "create", "Borough", "Council", *self.options)

    def test_create(self):
        self.create()
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        shown = json.loads(self.whocan("org", "show", "--key", self.key, "--json"))
        self.assertEqual((shown["organisation"], shown["next_serial"]), ("Borough Council", 1))
        before = self.key.read_bytes()
        self.whocan("org", "create", "Other", *self.options, status=5, stderr="exists already")
        self.assertEqual(self.key.read_bytes(), before)

    def test_invite(self):
        self.create()
        lines = [self.whocan("org", "invite", f"office{i}", "--title", "Office", *self.options) for i in range(3)]
        for line in lines:
            self.assertRegex(line, r"^whocan-invite-1:[A-Za-z0-9_-]+\n$")
        self.assertEqual(len(set(lines)), 3)
        self.assertEqual(json.loads(self.whocan("org", "show", "--key", self.key, "--json"))["next_serial"], 4)
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)

    def test_invitations_side_by_side_have_serials_of_their_own(self):
        self.create()
        command = [WHOCAN, "org", "invite", "x", "--json", *map(str, self.options)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=self.environment, text=True)
                   for _ in range(4)]
        serials = [json.loads(p.communicate(timeout=PATIENCE_S)[0])["serial"] for p in running]
        self.assertEqual(sorted(serials), [1, 2, 3, 4])

    def test_a_second_invitation_says_that_there_is_a_first(self):
        self.create()
        command = [WHOCAN, "org", "invite", "twice", *map(str, self.options)]
        said = [subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stderr
                for _ in range(2)]
        self.assertEqual(said[0], "")
        self.assertRegex(said[1], '"twice" has a certificate already, number [0-9]+, which still counts')

    def test_mistakes(self):
        self.create()
        before = self.key.read_bytes()
        wrong = self.file("wrong", "battery staple\n")
        self.whocan("org", "invite", "x", "--key", self.key, "--passphrase-file", wrong, status=2,
                    stderr="that is not the passphrase")
        self.whocan("org", "invite", "Leeds!", *self.options, status=2, stderr="a-z, 0-9 and hyphens")
        self.whocan("org", "invite", "x", "--days", "0", *self.options, status=2, stderr="from 1 to 3650")
        self.whocan("org", "invite", "x", "--title", "a\nb", *self.options, status=2, stderr="title must be text")
        self.whocan("org", "invite", "x", "--key", self.file("bad", "hello"), "--passphrase-file", wrong, status=5,
                    stderr="must start with the line")
        self.whocan("org", "invite", "x", "--key", self.directory / "none", status=5, stderr="No such file")
        self.whocan("org", "create", "x", "--key", self.directory / "k", "--passphrase-file",
                    self.file("short", "1234567\n"), status=2, stderr="at least 8 characters")
        self.whocan("org", "create", "x", "--key", self.directory / "k", status=2,
                    stderr="no terminal", start_new_session=True)
        self.assertEqual(self.key.read_bytes(), before)
        self.assertFalse((self.directory / "k").exists())

    def test_the_passphrase_is_asked_without_echo(self):
        terminal = self.terminal("org", "create", "Council", "--key", self.key, columns=200)
        terminal.until("New passphrase")
        self.assertFalse(terminal.echoes())
        terminal.type("correct horse\n").until("The same again").type("correct horse\n")
        self.assertEqual(terminal.end(), 0)
        self.assertNotIn("horse", terminal.raw)
        terminal = self.terminal("org", "invite", "leeds", "--key", self.key, stdout=False)
        terminal.until("Passphrase").type("correct horse\n")
        self.assertEqual(terminal.end(), 0)
        self.assertTrue(terminal.process.stdout.read().startswith(b"whocan-invite-1:"))

    def test_two_passphrases_that_differ(self):
        terminal = self.terminal("org", "create", "Council", "--key", self.key, columns=200)
        terminal.until("New passphrase").type("correct horse\n").until("The same again").type("correct house\n")
        self.assertEqual(terminal.end(), 2)
        self.assertFalse(self.key.exists())

    def test_an_interrupted_question_leaves_the_terminal_as_it_was(self):
        terminal = self.terminal("org", "create", "Council", "--key", self.key)
        terminal.until("New passphrase")
        self.assertFalse(terminal.echoes())
        terminal.interrupt()
        terminal.process.wait(PATIENCE_S)
        self.assertTrue(terminal.echoes())
        self.assertEqual(terminal.process.returncode, -2)

    def test_join(self):
        daemon = self.serve(office_join=lambda *_: {"name": "leeds", "organisation": "Council", "people_moved": 12})
        path = self.file("invite", "whocan-invite-1:abc\n")
        for words, stdin in ((["--file", path], None), (["-"], "whocan-invite-1:abc\n"),
                             (["whocan-invite-1:abc"], None)):
            out = self.whocan("office", "join", *words, stdin=stdin)
            self.assertIn('This office is now "leeds" of Council.', out)
            self.assertIn("12 profiles came along", out)
        self.assertEqual(daemon.calls, [("office.join", {"invite": "whocan-invite-1:abc"})] * 3)
        self.whocan("office", "join", "x", "--file", path, status=2, stderr="not both")
        self.whocan("office", "join", "--file", self.file("empty", "\n"), status=2, stderr="not an invitation or admission\n")
        for name, content in (("nothing", b""), ("picture", b"\x89PNG\0\xff"), ("zero", b"whocan-invite-1:a\0b")):
            path = self.file(name, content)
            self.whocan("office", "join", "--file", path, status=2, stderr=f"{path} is not an invitation or admission\n")
            self.whocan("office", "join", "--file", path, status=2, stderr="whocan org invite OFFICE")
            self.whocan("office", "join", "--file", path, status=2, stderr="whocan org admit")
        self.whocan("office", "join", "nonsense", status=2, stderr="that is not an invitation or admission\n")
        self.assertEqual(len(daemon.calls), 3)


class Guide(Case):
    """The programs of docs/guide-intranet.md do what it says."""

    def setUp(self):
        super().setUp()
        text = (ROOT / "docs" / "guide-intranet.md").read_text()
        self.python = re.search(r"^```python\n(.*?)^```", text, re.M | re.S).group(1)  # the whole program
        [self.c] = re.findall(r"^```c\n(.*?)^```", text, re.M | re.S)

        def create(connection, params):
            self.assertEqual(params["text"], "who can")
            connection.notify("ask.started", ask="a1", offices_known=1)
            connection.notify("ask.answer", ask="a1", office="leeds", people=[ALICE], total=1, offices_heard=1,
                              offices_known=1)
            return {"ask": "a1", "offices_heard": 1, "offices_known": 1, "people_total": 1}
        self.serve(ask_create=create)

    def run_program(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False,
                              timeout=PATIENCE_S)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_python(self):
        out = self.run_program("/usr/bin/python3", self.file("who-can.py", self.python), "who", "can")
        self.assertEqual(out, "alice@leeds\tAlice Archer\texpert in blogging\nheard from 1 of 1 offices\n")

    @unittest.skipIf((BUILD / "CMakeCache.txt").exists() and
                     re.search(r"WHOCAN_SANITIZE:\w+=.", (BUILD / "CMakeCache.txt").read_text()),
                     "a library with sanitizers needs a program with them")
    def test_c(self):
        root = self.directory / "root"  # installed as a package has it
        self.environment["DESTDIR"] = str(root)
        self.run_program("cmake", "--install", str(BUILD))
        [description] = root.rglob("whocan.pc")
        [library] = root.rglob("libwhocan.so.0")
        self.environment.update(PKG_CONFIG_PATH=str(description.parent), PKG_CONFIG_SYSROOT_DIR=str(root),
                                LD_LIBRARY_PATH=str(library.parent))
        flags = self.run_program("pkg-config", "--cflags", "--libs", "whocan").split()
        program = self.directory / "who-can"
        self.run_program("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", program,
                         self.file("who-can.c", self.c), *flags)
        self.assertEqual(self.run_program(program, "who can"), "alice@leeds\tAlice Archer\t\nheard from 1 offices\n")


if __name__ == "__main__":
    unittest.main()
