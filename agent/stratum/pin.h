/* SPDX-License-Identifier: Apache-2.0
 * Pinned keys of a pool: SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4), written as
 * curl writes it, "sha256//BASE64". Several may be given, so that a key can be changed without a
 * gap. Pure. Thread: any. */
#ifndef SLUICE_AGENT_STRATUM_PIN_H
#define SLUICE_AGENT_STRATUM_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"

#define SL_POOL_PINS_MAX 8
#define SL_POOL_PIN_BYTES 32
#define SL_POOL_PIN_TEXT_MAX 52 /* "sha256//" and 44 digits */

struct sl_pool_pins {
    uint32_t count;
    uint8_t keys[SL_POOL_PINS_MAX][SL_POOL_PIN_BYTES];
};

/* Any number of pins with spaces between them, up to the maximum. */
int sl_pool_pins_parse(const char *text, struct sl_pool_pins *ret_pins, struct sl_error *err);
void sl_pool_pin_write(const uint8_t key[SL_POOL_PIN_BYTES],
                       char ret_text[SL_POOL_PIN_TEXT_MAX + 1]);
/* Whether the key is one of them. Without pins no key is. */
bool sl_pool_pins_hold(const struct sl_pool_pins *pins, const uint8_t key[SL_POOL_PIN_BYTES]);

#endif
