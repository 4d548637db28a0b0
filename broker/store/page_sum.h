/* SPDX-License-Identifier: Apache-2.0
 * A checksum in every page of the store's file, by a thin SQLite VFS.
 *
 * SQLite itself finds damage to the structure of a database, but not a flipped bit inside a value:
 * an amount would just be another amount. So each page ends in eight reserved bytes with a sum of
 * the page and of its number (a page written to another's place is found too). They are filled in
 * on the way to the file and checked on the way back; frames of the write-ahead log have sums of
 * SQLite's own and are left alone. SQLite has such a VFS among its extensions (cksumvfs), but no
 * package of Debian's libsqlite3 holds it.
 *
 * The sum takes 64-bit words through steps that are one-to-one both in the word and in the state:
 * whatever changes within one aligned word of eight bytes is found for certain, anything else but
 * for a chance of 2^-64.
 *
 * Thread: any. */
#ifndef SLUICE_BROKER_STORE_PAGE_SUM_H
#define SLUICE_BROKER_STORE_PAGE_SUM_H

#include <stdint.h>

#define SL_PAGE_BYTES 4096
#define SL_PAGE_SUM_BYTES 8
#define SL_PAGE_VFS_NAME_MAX 64

enum sl_page_state {
    SL_PAGE_INVALID = 0,
    SL_PAGE_GOOD,
    SL_PAGE_EMPTY, /* all zeros: never written; legal where the store has no use for it */
    SL_PAGE_BAD,
};

/* page: [SL_PAGE_BYTES]; number: from 1, as SQLite counts. */
void sl_page_seal(uint8_t *page, uint32_t number);
enum sl_page_state sl_page_check(const uint8_t *page, uint32_t number);

/* Numbers in SQLite's files are big-endian. */
static inline uint32_t sl_page_be32(const uint8_t *in) {
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* Registers the VFS over the one named `below` (NULL: the system's default), once, and gives its
 * name. It looks `below` up at each use, so that one that is registered anew is followed.
 *
 * A file whose header reserves the eight bytes is checked; one that is empty when opened will be;
 * any other (a store of schema 1) is passed through. A page that does not fit its sum is
 * SQLITE_IOERR_DATA. 0, or an SQLite code. */
int sl_page_vfs(const char *below, char ret_name[SL_PAGE_VFS_NAME_MAX]);

#endif
