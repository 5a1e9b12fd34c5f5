/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <whocan/error.h>

#include "daemon/address.h"
#include "daemon/config.h"

#define HEAD       "whocan peers 1 "
#define PATH_BYTES (WC_PATH_MAX_BYTES + 32)

/* ---- the text ---- */

/* The next line without its end; false when there is none. */
static bool next_line(struct wc_slice *rest, struct wc_slice *line)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    if (end == NULL)
        return false;
    *line = wc_slice(rest->data, (size_t)(end - rest->data));
    rest->data += line->len + 1;
    rest->len -= line->len + 1;
    return true;
}

/* A decimal number up to a byte that is none; false: none, or beyond 2^53. */
static bool take_number(struct wc_slice *s, uint64_t *out)
{
    size_t digits = 0;
    *out = 0;
    while (digits < s->len && digits < 17 && s->data[digits] >= '0' &&
           s->data[digits] <= '9')
        *out = *out * 10 + (uint64_t)(s->data[digits++] - '0');
    s->data += digits;
    s->len -= digits;
    return digits > 0 && *out <= WC_REV_MAX;
}

static bool take_blank(struct wc_slice *s)
{
    bool blank = s->len > 0 && s->data[0] == ' ';
    s->data += blank;
    s->len -= blank;
    return blank;
}

static bool parse_entry(struct wc_slice line, struct wc_peers *p)
{
    struct wc_address address;
    size_t hex = 2 * (size_t)WC_KEY_BYTES;
    if (p->count == WC_CACHE_MAX_COUNT ||
        !take_number(&line, &p->list[p->count].worked_ms) || !take_blank(&line) ||
        line.len < hex ||
        wc_unhex(p->list[p->count].office_key, WC_KEY_BYTES,
                 wc_slice(line.data, hex)) != 0)
        return false;
    line.data += hex;
    line.len -= hex;
    if (!take_blank(&line) || memchr(line.data, '\0', line.len) != NULL ||
        !wc_slice_copy(line, p->list[p->count].address, WC_ADDRESS_MAX_BYTES + 1) ||
        wc_address_parse(&address, p->list[p->count].address) != 0 || address.port == 0)
        return false;
    p->count++;
    return true;
}

static bool parse_end(struct wc_slice line, struct wc_slice rest, uint32_t count)
{
    uint64_t said;
    line.data += 3;
    line.len -= 3;
    return take_blank(&line) && take_number(&line, &said) && line.len == 0 &&
           said == count && rest.len == 0;
}

static int parse_all(struct wc_slice text, const uint8_t org_id[WC_ORG_ID_BYTES],
                     struct wc_peers *out)
{
    struct wc_slice rest = text, line;
    uint8_t id[WC_ORG_ID_BYTES];
    size_t head = strlen(HEAD);
    if (text.len > WC_PEERS_FILE_MAX_BYTES || !next_line(&rest, &line) ||
        line.len != head + 2 * (size_t)WC_ORG_ID_BYTES ||
        memcmp(line.data, HEAD, head) != 0 ||
        wc_unhex(id, sizeof(id), wc_slice(line.data + head, line.len - head)) != 0)
        return -WC_EPROTOCOL;
    while (next_line(&rest, &line)) {
        if (line.len >= 3 && memcmp(line.data, "end", 3) == 0) {
            if (!parse_end(line, rest, out->count))
                return -WC_EPROTOCOL;
            if (memcmp(id, org_id, sizeof(id)) != 0)
                memset(out, 0,
                       sizeof(*out)); /* of an organisation that this office has left */
            return 0;
        }
        if (!parse_entry(line, out))
            return -WC_EPROTOCOL;
    }
    return -WC_EPROTOCOL; /* cut off */
}

int wc_peers_parse(struct wc_slice text, const uint8_t org_id[WC_ORG_ID_BYTES],
                   struct wc_peers *out)
{
    memset(out, 0, sizeof(*out));
    int rc = parse_all(text, org_id, out);
    if (rc != 0)
        memset(out, 0, sizeof(*out));
    return rc;
}

