/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result codes. A function that can fail returns 0 or the negative of one of these; bad
 * input from outside is always a result, never an assertion.
 */
#ifndef WHOCAN_ERROR_H
#define WHOCAN_ERROR_H

/* X(name, number, text for people). Numbers are part of the socket protocol: never
 * reuse one. */
#define WC_ERRORS(X)                                                                   \
    X(NOMEM, 1, "out of memory")                                                       \
    X(INVALID, 2, "not a valid value")                                                 \
    X(TYPE, 3, "has the wrong type")                                                   \
    X(TOOBIG, 4, "is larger than the limit")                                           \
    X(DEPTH, 5, "is nested too deeply")                                                \
    X(TRUNCATED, 6, "ends too early")                                                  \
    X(TRAILING, 7, "has bytes after its end")                                          \
    X(MISSING, 8, "is missing")                                                        \
    X(BADSIG, 9, "has a signature that does not match")                                \
    X(UNKNOWN_OFFICE, 10, "belongs to an office without a known certificate")          \
    X(EXPIRED, 11, "has expired")                                                      \
    X(FUTURE, 12, "is dated in the future")                                            \
    X(LEASE, 13, "has a longer lease than its kind allows")                            \
    X(STALE, 14, "is older than what is held")                                         \
    X(NOTFOUND, 15, "was not found")                                                   \
    X(EXISTS, 16, "exists already")                                                    \
    X(DENIED, 17, "is not allowed")                                                    \
    X(BUSY, 18, "is in use")                                                           \
    X(FULL, 19, "has no space left")                                                   \
    X(IO, 20, "could not be read or written")                                          \
    X(CORRUPT, 21, "is damaged")                                                       \
    X(VERSION, 22, "is of a version this program does not know")                       \
    X(CONFIG, 23, "is a configuration error")                                          \
    X(PROTOCOL, 24, "breaks the protocol")                                             \
    X(CLOSED, 25, "was closed")                                                        \
    X(TIMEOUT, 26, "took too long")                                                    \
    X(ORGANISATION, 27, "belongs to another organisation")                             \
    X(CRYPTO, 28, "could not be computed")                                             \
    X(METHOD, 29, "is not a method of this service")                                   \
    X(LIMIT, 30, "is over a limit on use")                                             \
    X(REVOKED, 31, "was revoked")                                                      \
    X(CLOCK, 32, "cannot be done while this office's clock disagrees with its peers")

enum wc_error {
#define WC_ERROR_ENUM(name, number, text) WC_E##name = (number),
    WC_ERRORS(WC_ERROR_ENUM)
#undef WC_ERROR_ENUM
};

/* Numbers go without a gap from 1 on: a place for each, and for 0. */
enum wc_error_place {
    WC_ERROR_PLACE_OK,
#define WC_ERROR_PLACE(name, number, text) WC_ERROR_PLACE_##name,
    WC_ERRORS(WC_ERROR_PLACE)
#undef WC_ERROR_PLACE
        WC_ERRORS_COUNT
};

/* The text of a result: 0 gives "ok", -WC_E... its text. Never NULL; static. */
const char *wc_strerror(int rc);

/* The short upper-case name of a result ("TOOBIG"); 0 gives "OK". Never NULL; static.
 */
const char *wc_errname(int rc);

/*
 * What went wrong with which field. Both texts are static strings, so that a caller can
 * keep the struct. `why` may be NULL: then wc_strerror(rc) says it.
 */
struct wc_err {
    int rc;            /* -WC_E... */
    const char *field; /* "skills[].level", or NULL */
    const char
        *why; /* "must be one of awareness, working, practitioner, expert", or NULL */
};

/* Fill *err (NULL is fine) and return -code, so that a decoder can `return
 * wc_fail(...)`. */
int wc_fail(struct wc_err *err, enum wc_error code, const char *field, const char *why);

#endif
