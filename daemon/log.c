/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <whocan/error.h>

#define LINE_MAX_BYTES 1000

static const struct {
    enum wc_log_level level;
    const char *name;
} levels[] = {
    {WC_LOG_ERROR, "error"}, {WC_LOG_WARNING, "warning"}, {WC_LOG_NOTICE, "notice"},
    {WC_LOG_INFO, "info"},   {WC_LOG_DEBUG, "debug"},
};

/* Set by the loop thread alone; a line from the pool that races with a reload may use
 * either level. */
static _Atomic int level_now = WC_LOG_NOTICE;
static _Atomic bool journal_form = false;

int wc_log_level_parse(const char *text, enum wc_log_level *out)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(levels[i].name, text) == 0) {
            *out = levels[i].level;
            return 0;
        }
    }
    return -WC_EINVALID;
}

const char *wc_log_level_name(enum wc_log_level level)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "";
}

bool wc_log_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char here[64];
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(here, sizeof(here), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return strcmp(stream, here) == 0;
}

void wc_log_init(enum wc_log_level level, bool human)
{
    level_now = level;
    journal_form = !human && wc_log_to_journal();
}

void wc_log_set_level(enum wc_log_level level)
{
    level_now = level;
}

static int prefix(char *out, size_t cap, enum wc_log_level level)
{
    if (journal_form)
        return snprintf(out, cap, "<%d>", (int)level);
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    return snprintf(out, cap,
                    "%04d-%02d-%02dT%02d:%02d:%02dZ whocand: %s: ", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                    wc_log_level_name(level));
}

void wc_log(enum wc_log_level level, const char *format, ...)
{
    if ((int)level > level_now)
        return;
    char line[LINE_MAX_BYTES + 100];
    int used = prefix(line, sizeof(line) - LINE_MAX_BYTES, level);
    char *text = line + used;
    va_list args;
    va_start(args, format);
    vsnprintf(text, LINE_MAX_BYTES, format, args);
    va_end(args);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    size_t len = strlen(line);
    line[len++] = '\n';
    /* One write, so that lines of two threads never mix; a full or closed standard
     * error has nowhere to be reported. */
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}

bool wc_log_allow(struct wc_log_valve *valve, uint64_t mono_ms)
{
    if (valve->since_ms == 0 || mono_ms - valve->since_ms >= valve->window_ms) {
        if (valve->left_out > 0)
            wc_log(WC_LOG_NOTICE, "%u more lines like this were left out",
                   valve->left_out);
        valve->since_ms = mono_ms;
        valve->used = 0;
        valve->left_out = 0;
    }
    if (valve->used >= valve->burst) {
        valve->left_out++;
        return false;
    }
    valve->used++;
    return true;
}
