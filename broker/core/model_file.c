/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/model_file.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/wire/sha256.h"

/* Fits a text for people (SL_WHY_MAX) with a batch's id. */
#define LOST_ADVICE                                                                                \
    "waits: every agent has another file of its model than the one it began with. Put that back "  \
    "and restart an agent, or cancel it and submit its open lines anew"
#define HEX (2 * SL_MSG_SHA256_BYTES)

static void to_hex(const uint8_t sha256[SL_MSG_SHA256_BYTES], char out[HEX + 1]) {
    sodium_bin2hex(out, HEX + 1, sha256, SL_MSG_SHA256_BYTES);
}

const char *sl_core_file_take(struct sl_broker_core *core, const char *model,
                              const uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    char hex[HEX + 1];
    char text[HEX + 1 + SL_MSG_NAME_MAX];
    if (!sl_msg_sha256_said(sha256)) {
        return NULL;
    }
    to_hex(sha256, hex);
    snprintf(text, sizeof text, "%s %s", hex, model);
    return sl_core_name_take(core, text);
}

bool sl_core_file_is(const char *file, const uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    if (!file) {
        return !sl_msg_sha256_said(sha256);
    }
    for (uint32_t i = 0; i < SL_MSG_SHA256_BYTES; i++) { /* of each report: no hex is made */
        if (file[2 * i] != digits[sha256[i] >> 4] || file[2 * i + 1] != digits[sha256[i] & 15]) {
            return false;
        }
    }
    return true;
}

void sl_core_file_get(const char *file, uint8_t ret_sha256[SL_MSG_SHA256_BYTES]) {
    memset(ret_sha256, 0, SL_MSG_SHA256_BYTES);
    if (file) {
        sodium_hex2bin(ret_sha256, SL_MSG_SHA256_BYTES, file, HEX, NULL, NULL, NULL);
    }
}

bool sl_core_file_fits(const struct sl_broker_core *core, uint32_t dev,
                       const struct sl_core_batch *batch) {
    if (batch->row.model_sha256[0] == '\0') {
        return true;
    }
    const struct sl_core_model *model =
        sl_core_model_of(&core->fleet.cold[dev].report, batch->row.model);
    return !model || !model->file || memcmp(model->file, batch->row.model_sha256, HEX) == 0;
}

bool sl_core_file_refuses(struct sl_broker_core *core, uint32_t dev, struct sl_core_batch *batch,
                          const uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    char hex[HEX + 1];
    if (batch->row.model_sha256[0] == '\0' || !sl_msg_sha256_said(sha256)) {
        return false;
    }
    to_hex(sha256, hex);
    if (strcmp(hex, batch->row.model_sha256) == 0) {
        return false;
    }
    if (!batch->mixed) { /* once is enough: every line may be one */
        batch->mixed = true;
        sl_core_log(core, SL_LOG_WARN, "result.other_file",
                    "device=%s batch=%s model=%s sha256=%s: the batch began with the file %s, so "
                    "this result is not taken and not billed",
                    dev == SL_CORE_NONE ? "?" : core->fleet.cold[dev].key, batch->row.id,
                    batch->row.model, hex, batch->row.model_sha256);
    }
    return true;
}

bool sl_core_file_pin(struct sl_core_batch *batch, const uint8_t sha256[SL_MSG_SHA256_BYTES]) {
    if (batch->row.model_sha256[0] != '\0' || !sl_msg_sha256_said(sha256)) {
        return false;
    }
    to_hex(sha256, batch->row.model_sha256);
    return true;
}

void sl_core_file_call_back(struct sl_broker_core *core, struct sl_core_batch *batch) {
    for (uint32_t i = batch->unit_count; i > 0; i--) {
        struct sl_core_unit *unit = batch->units[i - 1];
        if (!unit->closed && unit->device != SL_CORE_NONE &&
            !sl_core_file_fits(core, unit->device, batch)) {
            sl_core_unit_call_back(core, unit);
        }
    }
}

void sl_core_file_look(struct sl_broker_core *core, struct sl_core_batch *batch,
                       const struct sl_core_best *best) {
    char text[HEX + 1 + SL_MSG_NAME_MAX];
    bool lost = false;
    if (batch->row.model_sha256[0] != '\0' && best && best->offering > 0 && !best->silent) {
        snprintf(text, sizeof text, "%s %s", batch->row.model_sha256, batch->row.model);
        lost = !sl_core_name_find(core, text);
    }
    if (lost && !batch->file_lost) {
        sl_core_log(core, SL_LOG_WARN, "batch.file_lost",
                    "batch=%s model=%s sha256=%s " LOST_ADVICE, batch->row.id, batch->row.model,
                    batch->row.model_sha256);
        sl_core_event_note(core, SL_SEVERITY_WARN, "batch.file_lost", SL_CORE_NONE, SL_CORE_NONE,
                           "%s " LOST_ADVICE, batch->row.id);
    } else if (!lost && batch->file_lost) {
        sl_core_event_note(core, SL_SEVERITY_INFO, "batch.file_back", SL_CORE_NONE, SL_CORE_NONE,
                           "%s goes on", batch->row.id);
        sl_core_log(core, SL_LOG_INFO, "batch.file_back", "batch=%s goes on", batch->row.id);
    }
    batch->file_lost = lost;
}
