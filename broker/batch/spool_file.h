/* SPDX-License-Identifier: Apache-2.0
 * The spool's file, known to its writer (spool_writer.c) and reader (spool.c) only.
 *
 * header | records | index. Host byte order: the file never leaves its machine and can be rebuilt
 * from the input file. Every part carries a CRC-32 (ISO 3309 polynomial, as in zip and PNG). */
#ifndef SLUICE_BROKER_BATCH_SPOOL_FILE_H
#define SLUICE_BROKER_BATCH_SPOOL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/batch/line.h"

#define SL_SPOOL_MAGIC "SLSPOOL1"
#define SL_SPOOL_MAGIC_TOKENS                                                                      \
    "SLSPOOL2" /* has lines with token ids: a broker before them rebuilds */
#define SL_SPOOL_ORDER UINT32_C(0x01020304)

struct sl_spool_header {
    char magic[8];
    uint32_t order;
    uint32_t count;
    uint64_t index_offset; /* the index is the rest of the file */
    char model[SL_MSG_NAME_MAX];
    uint32_t index_crc;
    uint32_t header_crc; /* over everything before it */
};
_Static_assert(sizeof(struct sl_spool_header) == 96, "the header has no padding");

struct sl_spool_entry {
    uint64_t offset;
    uint32_t bytes;
    uint32_t crc;
    uint32_t worst_tokens;
    uint32_t zero;
};
_Static_assert(sizeof(struct sl_spool_entry) == 24, "an index entry has no padding");

/* A record: this, custom_id, refusal, input_count lengths (u32), the inputs: texts, or ids (u32),
 * which begin at a multiple of 4 in the file. Lengths are in bytes. */
struct sl_spool_record {
    uint32_t flags;
    uint32_t custom_id_bytes;
    uint32_t refusal_bytes;
    uint32_t input_count;
};
#define SL_SPOOL_BASE64 1u
#define SL_SPOOL_SINGLE 2u
#define SL_SPOOL_TOKENS 4u

/* crc: 0 to start, else the value so far. */
uint32_t sl_spool_crc(uint32_t crc, const void *data, size_t n);

/* ---- writer: one worker thread ---- */
struct sl_spool_writer;
int sl_spool_writer_create(const char *data_dir, const char *batch_id,
                           struct sl_spool_writer **ret_writer, struct sl_error *err);
/* Removes the unfinished file. */
void sl_spool_writer_destroy(struct sl_spool_writer *writer);
SL_DEFINE_AUTO(sl_spool_writer, sl_spool_writer_destroy)
int sl_spool_writer_add(struct sl_spool_writer *writer, const struct sl_batch_line *line,
                        struct sl_error *err);
/* Makes the spool durable under its final name. */
int sl_spool_writer_finish(struct sl_spool_writer *writer, const char *model, struct sl_error *err);

/* ---- reader's extras for validate.c ---- */
const char *sl_spool_model(const struct sl_spool *spool);
/* Worst tokens of all lines, malloc'ed [count], and whether a line has token ids, after every
 * record was checked. */
int sl_spool_verify(struct sl_spool *spool, uint32_t **ret_worst_tokens, bool *ret_tokens,
                    struct sl_error *err);

#endif
