/* SPDX-License-Identifier: Apache-2.0 */
/* What one run of the command shares: its arguments, its screen, its connection. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <jansson.h>
#include <sys/types.h>
#include <time.h>

#include <whocan/client.h>

#include "cli/args.h"
#include "cli/term.h"

/* Exit codes; docs/whocan.1 documents them. */
enum wc_exit {
    WC_EXIT_OK = 0,
    WC_EXIT_PARTIAL = 1,      /* some rows were refused */
    WC_EXIT_USAGE = 2,        /* the command line, or an input, is wrong */
    WC_EXIT_UNREACHABLE = 3,  /* no daemon, or it went away */
    WC_EXIT_REFUSED = 4,      /* the daemon refused */
    WC_EXIT_FILE = 5,         /* a file could not be read or written */
    WC_EXIT_INTERRUPTED = 130 /* Ctrl-C, as a shell has it */
};

struct wc_run {
    const struct wc_args *args;
    struct wc_term out; /* standard output */
    struct wc_term err; /* standard error */
    struct wc_client *client;
    pid_t ssh; /* of --host, or 0 */
    time_t now;
};

/*
 * Occupy those of the descriptors 0 to 2 that are closed, so that no file or socket gets
 * their number. What is read from or written to them fails, as it should. 0, or -WC_EIO.
 */
int wc_run_occupy_standard(void);

/* Set up the screens and the time; nothing is opened. */
void wc_run_init(struct wc_run *run, const struct wc_args *args);
void wc_run_fini(struct wc_run *run);

/* "whocan: ..." on standard error, made safe, and a newline. Returns exit_code. */
int wc_run_fail(struct wc_run *run, enum wc_exit exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Indented lines below an error that say what to do next. */
void wc_run_hint(struct wc_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Connect to the daemon unless connected. 0, or the exit code after saying why not. */
int wc_run_connect(struct wc_run *run);
int wc_run_connect_here(struct wc_run *run); /* this machine's, whatever --host says */

/* Whether a daemon answers at the socket; connects to it. Says nothing. */
bool wc_run_reaches(struct wc_run *run);

/*
 * Call a method and wait. `params` is taken over. 0 with the result, a new value of the
 * caller's, or the exit code after saying what is wrong. wc_run_call_quiet() says nothing
 * about a refusal: *refused then gets the error code (-WC_E...), and
 * wc_client_error(run->client) the text.
 */
int wc_run_call(struct wc_run *run, const char *method, json_t *params,
                json_t **result);
int wc_run_call_quiet(struct wc_run *run, const char *method, json_t *params,
                      json_t **result, int *refused);

/* Bytes of "skills[]." at the start of the daemon's words, which say "skill " to people;
 * 0 when they start otherwise. */
size_t wc_run_field_path(const char *text);

/* Say why the latest call failed; returns the exit code. */
int wc_run_call_failed(struct wc_run *run, int rc);

/* Write to standard output and flush. 0, or WC_EXIT_FILE after saying why not. */
int wc_run_write(struct wc_run *run, const struct wc_buf *text);

/* Write a value as one line of JSON, or as indented JSON. */
int wc_run_json_line(struct wc_run *run, const json_t *value);
int wc_run_json(struct wc_run *run, const json_t *value);

/* Whether --json was given; an option's value or NULL. */
bool wc_run_wants_json(const struct wc_run *run);
const char *wc_run_option(const struct wc_run *run, enum wc_opt opt);

/* --level in its one spelling, or NULL; 0, or an exit code. */
int wc_run_level(struct wc_run *run, const char **level);

/* The words joined by blanks. */
void wc_run_join(const struct wc_run *run, struct wc_buf *out);

#endif
