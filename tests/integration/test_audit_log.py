#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The audit log: everything that was acknowledged is in it, nothing that people wrote is, and nobody changes it unseen."""
import hashlib
import json
import os
import pwd
import signal
import subprocess
import time
import unittest

import harness
from harness import row, wait

CANARIES = {name: f"canary-{name}-8f3a" for name in
            ("name", "title", "team", "skill", "interest", "about", "email", "query", "ask")}


class AuditCase(harness.Case):
    def directory_of(self, daemon):
        return daemon.state / "audit"

    def files(self, daemon):
        return sorted(self.directory_of(daemon).glob("*.log"))

    def lines(self, daemon):
        """Every line of the log; the chain is followed by another implementation of the hash."""
        out, before = [], "0" * 64
        for path in self.files(daemon):
            for raw in path.read_bytes().splitlines(keepends=True):
                line = json.loads(raw)
                self.assertEqual((line["prev"], line["n"]), (before, len(out) + 1))
                before = hashlib.blake2b(raw, digest_size=32).hexdigest()
                out.append(line)
        return out

    def hashed(self, daemon, who):
        """A login or handle as it stands in the log: by another implementation of the hash."""
        key = bytes.fromhex((self.directory_of(daemon) / "key").read_text())
        login, at, office = who.partition("@")
        digest = hashlib.blake2b(b"whocan audit" + login.encode(), key=key, digest_size=32).hexdigest()
        return "#" + digest[:32] + at + office

    def acts(self, daemon, *names):
        return [line for line in self.lines(daemon) if line["act"] in names]

    def whocan(self, daemon, *words):
        return subprocess.run([harness.WHOCAN, "--socket", daemon.socket, *map(str, words)], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.PATIENCE_S * 2,
                              check=False)


