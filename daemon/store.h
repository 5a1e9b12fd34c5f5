/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A durable, ordered key-value store: one LMDB environment in one directory. This and
 * store.c are the only files that know LMDB; docs/store.md says which of its rules are
 * kept here and why.
 *
 * All work happens inside a function that is handed a transaction, so that nobody can
 * leave one open: reads are short by construction, a write is committed or has never
 * happened, and the map can grow while no transaction of ours is open.
 *
 * Threads: any number of readers, one writer at a time (others wait). A thread must not
 * write, nor read again, inside wc_store_read() of the same store: growth waits for all
 * readers.
 */
#ifndef WHOCAN_DAEMON_STORE_H
#define WHOCAN_DAEMON_STORE_H

#include <whocan/bytes.h>
#include <whocan/error.h>
#include <whocan/limits.h>

struct wc_store;
struct wc_txn;

/* Keys are 1..WC_STORE_KEY_MAX_BYTES long: LMDB's compiled-in limit. */
#define WC_STORE_KEY_MAX_BYTES 511
/* A value up to this size, of a key of 8 bytes, shares a page with others, sealed or not;
 * a longer one takes whole pages. */
#define WC_STORE_VALUE_SMALL_BYTES 2018

struct wc_store_options {
    const char *format;        /* what the file is, kept inside: "whocan records" */
    uint32_t version;          /* of the format */
    const char *const *tables; /* names; table i is number i; NULL ends */
    uint64_t map_bytes;        /* the first size of the map; grows as needed */
    bool rebuildable;          /* no flush at commit: a power cut may damage it */
    bool sealed;               /* values are sealed (sum.h), and the file is looked at
                                  before it is opened (store_pages.h) */
};

/*
 * Open the store in directory `path`, or create it atomically (options are copied; the
 * texts that they point to outlive the store): it is made under another
 * name, flushed, and renamed. *created (may be NULL) says which. The parent must exist
 * and be locked by the caller against other processes. problem gets one line on
 * failure: -WC_EVERSION not ours or of another version, -WC_ECORRUPT, -WC_EFULL,
 * -WC_EIO, -WC_EDENIED, -WC_ENOMEM.
 */
int wc_store_open(struct wc_store **out, const char *path,
                  const struct wc_store_options *options, bool *created,
                  char problem[WC_PROBLEM_BYTES]);
void wc_store_close(struct wc_store *s); /* NULL is fine; no transaction may be open */

/* Look at the file of a store that is not open (store_pages.h). 0; -WC_ENOTFOUND: there is
 * none; -WC_ECORRUPT, -WC_EVERSION, -WC_EIO, -WC_EDENIED; one line in problem. */
int wc_store_check_file(const char *path, const struct wc_store_options *options,
                        char problem[WC_PROBLEM_BYTES]);

/* Delete a store that is not open, and what an interrupted creation left. Touches only
 * the files that a store has. 0 (also when there is none), -WC_EIO, -WC_EDENIED. */
int wc_store_remove(const char *path);

/*
 * Run fn in a transaction. fn returns 0 or an error; whatever it returns is passed on.
 * A write is committed when fn returns 0 and is flushed to disk on return (unless the
 * store is rebuildable); otherwise nothing has changed.
 *
 * A write whose map is full is started again after growth: fn may run several times and
 * must begin afresh each time. Beside what fn returns: -WC_EFULL no space on the disk
 * (everything is as before; may be tried again), -WC_EIO the disk failed (every later
 * write fails too: the process must exit), -WC_ENOMEM, -WC_ECORRUPT, -WC_EBUSY too many
 * readers.
 */
typedef int (*wc_store_fn)(struct wc_txn *t, void *ctx);
int wc_store_read(struct wc_store *s, wc_store_fn fn, void *ctx);
int wc_store_write(struct wc_store *s, wc_store_fn fn, void *ctx);

/* ---- inside a transaction ----
 * Values are borrowed from the store until the transaction ends or, in a write, until
 * the next change. They are not aligned. */

/* -WC_ENOTFOUND. Of a sealed store: -WC_ECORRUPT for a value that is not as it was
 * written. */
