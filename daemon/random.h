/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the kernel, for everything that needs a seed or a key. */
#ifndef WHOCAN_DAEMON_RANDOM_H
#define WHOCAN_DAEMON_RANDOM_H

#include <stddef.h>

/* Fill out with len bytes of getrandom(2). Never fails: without randomness no key is
 * safe, so the process says why and aborts. Any thread. */
void wc_random_bytes(void *out, size_t len);

#endif
