/* SPDX-License-Identifier: Apache-2.0
 * struct sl_msg <-> bytes. The only user of the generated protobuf-c code.
 *
 * Decoding: the size is bounded first, the unpacker runs on a bounded arena that returns zeroed
 * memory (protobuf-c 1.4.1 frees an uninitialised pointer otherwise), then every count, range, enum
 * and text (UTF-8, no NUL in names) is checked. Unknown message kinds are refused with
 * -SL_UNSUPPORTED, versions other than ours and the one before are -SL_STALE, damaged bytes
 * -SL_CORRUPT. Fields that are not known are skipped.
 *
 * Encoding and decoding are exact inverses, with one exception: texts for people (name, driver and
 * health of a device, state of the pool, reasons, text of an ack) come from drivers and are cut to
 * length, so the encoder writes '?' for each byte in them that is no clean UTF-8 or a control
 * character, rather than refuse a whole report. Slot 0 of arrays by mode is not sent, nor are the
 * watts of an unknown source. Thread: an arena belongs to one thread at a time. */
#ifndef SLUICE_PROTO_WIRE_CODEC_H
#define SLUICE_PROTO_WIRE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cleanup.h"
#include "proto/base/error.h"
#include "proto/base/text.h"
#include "proto/wire/msg.h"

/* Room for the largest message that keeps the limits; pages never touched cost nothing. */
#define SL_MSG_ARENA_BYTES ((size_t)64 * 1024 * 1024)

struct sl_msg_arena;
/* budget_bytes bounds what one decoded message may take in memory (repeated fields amplify). */
int sl_msg_arena_create(size_t budget_bytes, struct sl_msg_arena **ret_arena, struct sl_error *err);
void sl_msg_arena_destroy(struct sl_msg_arena *arena);
SL_DEFINE_AUTO(sl_msg_arena, sl_msg_arena_destroy)

/* Appends the encoded envelope to *out. msg->version is SL_WIRE_VERSION or the one before.
 * -SL_LIMIT or -SL_INVALID when the message breaks a limit: then nothing is appended. */
int sl_msg_encode(const struct sl_msg *msg, struct sl_buf *out, struct sl_error *err);

/* Decodes; *ret_msg points into the arena, which is reset first (and wiped: prompts do not linger).
 */
int sl_msg_decode(const uint8_t *data, size_t size, struct sl_msg_arena *arena,
                  struct sl_msg *ret_msg, struct sl_error *err);

/* One device alone, as it stands in a report: for keeping it in little memory. Packing fails like
 * encoding; bytes that were packed, or were a report's device_bytes, unpack. */
int sl_msg_device_pack(const struct sl_msg_device *device, struct sl_buf *out,
                       struct sl_error *err);
int sl_msg_device_unpack(const uint8_t *data, size_t size, struct sl_msg_device *ret_device,
                         struct sl_error *err);

/* SL_OK, or -SL_STALE with a text that says which end to update. newest: SL_WIRE_VERSION. */
int sl_msg_check_version(uint32_t theirs, uint32_t newest, struct sl_error *err);

const char *sl_msg_kind_name(enum sl_msg_kind kind);

/* Whether the bytes are a report's, by their first fields alone: a newer report says all that an
 * older one did, so of those that wait only the last need be decoded. */
bool sl_msg_bytes_report(const uint8_t *data, size_t size);

/* bundle.c: several envelopes in one message of the link, which costs both ends less than as many
 * messages. Only for a peer whose Hello says `bundles`; the parts must stay below 4 MiB together.
 * add: behind those that *bundle holds. */
void sl_msg_bundle_add(struct sl_buf *bundle, const void *envelope, size_t size);
/* Steps through the envelopes of a message that came, bundle or not; *at is 0 at first. False: no
 * more. What is damaged is given whole to the decoder, which refuses it. */
bool sl_msg_bundle_next(const uint8_t *data, size_t size, size_t *at, const uint8_t **ret_part,
                        size_t *ret_size);
/* Whether it is one: then its parts may be many. */
bool sl_msg_bundle_is(const uint8_t *data, size_t size);

#endif
