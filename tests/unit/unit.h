/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka and the headers that it must find before it. */
#ifndef WHOCAN_TESTS_UNIT_H
#define WHOCAN_TESTS_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
