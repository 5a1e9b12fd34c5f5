#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` puts where, and that it works from there: the programs, the client library with the
example of its header, the manual pages, the service."""
import os
import re
import subprocess
import textwrap

import harness

PROGRAMS = ["bin/whocan", "sbin/whocand"]
FILES = [
    "/usr/local/include/whocan/client.h", "/usr/local/share/man/man1/whocan.1", "/usr/local/share/man/man8/whocand.8",
    "/usr/local/share/bash-completion/completions/whocan", "/usr/local/share/doc/whocan/README.md",
    "/usr/local/share/doc/whocan/CHANGELOG.md", "/usr/local/share/doc/whocan/LICENSE",
    "/usr/local/share/doc/whocan/docs/operations.md", "/etc/whocan/whocan.conf",
    "/usr/lib/systemd/system/whocan.service", "/usr/lib/systemd/system/whocan.socket",
    "/usr/lib/sysusers.d/whocan.conf", "/usr/lib/tmpfiles.d/whocan.conf",
]


class Install(harness.Case):
    def run_quietly(self, *words, **env):
        done = subprocess.run([str(w) for w in words], env=dict(os.environ, **env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def setUp(self):
        super().setUp()
        self.stage = self.directory / "stage"
        self.run_quietly("cmake", "--install", harness.BUILD, "--prefix", "/usr/local", DESTDIR=str(self.stage))
        self.prefix = self.stage / "usr" / "local"

    def library(self):
        """The directory that the client library went to, which has the machine's name in it on Debian."""
        found = list(self.prefix.rglob("libwhocan.so"))
        self.assertEqual(len(found), 1)
        return found[0].parent

    def test_everything_is_there(self):
        for program in PROGRAMS:
            self.assertIn("whocan", self.run_quietly(self.prefix / program, "--version"))
        for name in FILES:
            self.assertTrue((self.stage / name[1:]).is_file(), name)

    def test_nothing_names_the_directory_it_was_built_in(self):
        where = str(harness.ROOT).encode()
        for path in self.stage.rglob("*"):
            # Programs have it in what is for debuggers.
            if path.is_file() and b"\x7fELF" != path.read_bytes()[:4]:
                self.assertNotIn(where, path.read_bytes(), path)

    def test_a_configuration_stays_as_it_is(self):
        conf = self.stage / "etc/whocan/whocan.conf"
        conf.write_text("[whocan]\noffice = leeds\n")
        self.run_quietly("cmake", "--install", harness.BUILD, "--prefix", "/usr/local", DESTDIR=str(self.stage))
        self.assertEqual(conf.read_text(), "[whocan]\noffice = leeds\n")

    def test_the_service_starts_what_is_installed(self):
        unit = (self.stage / "usr/lib/systemd/system/whocan.service").read_text()
        self.assertRegex(unit, r"(?m)^ExecStart=/usr/local/sbin/whocand\b")

    def test_the_example_of_the_client_library(self):
        header = (self.prefix / "include/whocan/client.h").read_text()
        example = re.search(r"^( \*     struct wc_client .*?)^ \*\n", header, re.M | re.S).group(1)
        source = self.directory / "example.c"
        source.write_text("#include <stdio.h>\n#include <whocan/client.h>\nint main(void)\n{\n"
                          + textwrap.dedent(re.sub(r"^ \*", "", example, flags=re.M)) + "return rc != 0;\n}\n")
        flags = self.run_quietly("pkg-config", "--cflags", "--libs", "whocan",
                                 PKG_CONFIG_PATH=str(self.library() / "pkgconfig"),
                                 PKG_CONFIG_SYSROOT_DIR=str(self.stage)).split()
        program = self.directory / "example"
        self.run_quietly("cc", "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags)
        office = self.daemon("leeds")
        office.import_rows([harness.row("alice", skills=["blogging"]), harness.row("bob", skills=["Welsh"])])
        said = self.run_quietly(program, LD_LIBRARY_PATH=str(self.library()), WHOCAN_SOCKET=str(office.socket))
        self.assertEqual(said, "alice@leeds\n")


if __name__ == "__main__":
    harness.main()