class Log(AuditCase):
    def test_who_did_what(self):
        organisation = self.organisation()
        leeds = self.daemon("attic")
        leeds.call("people.import", rows=[row("alice", skills=["baking"]), row("bob"), {"handle": "Not A Login"}])
        leeds.call("people.import", rows=[row("alice", skills=["baking"]), row("bob", title="Baker")])
        leeds.call("me.set", title="Librarian")
        leeds.call("office.join", invite=organisation.invite("leeds"))
        with self.refused("EXISTS"):
            leeds.call("office.join", invite=organisation.invite("york"))
        leeds.call("me.erase")
        leeds.call("people.erase", handle="bob")
        leeds.signal(signal.SIGHUP)
        wait(lambda: "the configuration was read again" in leeds.log(), "the reload", alive=[leeds])
        leeds.stop()
        lines = self.lines(leeds)
        self.assertEqual(lines[0]["act"], "audit.file")
        self.assertEqual((lines[1]["act"], lines[1]["uid"]), ("daemon.start", os.geteuid()))
        self.assertTrue(lines[1]["version"])
        self.assertEqual([line["act"] for line in lines[-2:]], ["daemon.reload", "daemon.stop"])
        imports = self.acts(leeds, "people.import")
        self.assertEqual([line["stage"] for line in imports], ["begin", "end"] * 2)
        counts = [[line[k] for k in ("accepted", "unchanged", "refused")] for line in imports[1::2]]
        self.assertEqual(counts, [[2, 0, 1], [1, 1, 0]])
        self.assertEqual([(line["about"], line["rev"], line["uid"]) for line in self.acts(leeds, "row")],
                         [(self.hashed(leeds, h), rev, 0)
                          for h, rev in (("alice@attic", 1), ("bob@attic", 1), ("bob@attic", 2))])
        self.assertEqual([(line["about"], line["login"]) for line in self.acts(leeds, "profile")],
                         [(self.hashed(leeds, "root@attic"), self.hashed(leeds, "root"))])
        joins = self.acts(leeds, "office.join")
        self.assertEqual([line.get("result") for line in joins], [None, "OK", None, "EXISTS"])
        self.assertEqual((joins[1]["office"], joins[1]["people_moved"]), ("leeds", 3))

        self.assertEqual([(line["about"], line["records"] > 0) for line in self.acts(leeds, "erase")],
                         [(self.hashed(leeds, "root@leeds"), True), (self.hashed(leeds, "bob@leeds"), True)])
        self.assertEqual([line["about"] for line in self.acts(leeds, "people.erase") if line["stage"] == "begin"],
                         [self.hashed(leeds, "bob@leeds")])
        # of those who were erased nothing is left but hashes
        text = b"".join(p.read_bytes() for p in self.directory_of(leeds).iterdir())
        for login in (b"alice", b"bob", b"root"):
            self.assertNotIn(login, text)

    def test_whose_row_was_ended(self):
        leeds = self.daemon("leeds")
        leeds.call("people.import", rows=[row("alice"), row("bob"), row("carol")])
        self.assertEqual(leeds.call("people.retire", handles=["alice", "carol", "nobody.here"]), {"retired": 2})
        with self.refused("INVALID", "handles"):
            leeds.call("people.retire", handles=["bob", "bob@york"])
        self.assertEqual([line["rows"] for line in self.acts(leeds, "people.import") if line["stage"] == "begin"], [3])
        begin, end, refused, last = self.acts(leeds, "people.retire")
        self.assertEqual((begin["handles"], begin["uid"]), (3, os.geteuid()))
        self.assertEqual((end["result"], end["retired"]), ("OK", 2))
        self.assertEqual((refused["handles"], last["result"]), (2, "INVALID"))
        ended = self.acts(leeds, "retire")
        self.assertEqual(sorted((line["about"], line["rev"], line["uid"]) for line in ended),
                         sorted((self.hashed(leeds, h), 2, os.geteuid()) for h in ("alice@leeds", "carol@leeds")))
        for line in ended:
            self.assertTrue(begin["n"] < line["n"] < end["n"])

    def test_nothing_that_people_wrote_and_no_key(self):
        organisation = self.organisation()
        c = CANARIES
        leeds = self.daemon("leeds")
        invitation = organisation.invite("leeds")
        fields = {"name": c["name"], "title": c["title"], "team": c["team"], "skills": [c["skill"]],
                  "interests": [c["interest"]], "ask_me_about": c["about"], "email": c["email"] + "@example.org"}
        leeds.call("people.import", rows=[{"handle": "alice", **fields}])
        leeds.call("me.set", **fields)
        leeds.call("me.drop", skills=[c["skill"]])
        leeds.call("people.find", query=c["query"])
        with leeds.client() as client:
            client.ask(c["ask"], wait_ms=10)
        with self.refused("INVALID", "email"):
            leeds.call("me.set", email=c["email"] + "\n")
        leeds.call("office.join", invite=invitation)
        leeds.stop()
        text = b"".join(p.read_bytes() for p in self.directory_of(leeds).iterdir())
        self.assertIn(self.hashed(leeds, "alice@leeds").encode(), text)
        for canary in (*c.values(), invitation.split(":")[1][:24]):
            self.assertNotIn(canary.encode(), text)

    def test_whoever_is_gone_is_found_by_name_alone(self):
        """Once erased, the log names nobody; but it is known what was done to somebody whose login is asked for."""
        leeds = self.daemon("leeds")
        leeds.call("people.import", rows=[row("alice"), row("bob")])
        leeds.call("people.erase", handle="alice")
        self.assertIn("bob@leeds", self.whocan(leeds, "audit").stdout)
        self.assertNotIn("alice", self.whocan(leeds, "audit").stdout)
        done = self.whocan(leeds, "audit", "--about", "alice", "--json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([(line["act"], line.get("stage")) for line in found],
                         [("row", None), ("people.erase", "begin"), ("erase", None)])
        self.assertTrue(all("about" not in line.get("names", {}) for line in found))
        # the same person, after the office has another name
        leeds.call("office.join", invite=self.organisation().invite("york"))
        self.assertEqual(len(self.whocan(leeds, "audit", "--about", "bob").stdout.splitlines()), 1)
        self.assertIn("bob@leeds", self.whocan(leeds, "audit", "--about", "bob").stdout)

    def test_show_and_verify(self):
        leeds = self.daemon("leeds")
        leeds.call("people.import", rows=[row("alice"), row("bob")])
        done = self.whocan(leeds, "audit")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("accepted=2", done.stdout)
        done = self.whocan(leeds, "audit", "--about", "alice", "--json")
        line, = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(line["about"], self.hashed(leeds, "alice@leeds"))
        self.assertEqual(line["names"], {"about": "alice@leeds", "login": pwd.getpwuid(os.geteuid()).pw_name})
        done = self.whocan(leeds, "audit", "--about", "alice@leeds")
        self.assertRegex(done.stdout, r"\A\S+ +root +row +alice@leeds rev=1\n\Z")
        self.assertEqual(self.whocan(leeds, "audit", "--about", "alice@york").stdout, "")
        tomorrow = time.strftime("%Y-%m-%d", time.localtime(time.time() + 2 * 86400))
        self.assertEqual(self.whocan(leeds, "audit", "--since", tomorrow).stdout, "")
        self.assertIn("accepted=2", self.whocan(leeds, "audit", "--since", "1d").stdout)
        self.assertEqual(self.whocan(leeds, "audit", "--since", "yesterday").returncode, 2)
        done = self.whocan(leeds, "audit", "--verify")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("The log is whole", done.stdout)
        # somebody changes a line while it runs
        path, = self.files(leeds)
        genuine = path.read_bytes()
        at = genuine.index(self.hashed(leeds, "bob@leeds").encode())
        with path.open("r+b") as f:
            f.seek(at)
            f.write(self.hashed(leeds, "rob@leeds").encode())
        number = genuine[:at].count(b"\n") + 1
        for words in (("audit", "--verify"), ("audit",), ("audit", "--verify", path)):
            done = self.whocan(leeds, *words)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"000001.log, line {number} is not as it was written", done.stderr)
        verdict = json.loads(self.whocan(leeds, "audit", "--verify", "--json").stdout)
        self.assertEqual((verdict["broken"]["file"], verdict["broken"]["line"]), ("000001.log", number))

    def test_files_without_a_daemon(self):
        leeds = self.daemon("leeds", flags=["--audit-file-bytes", "4096"])
        for i in range(60):
            leeds.call("people.import", rows=[row(f"p{i}")])
        leeds.stop()
        paths = self.files(leeds)
        self.assertGreater(len(paths), 3)
        total = len(self.lines(leeds))

        def verify(*files):
            done = self.whocan(leeds, "audit", "--verify", *files)
            return done.returncode, done.stdout + done.stderr

        code, said = verify(*paths)
        self.assertEqual(code, 0, said)
        self.assertIn(f"{total} lines", said)
        self.assertEqual(verify(*paths[2:])[0], 0)  # old ones may be gone
        self.assertEqual(verify(*paths[:-1])[0], 0)  # and the newest be elsewhere
        self.assertEqual(verify(paths[0], *paths[2:])[0], 1)  # but none in the middle
        raw = paths[1].read_bytes().splitlines(keepends=True)
        for what, lines, named in (("dropped", raw[:4] + raw[5:], 5), ("moved", raw[:4] + [raw[5], raw[4]] + raw[6:], 5),
                                   ("inserted", raw[:4] + [raw[0]] + raw[4:], 5), ("first", raw[1:], 1)):
            paths[1].write_bytes(b"".join(lines))
            code, said = verify(*paths)
            self.assertEqual(code, 1, what)
            self.assertIn(f"{paths[1]}, line {named} ", said, what)
        paths[1].write_bytes(b"".join(raw))
        paths[-1].write_bytes(b"".join(paths[-1].read_bytes().splitlines(keepends=True)[:-1]))
        code, said = verify(*paths)
        self.assertEqual(code, 1)
        self.assertIn("lines after it are missing", said)
        self.assertEqual(verify(self.directory / "none.log")[0], 5)

    def test_everything_acknowledged_is_there_after_a_kill(self):
        leeds = self.daemon("leeds")
        acknowledged = 0
        for i in range(4):
            with leeds.client() as client:
                for k in range(10):
                    client.send("people.import", {"rows": [row(f"p{i}-{k}-{n}") for n in range(5)]})
                for _ in range(4):
                    client.response()
                    acknowledged += 1
                leeds.kill()
            leeds.start()
            done = self.whocan(leeds, "audit", "--verify")
            self.assertEqual(done.returncode, 0, done.stderr)
            ends = [line for line in self.acts(leeds, "people.import") if line.get("stage") == "end"]
            self.assertGreaterEqual(len(ends), acknowledged)
            acknowledged = len(ends)
        held = {h for h in leeds.people()}
        self.assertGreaterEqual({self.hashed(leeds, h) for h in held},
                                {line["about"] for line in self.acts(leeds, "row")})
        # nothing is stored that has no beginning
        begins = sum(line.get("stage") == "begin" for line in self.acts(leeds, "people.import"))
        self.assertGreaterEqual(begins * 5, len(held))

    def test_a_cut_line_is_noted(self):
        leeds = self.daemon("leeds")
        leeds.call("people.import", rows=[row("alice")])
        leeds.stop()
        path, = self.files(leeds)
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"n":99,"prev":"0')
        leeds.start()
        self.assertIn("ended in the middle of a line", leeds.log())
        lines = self.lines(leeds)
        self.assertEqual([line["act"] for line in lines[-2:]], ["audit.cut", "daemon.start"])
        self.assertEqual(lines[-2]["bytes"], 17)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to mount a small file system")
    def test_a_full_disk_refuses_administration(self):
        leeds = self.new_daemon("leeds")
        audit = leeds.state / "audit"  # a disk of its own, so that only the log is short of space
        leeds.state.mkdir(mode=0o700)
        audit.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(audit)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(audit)], check=False)
        leeds.start()
        leeds.call("people.import", rows=[row("alice")])
        with (audit / "ballast").open("wb") as f:
            free = os.statvfs(audit)
            os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize)
        with self.refused("FULL") as caught:
            for _ in range(100):  # the rest of the last block is used up first
                leeds.call("people.import", rows=[])
        error = caught.exception
        self.assertIn("nothing was done", error.message)
        begun = len(self.acts(leeds, "people.import"))
        with self.refused("FULL"):
            leeds.call("people.import", rows=[row("bob")])
        self.assertEqual(set(leeds.people()), {"alice@leeds"})
        self.assertEqual(len(self.acts(leeds, "people.import")), begun)
        self.assertEqual(leeds.call("me.set", title="Head")["person"]["title"], "Head")
        self.assertTrue(any("audit" in w for w in leeds.status()["warnings"]))
        self.assertIn("administration is refused", leeds.log())
        self.assertIn("\nwhocan_audit_failing 1\n", leeds.call("node.metrics")["text"])
        (audit / "ballast").unlink()
        leeds.call("people.import", rows=[row("bob")])
        self.assertEqual(leeds.status()["warnings"], [])
        self.assertIn("\nwhocan_audit_failing 0\n", leeds.call("node.metrics")["text"])
        gap, = self.acts(leeds, "audit.gap")
        self.assertGreaterEqual(gap["missed"], 3)  # two imports that were refused, and what root wrote


@unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
class Others(AuditCase):
    def test_it_is_for_administrators(self):
        person, = harness.free_uids(1)
        leeds = self.daemon("leeds")
        before = len(self.lines(leeds))
        done = subprocess.run([harness.WHOCAN, "--socket", leeds.socket, "audit"], text=True, capture_output=True,
                              user=person, group=person, extra_groups=[], timeout=harness.PATIENCE_S, check=False,
                              env={"HOME": "/"})
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertIn("only root and members of the group whocan-admin", done.stderr)
        self.assertEqual(len(self.lines(leeds)), before)  # and who may not, fills no log
        for path in (self.directory_of(leeds), *self.directory_of(leeds).iterdir()):
            self.assertEqual(path.stat().st_mode & 0o077, 0)


if __name__ == "__main__":
    harness.main()
