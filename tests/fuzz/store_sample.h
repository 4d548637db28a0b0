/* SPDX-License-Identifier: Apache-2.0
 * A small sound store with rows of every kind, as bytes: the file, and a log of one more commit. */
#ifndef SLUICE_TESTS_FUZZ_STORE_SAMPLE_H
#define SLUICE_TESTS_FUZZ_STORE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

struct sl_core_config;

struct store_sample {
    uint8_t *file;
    size_t file_bytes;
    uint8_t *log;
    size_t log_bytes;
};

/* Writes it at `path` by the real store, and keeps its bytes. Always the same bytes but for what
 * SQLite salts its log with. */
void store_sample_make(const char *path);
const struct store_sample *store_sample_get(void);
/* Makes the sums of all frames fit what they hold. */
void store_sample_fix_log(uint8_t *log, size_t size);
/* The site that it is of. */
void store_sample_core(struct sl_core_config *config);

#endif
