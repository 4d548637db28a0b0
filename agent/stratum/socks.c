/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stratum/socks.h"

#include <arpa/inet.h>
#include <string.h>

#include "proto/base/text.h"

#define VERSION 5
#define METHOD_NONE 0
#define METHOD_PASSWORD 2
#define METHOD_REFUSED 0xff
#define PASSWORD_VERSION 1
#define COMMAND_CONNECT 1
#define ADDRESS_IPV4 1
#define ADDRESS_NAME 3
#define ADDRESS_IPV6 4

enum { STEP_METHOD = 1, STEP_PASSWORD, STEP_CONNECT, STEP_DONE };

static void put(struct sl_socks *socks, const void *data, size_t size) {
    sl_assert(socks->output_size + size <= sizeof socks->output);
    memcpy(socks->output + socks->output_size, data, size);
    socks->output_size += size;
}

static void put_byte(struct sl_socks *socks, size_t value) {
    uint8_t byte = (uint8_t)value;
    put(socks, &byte, 1);
}

int sl_socks_start(struct sl_socks *socks, const char *host, uint16_t port, const char *user,
                   const char *password, struct sl_error *err) {
    *socks = (struct sl_socks){.port = port, .step = STEP_METHOD};
    if (!host[0] || !sl_text_copy(socks->host, sizeof socks->host, host)) {
        return sl_fail(err, SL_INVALID, "proxy: a host of 1 to 255 characters is needed");
    }
    if (user && user[0]) {
        size_t password_size = password ? strlen(password) : 0;
        if (strlen(user) > 255 || password_size == 0 || password_size > 255) {
            return sl_fail(err, SL_INVALID,
                           "proxy: user and password must have 1 to 255 characters");
        }
        socks->user = user;
        socks->password = password;
    }
    put_byte(socks, VERSION);
    put_byte(socks, socks->user ? 2 : 1);
    put_byte(socks, METHOD_NONE);
    if (socks->user) {
        put_byte(socks, METHOD_PASSWORD);
    }
    return SL_OK;
}

static void ask_connect(struct sl_socks *socks) {
    struct in_addr v4;
    struct in6_addr v6;
    put_byte(socks, VERSION);
    put_byte(socks, COMMAND_CONNECT);
    put_byte(socks, 0);
    if (inet_pton(AF_INET, socks->host, &v4) == 1) {
        put_byte(socks, ADDRESS_IPV4);
        put(socks, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, socks->host, &v6) == 1) {
        put_byte(socks, ADDRESS_IPV6);
        put(socks, &v6, sizeof v6);
    } else {
        put_byte(socks, ADDRESS_NAME);
        put_byte(socks, strlen(socks->host));
        put(socks, socks->host, strlen(socks->host));
    }
    put_byte(socks, socks->port >> 8);
    put_byte(socks, socks->port & 0xff);
    socks->step = STEP_CONNECT;
}

static int on_method(struct sl_socks *socks, struct sl_error *err) {
    uint8_t method = socks->reply[1];
    if (method == METHOD_NONE) {
        ask_connect(socks);
        return -SL_AGAIN;
    }
    if (method == METHOD_PASSWORD && socks->user) {
        put_byte(socks, PASSWORD_VERSION);
        put_byte(socks, strlen(socks->user));
        put(socks, socks->user, strlen(socks->user));
        put_byte(socks, strlen(socks->password));
        put(socks, socks->password, strlen(socks->password));
        socks->step = STEP_PASSWORD;
        return -SL_AGAIN;
    }
    return sl_fail(err, SL_DENIED,
                   socks->user ? "the proxy takes neither nobody nor user and password: ask who "
                                 "runs it"
                               : "the proxy wants a user: set proxy_user and proxy_password_file");
}

static int on_password(struct sl_socks *socks, struct sl_error *err) {
    if (socks->reply[1] != 0) {
        return sl_fail(err, SL_DENIED,
                       "the proxy refuses user or password: check proxy_user and "
                       "proxy_password_file");
    }
    ask_connect(socks);
    return -SL_AGAIN;
}

static int refused(const struct sl_socks *socks, struct sl_error *err) {
    static const char *const reasons[] = {
        [1] = "it has failed",
        [2] = "its rules do not allow it",
        [3] = "the network cannot be reached",
        [4] = "the host cannot be reached, or its name is unknown",
        [5] = "the pool refuses the connection",
        [6] = "the way is too long (TTL)",
        [7] = "it cannot connect at all",
        [8] = "it does not know this kind of address",
    };
    uint8_t code = socks->reply[1];
    return sl_fail(err, SL_IO, "the proxy cannot reach %.60s:%u: %s", socks->host, socks->port,
                   code < sizeof reasons / sizeof reasons[0] ? reasons[code]
                                                             : "it does not say why");
}

static int on_connect(struct sl_socks *socks, struct sl_error *err) {
    if (socks->reply[1] != 0) {
        return refused(socks, err);
    }
    socks->step = STEP_DONE;
    return SL_OK;
}

/* Bytes that the answer has in all, as far as is known; 0: it is none of SOCKS5. */
static size_t wanted(const struct sl_socks *socks) {
    const uint8_t *reply = socks->reply;
    /* The answer to user and password has a version of its own, which some proxies do not know. */
    bool good =
        reply[0] == VERSION || (socks->step == STEP_PASSWORD && reply[0] == PASSWORD_VERSION);
    if (socks->reply_size > 0 && !good) {
        return 0;
    }
    /* Of a refusal nothing counts behind its code, and sloppy proxies send no more or no sense. */
    if (socks->step != STEP_CONNECT || (socks->reply_size >= 2 && reply[1] != 0)) {
        return 2;
    }
    if (socks->reply_size < 5) {
        return 5;
    }
    switch (reply[3]) {
    case ADDRESS_IPV4:
        return 4 + 4 + 2;
    case ADDRESS_IPV6:
        return 4 + 16 + 2;
    case ADDRESS_NAME:
        return 4 + 1 + (size_t)reply[4] + 2;
    default:
        return 0;
    }
}

int sl_socks_input(struct sl_socks *socks, const void *data, size_t size, size_t *ret_used,
                   struct sl_error *err) {
    const uint8_t *bytes = data;
    int rc = -SL_AGAIN;
    size_t used = 0;
    socks->output_size = 0;
    while (rc == -SL_AGAIN && used < size) {
        socks->reply[socks->reply_size++] = bytes[used++];
        size_t want = wanted(socks);
        if (want == 0) {
            rc = sl_fail(err, SL_IO, "this is no SOCKS5 proxy: check the address of proxy");
        } else if (socks->reply_size == want) {
            rc = socks->step == STEP_METHOD     ? on_method(socks, err)
                 : socks->step == STEP_PASSWORD ? on_password(socks, err)
                                                : on_connect(socks, err);
            socks->reply_size = 0;
        }
        if (rc == -SL_AGAIN && socks->output_size > 0 && used < size) {
            rc = sl_fail(err, SL_IO, "this is no SOCKS5 proxy: it answers before it is asked");
        }
    }
    if (rc != -SL_AGAIN) {
        socks->output_size = 0;
    }
    *ret_used = used;
    return rc;
}
