/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include <whocan/error.h>

const char *wc_strerror(int rc)
{
    switch (rc) {
    case 0:
        return "ok";
#define ERROR_TEXT(name, number, text)                                                 \
    case -(number):                                                                    \
        return (text);
        WC_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
    }
    return "failed in an unknown way";
}

const char *wc_errname(int rc)
{
    switch (rc) {
    case 0:
        return "OK";
#define ERROR_NAME(name, number, text)                                                 \
    case -(number):                                                                    \
        return #name;
        WC_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    }
    return "UNKNOWN";
}

int wc_fail(struct wc_err *err, enum wc_error code, const char *field, const char *why)
{
    if (err != NULL)
        *err = (struct wc_err){.rc = -(int)code, .field = field, .why = why};
    return -(int)code;
}
