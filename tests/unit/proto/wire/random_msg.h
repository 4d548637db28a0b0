/* SPDX-License-Identifier: Apache-2.0
 * Random messages that keep all rules, and equality of messages. For the tests of the codec; the
 * same seed gives the same message everywhere. */
#ifndef SLUICE_TESTS_RANDOM_MSG_H
#define SLUICE_TESTS_RANDOM_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/msg.h"

struct random_msg;

struct random_msg *random_msg_create(uint64_t seed);
void random_msg_destroy(struct random_msg *r);
/* Valid until the next call. big: counts up to their limits instead of a few. */
const struct sl_msg *random_msg_next(struct random_msg *r, enum sl_msg_kind kind, bool big);
uint64_t random_msg_u64(struct random_msg *r);
/* 0 .. below - 1 */
uint32_t random_msg_below(struct random_msg *r, uint32_t below);

/* True when both say the same. */
bool msg_equal(const struct sl_msg *a, const struct sl_msg *b);

#endif