int wc_txn_get(struct wc_txn *t, uint32_t table, struct wc_slice key,
               struct wc_slice *value);
/* Set, replacing. -WC_ETOOBIG for a key that is empty or too long. Neither key nor value
 * may lie in the store. */
int wc_txn_put(struct wc_txn *t, uint32_t table, struct wc_slice key,
               struct wc_slice value);
/* As put, cheaper, for a key after all others of the table; -WC_EINVALID when it is
 * not. */
int wc_txn_append(struct wc_txn *t, uint32_t table, struct wc_slice key,
                  struct wc_slice value);
/* -WC_ENOTFOUND. */
int wc_txn_del(struct wc_txn *t, uint32_t table, struct wc_slice key);
/* Delete every entry of a table. */
int wc_txn_clear(struct wc_txn *t, uint32_t table);
/* How many entries a table has. */
int wc_txn_count(struct wc_txn *t, uint32_t table, uint64_t *out);

/* How many bytes the pages of a table take. */
int wc_txn_bytes(struct wc_txn *t, uint32_t table, uint64_t *out);

/* A walk over a table in the order of its keys. Close it before the transaction ends.
 */
struct wc_cursor {
    void *handle;
    struct wc_slice key, value; /* where it stands */
    uint32_t table;
    bool sealed;
};
int wc_cursor_open(struct wc_cursor *c, struct wc_txn *t, uint32_t table);
void wc_cursor_close(struct wc_cursor *c); /* twice is fine */
/* Each moves and fills key and value, or returns -WC_ENOTFOUND. Seals are not looked at
 * here: a search reads a hundred pieces of postings in the time that it would take. seek goes to the first
 * key that is not before the given one. */
int wc_cursor_seek(struct wc_cursor *c, struct wc_slice key);
int wc_cursor_first(struct wc_cursor *c);
int wc_cursor_last(struct wc_cursor *c);
int wc_cursor_next(struct wc_cursor *c);
/* Whether the value where it stands is as it was sealed. -WC_ECORRUPT. */
int wc_cursor_check(const struct wc_cursor *c);

/* ---- keeping house ---- */

struct wc_store_usage {
    uint64_t used_bytes; /* pages in use; free pages inside the file do not count */
    uint64_t file_bytes; /* pages ever used: what the file occupies */
    uint64_t map_bytes;  /* what it may grow to before the map grows */
};
void wc_store_usage(struct wc_store *s, struct wc_store_usage *out);

/* The longest transactions since this was asked last, in microseconds: of a read, and of a
 * write with its commit, which is how long another writer had to wait. */
struct wc_store_longest {
    uint64_t read_us, write_us;
};
void wc_store_longest(struct wc_store *s, struct wc_store_longest *out);

/* Forget readers of processes that died: they would keep every page that they might
 * still read. Call at start and each minute. Returns how many there were. */
int wc_store_tidy(struct wc_store *s);

/*
 * Write the store anew, without what was deleted from it: LMDB leaves that in free pages
 * until they are used again. A copy is made beside the old file, flushed, and takes its
 * name, so that a crash at any moment leaves the one or the other, whole. Writers wait
 * until it is done, readers for the moment of the change. Takes as long as reading and
 * writing everything does.
 *
 * 0. -WC_EFULL: there is no space for the copy; -WC_ECORRUPT: it could not be read or
 * written; -WC_ENOMEM, -WC_EDENIED: everything is as before. -WC_EIO: as for a write, the
 * process must exit.
 */
int wc_store_compact(struct wc_store *s);

/*
 * Empty the store without reading anything of it, for it may be damaged: another file
 * takes the place of the old one. Writers and readers wait as for wc_store_compact().
 * 0. -WC_EFULL, -WC_EDENIED, -WC_ENOMEM: everything is as before. -WC_EIO: the store
 * cannot be used any more.
 */
int wc_store_renew(struct wc_store *s);

/* Flush a rebuildable store to disk. May take as long as the disk does. */
int wc_store_sync(struct wc_store *s);

#endif
