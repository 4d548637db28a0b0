/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a token: name, join endpoint and agents endpoint, each with its length before it in one
 * byte; the server's key (32) and the secret (32); the first bytes of the BLAKE2b of all that. */
#include "proto/link/token.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "proto/base/text.h"
#include "proto/link/zmq_options.h"

#define SUM_BYTES 6
#define KEY_BYTES 32
#define BYTES_MAX (3 + 31 + 127 + 127 + KEY_BYTES + SL_TOKEN_SECRET_BYTES + SUM_BYTES)
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

int sl_token_check_name(const char *name, struct sl_error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t n = strnlen(name, SL_TOKEN_NAME_MAX);
    if (n == 0 || n == SL_TOKEN_NAME_MAX || strspn(name, allowed) != n) {
        return sl_fail(err, SL_INVALID,
                       "a node's name has 1 to %d letters, digits, '.', '_' or '-'",
                       SL_TOKEN_NAME_MAX - 1);
    }
    return SL_OK;
}

static void sum_of(const uint8_t *bytes, size_t n, uint8_t ret_sum[SUM_BYTES]) {
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, bytes, n, (const uint8_t *)SL_TOKEN_PREFIX,
                       strlen(SL_TOKEN_PREFIX));
    memcpy(ret_sum, hash, SUM_BYTES);
}

static int check(const struct sl_token *token, struct sl_error *err) {
    int rc = sl_token_check_name(token->name, err);
    rc = rc ? rc : sl_zmq_check_endpoint(token->join_endpoint, false, err);
    rc = rc ? rc : sl_zmq_check_endpoint(token->agents_endpoint, false, err);
    return rc ? rc : sl_link_key_check(token->server_key, err);
}

static size_t put_text(uint8_t *out, const char *text) {
    size_t n = strlen(text);
    out[0] = (uint8_t)n;
    /* Its length stands before it. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(out + 1, text, n);
    return n + 1;
}

int sl_token_format(const struct sl_token *token, char ret_text[SL_TOKEN_TEXT_MAX],
                    struct sl_error *err) {
    int rc = check(token, err);
    if (rc) {
        return rc;
    }
    uint8_t bytes[BYTES_MAX];
    size_t n = put_text(bytes, token->name);
    n += put_text(bytes + n, token->join_endpoint);
    n += put_text(bytes + n, token->agents_endpoint);
    zmq_z85_decode(bytes + n, token->server_key);
    n += KEY_BYTES;
    memcpy(bytes + n, token->secret, SL_TOKEN_SECRET_BYTES);
    n += SL_TOKEN_SECRET_BYTES;
    sum_of(bytes, n, bytes + n);
    n += SUM_BYTES;
    size_t at = strlen(SL_TOKEN_PREFIX);
    /* The rest follows. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(ret_text, SL_TOKEN_PREFIX, at);
    sodium_bin2base64(ret_text + at, SL_TOKEN_TEXT_MAX - at, bytes, n, VARIANT);
    sodium_memzero(bytes, sizeof bytes);
    return SL_OK;
}

static bool take_text(const uint8_t **at, const uint8_t *end, char *out, size_t size) {
    size_t n = *at < end ? **at : 0;
    if (n == 0 || n >= size || (size_t)(end - *at) < n + 1 || memchr(*at + 1, '\0', n)) {
        return false;
    }
    memcpy(out, *at + 1, n);
    out[n] = '\0';
    *at += n + 1;
    return true;
}

static bool take_all(const uint8_t *at, const uint8_t *end, struct sl_token *token) {
    bool good = take_text(&at, end, token->name, sizeof token->name) &&
                take_text(&at, end, token->join_endpoint, sizeof token->join_endpoint) &&
                take_text(&at, end, token->agents_endpoint, sizeof token->agents_endpoint) &&
                end - at == KEY_BYTES + SL_TOKEN_SECRET_BYTES;
    if (good) {
        zmq_z85_encode(token->server_key, at, KEY_BYTES);
        memcpy(token->secret, at + KEY_BYTES, SL_TOKEN_SECRET_BYTES);
    }
    return good;
}

static int bad_prefix(const char *text, struct sl_error *err) {
    if (strncmp(text, "slj", 3) == 0) {
        return sl_fail(err, SL_UNSUPPORTED,
                       "this token was made by a broker of another version; update this program, "
                       "or the broker, and make a new one");
    }
    return sl_fail(err, SL_INVALID,
                   "this is no token: one begins with " SL_TOKEN_PREFIX
                   " (make it with `sluice agents enroll NAME`)");
}

int sl_token_parse(const char *text, struct sl_token *ret_token, struct sl_error *err) {
    uint8_t bytes[BYTES_MAX];
    uint8_t sum[SUM_BYTES] = {0};
    size_t n = 0;
    text += strspn(text, " \t\r\n");
    if (strncmp(text, SL_TOKEN_PREFIX, strlen(SL_TOKEN_PREFIX)) != 0) {
        return bad_prefix(text, err);
    }
    text += strlen(SL_TOKEN_PREFIX);
    struct sl_token token = {0};
    bool good = sodium_base642bin(bytes, sizeof bytes, text, strlen(text), " \t\r\n", &n, NULL,
                                  VARIANT) == 0 &&
                n > SUM_BYTES;
    if (good) {
        sum_of(bytes, n - SUM_BYTES, sum);
        good = sodium_memcmp(sum, bytes + n - SUM_BYTES, SUM_BYTES) == 0 &&
               take_all(bytes, bytes + n - SUM_BYTES, &token);
    }
    int rc = SL_OK;
    if (!good) {
        rc = sl_fail(err, SL_CORRUPT,
                     "this token is cut or mistyped (its checksum does not fit); copy the whole of "
                     "it, from " SL_TOKEN_PREFIX " to its end");
    } else if (check(&token, err)) {
        rc = sl_wrap(err, "this token is malformed");
    } else {
        *ret_token = token;
    }
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(&token, sizeof token);
    return rc;
}
