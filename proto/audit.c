/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include <whocan/audit.h>
#include <whocan/crypto.h>
#include <whocan/error.h>

#define HEX_BYTES  ((size_t)2 * WC_DIGEST_BYTES)
#define TIME_BYTES 24 /* 2026-11-21T22:30:01.123Z */
#define NUMBER_CAP 24

#define PERSON_BYTES ((size_t)16)

/* ---------------------------------------------------------------- texts */

/* The decimal digits of a number, padded with zeros to at least `width`. */
static size_t put_number(char out[NUMBER_CAP], uint64_t value, size_t width)
{
    char reversed[NUMBER_CAP];
    size_t len = 0;
    do {
        reversed[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0 || len < width);
    for (size_t i = 0; i < len; i++)
        out[i] = reversed[len - 1 - i];
    out[len] = '\0';
    return len;
}

static void add_number(struct wc_buf *b, uint64_t value, size_t width)
{
    char text[NUMBER_CAP];
    wc_buf_append(b, text, put_number(text, value, width));
}

static void add_hex(struct wc_buf *b, const uint8_t raw[WC_DIGEST_BYTES])
{
    char hex[HEX_BYTES + 1];
    wc_hex(hex, raw, WC_DIGEST_BYTES);
    wc_buf_text(b, hex);
}

/* Howard Hinnant's days_from_civil and civil_from_days ("chrono-Compatible Low-Level Date
 * Algorithms"), for years from 1970 on. */
static void civil_from_days(uint64_t days, uint64_t *year, uint64_t *month,
                            uint64_t *day)
{
    uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = yoe + era * 400 + (*month <= 2);
}

static uint64_t days_from_civil(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t y = year - (month <= 2), era = y / 400, yoe = y % 400;
    uint64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void add_time(struct wc_buf *b, uint64_t at_ms)
{
    uint64_t year, month, day, ms = at_ms % WC_DAY_MS;
    civil_from_days(at_ms / WC_DAY_MS, &year, &month, &day);
    add_number(b, year, 4);
    wc_buf_byte(b, '-');
    add_number(b, month, 2);
    wc_buf_byte(b, '-');
    add_number(b, day, 2);
    wc_buf_byte(b, 'T');
    add_number(b, ms / 3600000, 2);
    wc_buf_byte(b, ':');
    add_number(b, ms / 60000 % 60, 2);
    wc_buf_byte(b, ':');
    add_number(b, ms / 1000 % 60, 2);
    wc_buf_byte(b, '.');
    add_number(b, ms % 1000, 3);
    wc_buf_byte(b, 'Z');
}

/* ---------------------------------------------------------------- writing */

void wc_audit_say(struct wc_buf *members, const char *key, struct wc_slice text)
{
    wc_buf_text(members, ",\"");
    wc_buf_text(members, key);
    wc_buf_text(members, "\":\"");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            wc_buf_byte(members, '\\');
        wc_buf_byte(members, c >= ' ' && c <= '~' ? c : '?');
    }
    wc_buf_byte(members, '"');
}

void wc_audit_say_u64(struct wc_buf *members, const char *key, uint64_t value)
{
    wc_buf_text(members, ",\"");
    wc_buf_text(members, key);
    wc_buf_text(members, "\":");
    add_number(members, value, 1);
}

void wc_audit_person(char out[WC_AUDIT_PERSON_CHARS + 1],
                     const uint8_t key[WC_SECRET_BYTES], struct wc_slice login)
{
    uint8_t hash[WC_DIGEST_BYTES];
    const struct wc_slice parts[] = {wc_slice_text("whocan audit"), login};
    static_assert(1 + 2 * PERSON_BYTES == WC_AUDIT_PERSON_CHARS, "it fits");
    wc_hash_keyed(hash, sizeof(hash), key, parts, 2);
    out[0] = '#';
    wc_hex(out + 1, hash, PERSON_BYTES);
}

void wc_audit_head_of(struct wc_audit_head *out, uint64_t n, struct wc_slice line)
{
    struct wc_slice parts[] = {line, wc_slice_text("\n")};
    out->n = n;
    wc_hash(out->hash, parts, 2);
}

int wc_audit_line(struct wc_buf *out, struct wc_audit_head *head, uint64_t at_ms,
                  struct wc_slice members)
{
    struct wc_buf line = {0};
    wc_buf_text(&line, "{\"n\":");
    add_number(&line, head->n + 1, 1);
    wc_buf_text(&line, ",\"prev\":\"");
    add_hex(&line, head->hash);
    wc_buf_text(&line, "\",\"at\":\"");
    add_time(&line, at_ms);
    wc_buf_byte(&line, '"');
    wc_buf_append(&line, members.data, members.len);
    wc_buf_byte(&line, '}');
    int rc = line.len > WC_AUDIT_LINE_MAX_BYTES ? -WC_ETOOBIG : 0;
    if (rc == 0) {
        size_t before = out->len;
        wc_buf_append(out, line.data, line.len);
        wc_buf_byte(out, '\n');
        rc = line.failed || out->failed ? -WC_ENOMEM : 0;
        if (rc == 0)
            wc_audit_head_of(head, head->n + 1, wc_buf_slice(&line));
        else
            out->len = before;
    }
    wc_buf_fini(&line);
    return rc;
}

/* ---------------------------------------------------------------- reading */

/* Take a fixed text off the front. */
static bool take_text(struct wc_slice *in, const char *text)
{
    size_t len = strlen(text);
    if (in->len < len || memcmp(in->data, text, len) != 0)
        return false;
    *in = wc_slice(in->data + len, in->len - len);
    return true;
}

/* Take `count` digits (0: as many as there are) that stand for a number below 2^53. */
static bool take_number(struct wc_slice *in, size_t count, uint64_t *out)
{
    size_t len = 0;
    uint64_t value = 0;
    while (len < in->len && (count == 0 || len < count) && in->data[len] >= '0' &&
           in->data[len] <= '9' && value <= WC_REV_MAX)
        value = value * 10 + (uint64_t)(in->data[len++] - '0');
    if (len == 0 || (count > 0 && len < count) || value > WC_REV_MAX ||
        (count == 0 && len > 1 && in->data[0] == '0'))
        return false;
    *in = wc_slice(in->data + len, in->len - len);
    *out = value;
    return true;
}

static bool take_time(struct wc_slice *in, uint64_t *at_ms)
{
    uint64_t year, month, day, hour, minute, second, ms;
    if (!take_number(in, 4, &year) || !take_text(in, "-") ||
        !take_number(in, 2, &month) || !take_text(in, "-") ||
        !take_number(in, 2, &day) || !take_text(in, "T") ||
        !take_number(in, 2, &hour) || !take_text(in, ":") ||
        !take_number(in, 2, &minute) || !take_text(in, ":") ||
        !take_number(in, 2, &second) || !take_text(in, ".") ||
        !take_number(in, 3, &ms) || !take_text(in, "Z"))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    *at_ms = days_from_civil(year, month, day) * WC_DAY_MS + hour * 3600000 +
             minute * 60000 + second * 1000 + ms;
    return true;
}

int wc_audit_parse(struct wc_slice line, struct wc_audit_start *out)
{
    struct wc_slice in = line;
    if (line.len > WC_AUDIT_LINE_MAX_BYTES || !take_text(&in, "{\"n\":") ||
        !take_number(&in, 0, &out->n) || !take_text(&in, ",\"prev\":\"") ||
        in.len < HEX_BYTES ||
        wc_unhex(out->prev, WC_DIGEST_BYTES, wc_slice(in.data, HEX_BYTES)) != 0)
        return -WC_ECORRUPT;
    in = wc_slice(in.data + HEX_BYTES, in.len - HEX_BYTES);
    if (!take_text(&in, "\",\"at\":\"") || !take_time(&in, &out->at_ms) ||
        !take_text(&in, "\",") || in.len == 0 || in.data[in.len - 1] != '}')
        return -WC_ECORRUPT;
    return 0;
}

static bool holds(struct wc_slice line, const uint8_t *wanted, size_t len)
{
    for (size_t i = 0; i + len <= line.len; i++)
        if (memcmp(line.data + i, wanted, len) == 0)
            return true;
    return false;
}

/* Whether the line says that of a key, or, with `more`, begins to. */
static bool says(struct wc_slice line, const char *key, struct wc_slice text, bool more)
{
    struct wc_buf wanted = {0};
    wc_audit_say(&wanted, key, text);
    bool found = !wanted.failed && /* with more without the quote at the end */
                 holds(line, wanted.data, wanted.len - more);
    wc_buf_fini(&wanted);
    return found;
}

bool wc_audit_says(struct wc_slice line, const char *key, struct wc_slice text)
{
    return says(line, key, text, false);
}

bool wc_audit_says_u64(struct wc_slice line, const char *key, uint64_t value)
{
    struct wc_buf wanted = {0};
    wc_audit_say_u64(&wanted, key, value);
    bool found = false;
    for (size_t i = 0; i < 2 && !wanted.failed && !found; i++) {
        wc_buf_byte(&wanted, i == 0 ? ',' : '}'); /* where the number ends */
        found = !wanted.failed && holds(line, wanted.data, wanted.len);
        wanted.len--;
    }
    wc_buf_fini(&wanted);
    return found;
}

bool wc_audit_is_about(struct wc_slice line, const char *person, const char *office)
{
    struct wc_buf handle = {0};
    wc_buf_text(&handle, person);
    wc_buf_byte(&handle, '@');
    wc_buf_text(&handle, office);
    bool is =
        !handle.failed && says(line, "about", wc_buf_slice(&handle), office[0] == '\0');
    wc_buf_fini(&handle);
    return is;
}

/* After a colon, for a quote inside a text is escaped. */
bool wc_audit_next_person(struct wc_slice line, size_t *at, struct wc_slice *out)
{
    static const char start[] = {':', '"', '#'};
    for (size_t i = *at; i + sizeof(start) + 2 * PERSON_BYTES <= line.len; i++) {
        if (memcmp(line.data + i, start, sizeof(start)) != 0)
            continue;
        *out = wc_slice(line.data + i + 2, WC_AUDIT_PERSON_CHARS);
        *at = i + 2 + WC_AUDIT_PERSON_CHARS;
        return true;
    }
    *at = line.len;
    return false;
}

void wc_audit_head_text(char out[WC_AUDIT_HEAD_BYTES + 1],
                        const struct wc_audit_head *head)
{
    char number[NUMBER_CAP];
    size_t len = put_number(number, head->n, 20);
    memcpy(out, number, len);
    out[len++] = ' ';
    wc_hex(out + len, head->hash, WC_DIGEST_BYTES);
    out[WC_AUDIT_HEAD_BYTES - 1] = '\n';
    out[WC_AUDIT_HEAD_BYTES] = '\0';
}

int wc_audit_head_parse(struct wc_slice text, struct wc_audit_head *out)
{
    struct wc_slice in = text;
    if (text.len != WC_AUDIT_HEAD_BYTES || !take_number(&in, 20, &out->n) ||
        !take_text(&in, " ") || in.data[HEX_BYTES] != '\n' ||
        wc_unhex(out->hash, WC_DIGEST_BYTES, wc_slice(in.data, HEX_BYTES)) != 0)
        return -WC_ECORRUPT;
    return 0;
}

/* ---------------------------------------------------------------- checking */

static void broken(struct wc_audit_check *c, uint64_t place, const char *what)
{
    if (c->broken == NULL) {
        c->broken = what;
        c->broken_place = place;
    }
}

static const char changed[] = "is not as it was written";

/* Two lines that do not fit each other, or with one number: one of them is not genuine.
 * Whether the line after them fits the second tells which. */
static void resolve(struct wc_audit_check *c, bool successor_fits)
{
    c->suspect = false;
    broken(c, successor_fits ? c->place_before : c->place, changed);
}

static bool hash_is(const struct wc_audit_head *head,
                    const uint8_t hash[WC_DIGEST_BYTES])
{
    return memcmp(head->hash, hash, WC_DIGEST_BYTES) == 0;
}

static void check_follows(struct wc_audit_check *c, const struct wc_audit_start *start,
                          const struct wc_audit_head *head, uint64_t place)
{
    bool fits = hash_is(&c->head, start->prev);
    if (hash_is(&c->head, head->hash))
        broken(c, place, "is there twice");
    else if (c->suspect)
        resolve(c, fits);
    else if (fits && start->n != c->head.n + 1)
        broken(c, place, changed);
    else if (!fits && (start->n == c->head.n || start->n == c->head.n + 1))
        c->suspect = true;
    else if (!fits && start->n > c->head.n)
        broken(c, place, "does not follow the line before it: lines are missing");
    else if (!fits) /* of the first two, the first is where it should not be */
        broken(c, c->lines_count == 2 ? c->place : place, "stands in the wrong place");
}

/* Whole files may be gone, but not the first lines of one. */
static void check_first(struct wc_audit_check *c, const struct wc_audit_start *start,
                        struct wc_slice line, uint64_t place)
{
    static const uint8_t nothing[WC_DIGEST_BYTES];
    if (start->n == 0 ||
        (start->n == 1 && memcmp(start->prev, nothing, sizeof(nothing)) != 0))
        broken(c, place, changed);
    else if (!wc_audit_says(line, "act", wc_slice_text(WC_AUDIT_ACT_FILE)))
        broken(c, place, "is not the first of a file: lines before it are missing");
}

void wc_audit_check_line(struct wc_audit_check *c, struct wc_slice line, uint64_t place)
{
    struct wc_audit_start start;
    struct wc_audit_head head;
    c->lines_count++;
    if (c->broken != NULL)
        return;
    if (wc_audit_parse(line, &start) != 0) {
        if (c->suspect)
            resolve(c, true);
        broken(c, place, "is not a line of an audit log");
        return;
    }
    wc_audit_head_of(&head, start.n, line);
    if (c->lines_count == 1)
        check_first(c, &start, line, place);
    else
        check_follows(c, &start, &head, place);
    c->head = head;
    c->place_before = c->place;
    c->place = place;
    if (c->has_end && start.n == c->end.n && !hash_is(&c->end, c->head.hash)) {
        if (c->suspect)
            resolve(c, false);
        broken(c, place, changed);
    }
}

void wc_audit_check_end(struct wc_audit_check *c)
{
    if (c->suspect)
        resolve(c, true);
    if (c->has_end && c->end.n > c->head.n)
        broken(c, c->place, "is not the last one: lines after it are missing");
}
