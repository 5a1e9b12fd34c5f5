/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line for each thing that an operator should know. Under systemd each line starts
 * with a priority ("<4>", sd-daemon(3)), so that the journal knows its level; elsewhere
 * with the time and the level. Never profile text, questions or keys.
 */
#ifndef WHOCAN_DAEMON_LOG_H
#define WHOCAN_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum wc_log_level {
    WC_LOG_ERROR = 3, /* the numbers of syslog(3) */
    WC_LOG_WARNING = 4,
    WC_LOG_NOTICE = 5,
    WC_LOG_INFO = 6,
    WC_LOG_DEBUG = 7,
};

/* The words of --log-level, in order of severity, separated by one space. */
#define WC_LOG_LEVELS "error warning notice info debug"

/* "warning" to its level, or -WC_EINVALID; and back. */
int wc_log_level_parse(const char *text, enum wc_log_level *out);
const char *wc_log_level_name(enum wc_log_level level);

/* Write lines up to `level`. human: never the journal's form, even under systemd. */
void wc_log_init(enum wc_log_level level, bool human);
void wc_log_set_level(enum wc_log_level level);

/* Whether standard error is the journal, as JOURNAL_STREAM says (systemd.exec(5)). */
bool wc_log_to_journal(void);

/* One line, without a newline at its end. Control characters become '?'; what is longer
 * than 1,000 bytes is cut. Any thread. */
void wc_log(enum wc_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A valve for lines that strangers can cause: at most `burst` in each `window_ms`.
 * Zero-initialise but for these two. wc_log_allow() says whether a line may be written
 * now; the first one of a later window says how many were left out.
 */
struct wc_log_valve {
    uint32_t burst;
    uint64_t window_ms;
    uint64_t since_ms;
    uint32_t used;
    uint32_t left_out;
};
bool wc_log_allow(struct wc_log_valve *valve, uint64_t mono_ms);

#endif
