/* SPDX-License-Identifier: Apache-2.0
 * Limits of the wire. The codec checks them in both directions; array sizes of the message structs
 * follow from them. Counters, ids and amounts of 64 bits are at most INT64_MAX, because that is
 * what the store holds; only boot ids and sessions use all bits. */
#ifndef SLUICE_PROTO_WIRE_MSG_LIMITS_H
#define SLUICE_PROTO_WIRE_MSG_LIMITS_H

#include <stdint.h>

#define SL_WIRE_VERSION 2
/* The one before is understood too, so that brokers and agents can be upgraded one after another. A
 * broker answers in the version of its agent; an agent whose hello is refused speaks the broker's.
 * Version 2 added the kinds Rotate and RotateKey, inputs as token ids and the status BAD_TOKEN of a
 * line: nobody sends these to a peer of version 1. */
#define SL_WIRE_VERSION_TOKENS 2
#define SL_WIRE_VERSION_OLDEST(newest) ((newest) > 1 ? (newest)-1 : 1)
#define SL_MSG_DEVICES_MAX 128
#define SL_MSG_MODELS_MAX 16
#define SL_MSG_KEY_MAX 96                   /* device key, with NUL */
#define SL_MSG_NAME_MAX 64                  /* node, model id, pool user */
#define SL_MSG_TEXT_MAX 256                 /* reasons for people */
#define SL_MSG_LINES_MAX 64                 /* lines of one work unit */
#define SL_MSG_INPUTS_MAX 2048              /* texts of one line */
#define SL_MSG_INPUT_BYTES_MAX (512 * 1024) /* one text */
#define SL_MSG_TOKENS_MAX 32768             /* ids of one input */
#define SL_MSG_TOKEN_ID_MAX ((1 << 22) - 1) /* no vocabulary has more pieces; 4 bytes a varint */
#define SL_MSG_VECTOR_MAX 4096              /* floats */
#define SL_MSG_SHARES_MAX 256
#define SL_MSG_SHA256_BYTES 32             /* of a model's file */
#define SL_MSG_POOLS_MAX 8                 /* of one agent */
#define SL_MSG_POOL_NAME_MAX 32            /* with NUL */
#define SL_MSG_CURVE_KEY_MAX 41            /* Z85, with NUL */
#define SL_MSG_IDS_MAX 4096                /* ids in a hello, an acknowledgement or a drain */
#define SL_MSG_BYTES_MAX (4 * 1024 * 1024) /* one envelope */
/* Spans and ages in ms: ten years, so that a receiver may turn them into ns in 64 bits. */
#define SL_MSG_SPAN_MS_MAX (INT64_C(3653) * 86400 * 1000)

#endif
