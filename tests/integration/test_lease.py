#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What has ended is shown to nobody, at once: not when the store is cleared of it a day later."""
import re
import unittest

import harness
import test_liars
from harness import wait


class Lease(test_liars.Case):
    def test_what_has_ended_is_not_shown_unless_the_clock_is_wrong(self):
        york, leeds = offices = self.offices("york", "leeds", organisation=self.council)
        process = self.liar("hull", "brief", york)

        def shown(office):
            """Everything that shows people has mallory of hull, or nothing has."""
            handle = "mallory@hull"
            with office.client() as client:
                found = client.call("people.find", query="zqbriefwx")
                try:
                    known = client.call("people.show", handle=handle)["person"]["title"] == "zqbriefwx"
                except harness.RpcError as e:
                    self.assertEqual(e.code, "NOTFOUND")
                    known = False
            listed = handle in office.people(all=True)
            self.assertEqual([p["handle"] for p in found["people"]], [handle] * found["total"])
            return (found["total"] == 1, known, listed)

        for office in offices:
            wait(lambda o=office: shown(o) == (True, True, True), f"{office.name} has it", alive=offices)
        for office in offices:  # three looks, and it may end between them
            wait(lambda o=office: shown(o) == (False, False, False), f"{office.name} has it no more", alive=offices)
            self.assertIn("harriet@hull", office.people(all=True))
        self.told(process)
        york.restart()
        self.assertEqual(shown(york), (False, False, False))
        # three offices whose clocks are an hour ahead: then it is york's that is wrong, and nothing is known to have ended
        others = [self.liar(f"bath-{i}", "nothing", york, "--clock", 3600) for i in range(3)]
        wait(lambda: self.clock_is_off(york), "york's clock is off", alive=offices)
        self.assertEqual(shown(york), (True, True, True))
        for _ in range(2):
            self.told(others.pop())
        wait(lambda: not self.clock_is_off(york), "fewer contradict it", alive=offices)
        self.assertEqual(shown(york), (False, False, False))
        status = york.status()  # leeds or bath: nobody knows who is wrong, and nobody is to blame
        apart = [w for w in status["warnings"] if re.match(r"the clock of office bath-\d is (59|60) minutes ahead of", w)]
        self.assertEqual((len(apart), status["offices_blamed"]), (1, []))
        for process in others:
            self.told(process)

    @staticmethod
    def clock_is_off(office):
        return any("clock is more than" in warning for warning in office.status()["warnings"])


if __name__ == "__main__":
    unittest.main()
