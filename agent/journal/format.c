/* SPDX-License-Identifier: Apache-2.0
 * Bytes of the journal's file; the layout is in journal_internal.h. */
#include "agent/journal/journal_internal.h"

#include <string.h>

#include "agent/journal/crc32c.h"

static const uint8_t file_magic[8] = {'S', 'L', 'J', 'R', 'N', 'L', 0, 1};

static void put_le(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_le(const uint8_t *in, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

void journal_file_head(uint8_t head[JOURNAL_UNIT]) {
    memset(head, 0, JOURNAL_UNIT);
    memcpy(head, file_magic, sizeof file_magic);
    put_le(head + 8, sl_crc32c(0, head, 8), 4);
}

bool journal_file_head_ok(const uint8_t head[JOURNAL_UNIT]) {
    uint8_t want[JOURNAL_UNIT];
    journal_file_head(want);
    return memcmp(head, want, JOURNAL_UNIT) == 0;
}

int journal_file_version(const uint8_t head[JOURNAL_UNIT]) {
    bool ours = memcmp(head, file_magic, sizeof file_magic - 1) == 0 &&
                get_le(head + 8, 4) == sl_crc32c(0, head, 8);
    return ours ? head[7] : 0;
}

bool journal_batch_decode(const uint8_t head[JOURNAL_UNIT], struct journal_batch *ret_batch) {
    if (get_le(head, 4) != JOURNAL_BATCH_MAGIC || get_le(head + 60, 4) != sl_crc32c(0, head, 60)) {
        return false;
    }
    struct journal_batch batch = {
        .payload_bytes = (uint32_t)get_le(head + 4, 4),
        .number = get_le(head + 8, 8),
        .record_count = (uint32_t)get_le(head + 16, 4),
        .payload_crc = (uint32_t)get_le(head + 20, 4),
    };
    if (batch.payload_bytes > JOURNAL_BATCH_MAX || batch.payload_bytes % JOURNAL_UNIT != 0) {
        return false;
    }
    *ret_batch = batch;
    return true;
}

void journal_batch_seal(struct sl_buf *batch, uint64_t number, uint32_t record_count) {
    static const uint8_t zeros[JOURNAL_UNIT];
    sl_buf_append(batch, zeros, (JOURNAL_UNIT - batch->len % JOURNAL_UNIT) % JOURNAL_UNIT);
    if (batch->failed) {
        return;
    }
    uint8_t *head = (uint8_t *)batch->data;
    size_t payload = batch->len - JOURNAL_UNIT;
    memset(head, 0, JOURNAL_UNIT);
    put_le(head, JOURNAL_BATCH_MAGIC, 4);
    put_le(head + 4, payload, 4);
    put_le(head + 8, number, 8);
    put_le(head + 16, record_count, 4);
    put_le(head + 20, sl_crc32c(0, head + JOURNAL_UNIT, payload), 4);
    put_le(head + 60, sl_crc32c(0, head, 60), 4);
}

void journal_record_append(struct sl_buf *batch, const struct journal_record *record) {
    uint8_t head[JOURNAL_RECORD_HEAD];
    head[0] = (uint8_t)record->op;
    head[1] = (uint8_t)record->space;
    put_le(head + 2, record->key_size, 2);
    put_le(head + 4, record->value_size, 4);
    sl_buf_append(batch, head, sizeof head);
    sl_buf_append(batch, record->key, record->key_size);
    sl_buf_append(batch, record->value, record->value_size);
}

bool journal_record_next(const uint8_t *payload, size_t size, size_t *offset,
                         struct journal_record *ret_record) {
    if (size - *offset < JOURNAL_RECORD_HEAD) {
        return false;
    }
    const uint8_t *head = payload + *offset;
    struct journal_record record = {
        .op = (enum journal_op)head[0],
        .space = (enum sl_journal_space)head[1],
        .key_size = get_le(head + 2, 2),
        .value_size = get_le(head + 4, 4),
    };
    size_t room = size - *offset - JOURNAL_RECORD_HEAD;
    if ((record.op != JOURNAL_PUT && record.op != JOURNAL_DELETE) ||
        record.space == SL_JOURNAL_INVALID || head[1] >= SL_JOURNAL_SPACE_COUNT ||
        record.key_size > SL_JOURNAL_KEY_MAX || record.key_size > room ||
        record.value_size > room - record.key_size) {
        return false;
    }
    record.key = head + JOURNAL_RECORD_HEAD;
    record.value = record.key + record.key_size;
    *offset += JOURNAL_RECORD_HEAD + record.key_size + record.value_size;
    *ret_record = record;
    return true;
}