void wc_peers_text(const struct wc_peers *p, const uint8_t org_id[WC_ORG_ID_BYTES],
                   struct wc_buf *out)
{
    char line[256], hex[2 * WC_KEY_BYTES + 1];
    wc_hex(hex, org_id, WC_ORG_ID_BYTES);
    wc_buf_text(out, HEAD);
    wc_buf_text(out, hex);
    wc_buf_text(out, "\n");
    for (uint32_t i = 0; i < p->count; i++) {
        wc_hex(hex, p->list[i].office_key, WC_KEY_BYTES);
        snprintf(line, sizeof(line), "%" PRIu64 " %s %s\n", p->list[i].worked_ms, hex,
                 p->list[i].address);
        wc_buf_text(out, line);
    }
    snprintf(line, sizeof(line), "end %u\n", (unsigned)p->count);
    wc_buf_text(out, line);
}

/* ---- the list ---- */

bool wc_peers_add(struct wc_peers *p, const uint8_t office_key[WC_KEY_BYTES],
                  const char *address, uint64_t now_ms)
{
    uint32_t i = 0;
    if (strlen(address) > WC_ADDRESS_MAX_BYTES)
        return false;
    while (i < p->count && memcmp(p->list[i].office_key, office_key, WC_KEY_BYTES) != 0)
        i++;
    bool known = i < p->count;
    bool same = known && strcmp(p->list[i].address, address) == 0;
    bool fresh = same && now_ms - p->list[i].worked_ms < WC_DAY_MS;
    if (!known && p->count < WC_CACHE_MAX_COUNT)
        p->count++;
    if (!known)
        i = p->count - 1; /* a new place, or that of the oldest */
    uint64_t worked_ms = fresh ? p->list[i].worked_ms : now_ms;
    memmove(&p->list[1], &p->list[0], i * sizeof(p->list[0]));
    memcpy(p->list[0].office_key, office_key, WC_KEY_BYTES);
    snprintf(p->list[0].address, sizeof(p->list[0].address), "%s", address);
    p->list[0].worked_ms = worked_ms;
    return !fresh;
}

/* ---- the file ---- */

int wc_peers_load(const char *state, const uint8_t org_id[WC_ORG_ID_BYTES],
                  struct wc_peers *out)
{
    char path[PATH_BYTES];
    memset(out, 0, sizeof(*out));
    snprintf(path, sizeof(path), "%s/%s", state, WC_PEERS_FILE);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? -WC_ENOTFOUND : -WC_EIO;
    uint8_t *text = malloc(WC_PEERS_FILE_MAX_BYTES + 1);
    size_t len = 0;
    ssize_t got = 1;
    while (text != NULL && len <= WC_PEERS_FILE_MAX_BYTES && got > 0) {
        got = read(fd, text + len, WC_PEERS_FILE_MAX_BYTES + 1 - len);
        if (got > 0)
            len += (size_t)got;
    }
    close(fd);
    int rc = text == NULL ? -WC_ENOMEM : got < 0 ? -WC_EIO : 0;
    if (rc == 0)
        rc = wc_peers_parse(wc_slice(text, len), org_id, out);
    free(text);
    return rc;
}

static int write_all(int fd, struct wc_slice text)
{
    for (size_t done = 0; done < text.len;) {
        ssize_t wrote = write(fd, text.data + done, text.len - done);
        if (wrote < 0 && errno != EINTR)
            return errno == ENOSPC || errno == EDQUOT ? -WC_EFULL : -WC_EIO;
        if (wrote > 0)
            done += (size_t)wrote;
    }
    return fsync(fd) == 0 ? 0 : -WC_EIO;
}

static int sync_directory(const char *state)
{
    int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -WC_EIO;
    int rc = fsync(fd) == 0 ? 0 : -WC_EIO;
    close(fd);
    return rc;
}

int wc_peers_save(const char *state, struct wc_slice text)
{
    char path[PATH_BYTES], fresh[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", state, WC_PEERS_FILE);
    snprintf(fresh, sizeof(fresh), "%s/%s.new", state, WC_PEERS_FILE);
    unlink(fresh); /* of a crash */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? -WC_EFULL : -WC_EIO;
    int rc = write_all(fd, text);
    if (close(fd) != 0 && rc == 0)
        rc = -WC_EIO;
    if (rc == 0 && rename(fresh, path) != 0)
        rc = -WC_EIO;
    if (rc != 0)
        unlink(fresh);
    return rc == 0 ? sync_directory(state) : rc;
}
