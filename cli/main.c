/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/prctl.h>

#include "cli/commands.h"

int main(int argc, char **argv)
{
    /* Person keys, the organisation's key and its passphrase pass through here: no core
     * dump is written of them. What it starts (ssh, an editor) has its own say. The
     * command works without this as well, so that a failure is no reason to stop. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return wc_cli_main(argc, argv);
}
