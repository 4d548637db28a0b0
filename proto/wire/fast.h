/* SPDX-License-Identifier: Apache-2.0
 * Inside of the codec: a report, which is nearly all that a broker reads, without protobuf-c.
 *
 * Reads what our encoder writes (fields in rising order, texts in plain ASCII, figures in range) in
 * one bounds-checked pass. Whatever is not that, wrong or merely unusual, is left to the general
 * way (decode.c), which knows all rules and says what is wrong: a refusal here costs time, never a
 * message. What is accepted here equals what the general way gives; the codec's tests and the fuzz
 * target `wire` compare the two. A field that is new in sluice.proto works at once, the slow way;
 * read it here too, or every report takes that way. Format: protobuf.dev, "Encoding" (tags,
 * varints, length-delimited fields). */
#ifndef SLUICE_PROTO_WIRE_FAST_H
#define SLUICE_PROTO_WIRE_FAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/codec.h"
#include "proto/wire/msg.h"

/* An envelope with a report. False: take the general way, after resetting the arena. */
bool sl_msg_fast_report(const uint8_t *data, size_t size, struct sl_msg_arena *arena,
                        struct sl_msg *ret_msg);
/* One Device; *ret_device must be zeroed, and holds nothing of use when false is returned. */
bool sl_msg_fast_device(const uint8_t *data, size_t size, struct sl_msg_device *ret_device);

/* decode.c: sl_msg_decode without the short cut; for tests. */
int sl_msg_decode_general(const uint8_t *data, size_t size, struct sl_msg_arena *arena,
                          struct sl_msg *ret_msg, struct sl_error *err);

#endif
