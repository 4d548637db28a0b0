/* SPDX-License-Identifier: Apache-2.0
 * The one-time token by which a node joins a site: where the broker is, the key by which it is
 * known, the node's name, and a secret that is good once. As text it is one word, "slj1-" and
 * base64url, with a checksum: a token that was cut or mistyped is refused before anything is sent.
 * White space inside, as a terminal's line breaks leave it, is passed over.
 *
 * Whoever holds the text can join in its name until it is used or expires: it does not belong in a
 * log or a process list. Plain struct; wipe it after use. Thread: any. */
#ifndef SLUICE_PROTO_LINK_TOKEN_H
#define SLUICE_PROTO_LINK_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/error.h"
#include "proto/link/link.h"

#define SL_TOKEN_PREFIX "slj1-"
#define SL_TOKEN_SECRET_BYTES 32
#define SL_TOKEN_NAME_MAX 32      /* a node's name, with NUL */
#define SL_TOKEN_ENDPOINT_MAX 128 /* with NUL */
#define SL_TOKEN_TEXT_MAX 640     /* with NUL */

struct sl_token {
    char name[SL_TOKEN_NAME_MAX];
    char join_endpoint[SL_TOKEN_ENDPOINT_MAX];   /* presented there */
    char agents_endpoint[SL_TOKEN_ENDPOINT_MAX]; /* and then used every day */
    char server_key[SL_LINK_KEY_MAX];
    uint8_t secret[SL_TOKEN_SECRET_BYTES];
};

/* -SL_INVALID: a member is empty or malformed. */
int sl_token_format(const struct sl_token *token, char ret_text[SL_TOKEN_TEXT_MAX],
                    struct sl_error *err);
/* The error never repeats the text. */
int sl_token_parse(const char *text, struct sl_token *ret_token, struct sl_error *err);

/* A node's name: 1 to 31 letters, digits, '.', '_', '-'. */
int sl_token_check_name(const char *name, struct sl_error *err);

#endif
