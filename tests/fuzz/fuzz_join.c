/* SPDX-License-Identifier: Apache-2.0
 * What a stranger presents on the joining socket, what its answer may be, and a token as a person
 * pastes it. First byte: which. What is taken is within its limits, encodes, and decodes to the
 * same; what is refused leaves no trace. */
#include "tests/fuzz/fuzz.h"

#include "proto/link/token.h"
#include "proto/wire/join.h"

static void request(const uint8_t *data, size_t size) {
    struct sl_join_request got = {.device_count = 77};
    struct sl_join_request back;
    uint8_t bytes[SL_JOIN_MESSAGE_MAX];
    size_t n = 0;
    if (sl_join_request_decode(data, size, &got, NULL) != SL_OK) {
        fuzz_check(got.device_count == 77 && got.node[0] == '\0');
        return;
    }
    fuzz_check(got.device_count <= SL_JOIN_DEVICES_MAX && got.node[0] != '\0');
    fuzz_check(memchr(got.node, '\0', sizeof got.node) != NULL);
    fuzz_check(sl_join_request_encode(&got, bytes, &n, NULL) == SL_OK);
    fuzz_check(sl_join_request_decode(bytes, n, &back, NULL) == SL_OK);
    fuzz_check(memcmp(&got, &back, sizeof got) == 0);
}

static void reply(const uint8_t *data, size_t size) {
    struct sl_join_reply got;
    struct sl_join_reply back;
    uint8_t bytes[SL_JOIN_MESSAGE_MAX];
    size_t n = 0;
    if (sl_join_reply_decode(data, size, &got, NULL) == SL_OK) {
        fuzz_check(sl_join_reply_encode(&got, bytes, &n, NULL) == SL_OK);
        fuzz_check(sl_join_reply_decode(bytes, n, &back, NULL) == SL_OK);
        fuzz_check(got.status == back.status && strcmp(got.text, back.text) == 0);
    }
}

static void token(const uint8_t *data, size_t size) {
    char text[2 * SL_TOKEN_TEXT_MAX] = "";
    char again[SL_TOKEN_TEXT_MAX];
    struct sl_token got;
    struct sl_token back;
    size = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, data, size);
    if (sl_token_parse(text, &got, NULL) == SL_OK) {
        fuzz_check(sl_token_format(&got, again, NULL) == SL_OK);
        fuzz_check(sl_token_parse(again, &back, NULL) == SL_OK);
        fuzz_check(strcmp(got.name, back.name) == 0);
        fuzz_check(memcmp(got.secret, back.secret, sizeof got.secret) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        request(data + 1, size - 1);
        break;
    case 1:
        reply(data + 1, size - 1);
        break;
    default:
        token(data + 1, size - 1);
        break;
    }
    return 0;
}
