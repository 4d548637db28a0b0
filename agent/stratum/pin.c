/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/pin.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mutant.h"

#define PREFIX "sha256//"

static int parse_one(const char *text, size_t size, struct sl_pool_pins *pins,
                     struct sl_error *err) {
    size_t got = 0;
    if (pins->count == SL_POOL_PINS_MAX) {
        return sl_fail(err, SL_INVALID, "more than %d pins", SL_POOL_PINS_MAX);
    }
    size_t head = sizeof PREFIX - 1;
    if (size <= head || strncmp(text, PREFIX, head) != 0 ||
        sodium_base642bin(pins->keys[pins->count], SL_POOL_PIN_BYTES, text + head, size - head,
                          NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != SL_POOL_PIN_BYTES) {
        return sl_fail(err, SL_INVALID,
                       "'%.*s' is no pin: expected sha256//BASE64, as `sluice-agent pool-pin URL` "
                       "prints it; several have spaces between them",
                       size > 60 ? 60 : (int)size, text);
    }
    pins->count++;
    return SL_OK;
}

int sl_pool_pins_parse(const char *text, struct sl_pool_pins *ret_pins, struct sl_error *err) {
    struct sl_pool_pins pins = {0};
    for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
        size_t size = strcspn(p, " ");
        int rc = parse_one(p, size, &pins, err);
        if (rc < 0) {
            return rc;
        }
        p += size;
    }
    *ret_pins = pins;
    return SL_OK;
}

void sl_pool_pin_write(const uint8_t key[SL_POOL_PIN_BYTES],
                       char ret_text[SL_POOL_PIN_TEXT_MAX + 1]) {
    memcpy(ret_text, PREFIX, sizeof PREFIX);
    sodium_bin2base64(ret_text + sizeof PREFIX - 1, SL_POOL_PIN_TEXT_MAX + 2 - sizeof PREFIX, key,
                      SL_POOL_PIN_BYTES, sodium_base64_VARIANT_ORIGINAL);
}

bool sl_pool_pins_hold(const struct sl_pool_pins *pins, const uint8_t key[SL_POOL_PIN_BYTES]) {
    for (uint32_t i = 0; i < pins->count; i++) {
        if (SL_MUTANT(pool_pin_ignored) || memcmp(pins->keys[i], key, SL_POOL_PIN_BYTES) == 0) {
            return true;
        }
    }
    return false;
}
