/* SPDX-License-Identifier: Apache-2.0
 * A regular file mapped read-only, or read into memory. Devices and pipes are refused, so that
 * none can hang us; symbolic links only where a file is served for long: folders in the cache of
 * huggingface_hub, which are converted, consist of them.
 *
 * Who shortens a mapped file gets its reader a SIGBUS, who writes into it changes what the reader
 * sees; so what is used for long is read instead. Thread: any, constant after open. */
#ifndef SLUICE_AGENT_MODELS_MAPPING_H
#define SLUICE_AGENT_MODELS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

struct sl_mapping {
    const uint8_t *bytes; /* NULL when closed */
    size_t n;
};

/* Follows links. -SL_NOTFOUND when there is no such file, -SL_IO, -SL_CORRUPT when it is empty. The
 * text does not repeat the path: the caller wraps it. */
int sl_mapping_open(const char *path, struct sl_mapping *ret_mapping, struct sl_error *err);

/* Tells one state of a file from another; all zero: of no file. */
struct sl_file_stamp {
    uint64_t device, inode;
    int64_t size, mtime_ns, ctime_ns;
};
/* As open, but links are refused, the bytes are a private copy, and *ret_stamp says of what.
 * -SL_CORRUPT when the file changes while it is read. */
int sl_mapping_read(const char *path, struct sl_mapping *ret_mapping,
                    struct sl_file_stamp *ret_stamp, struct sl_error *err);
void sl_mapping_close(struct sl_mapping *mapping);

/* Statuses as those of read. */
int sl_file_stamp_read(const char *path, struct sl_file_stamp *ret_stamp, struct sl_error *err);
bool sl_file_stamp_same(const struct sl_file_stamp *a, const struct sl_file_stamp *b);
/* SHA-256 as 64 hex digits, read piece by piece. -SL_CORRUPT as in read. */
int sl_file_sha256(const char *path, char ret_hex[65], struct sl_file_stamp *ret_stamp,
                   struct sl_error *err);

#endif
