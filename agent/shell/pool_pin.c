/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/pool_pin.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/shell/pool_tls.h"
#include "agent/stratum/url.h"

#define LIMIT_S 15

static int open_socket(const struct sl_pool_url *url, int *ret_fd, struct sl_error *err) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", url->port);
    int rc = getaddrinfo(url->host, port, &hints, &found);
    if (rc) {
        return sl_fail(err, SL_IO, "%s: %s", url->host, gai_strerror(rc));
    }
    int fd = -1;
    for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        struct timeval limit = {.tv_sec = LIMIT_S};
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
                        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
                        connect(fd, a->ai_addr, a->ai_addrlen) != 0)) {
            sl_fail_errno(err, "%s:%u", url->host, url->port);
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0) {
        return -SL_IO;
    }
    *ret_fd = fd;
    return SL_OK;
}

/* -SL_AGAIN never comes out. */
static int shake_hands(int fd, struct sl_pool_tls *tls, struct sl_error *err) {
    for (;;) {
        int rc = sl_pool_tls_shake(tls, err);
        struct sl_buf *out = sl_pool_tls_output(tls);
        if (out->len > 0 && send(fd, out->data, out->len, MSG_NOSIGNAL) != (ssize_t)out->len) {
            return sl_fail_errno(err, "the pool takes nothing");
        }
        sl_buf_consume(out, out->len);
        if (rc != -SL_AGAIN) {
            return rc;
        }
        char data[16384];
        ssize_t n = recv(fd, data, sizeof data, 0);
        if (n <= 0) {
            return n == 0 ? sl_fail(err, SL_IO,
                                    "the pool closed the connection at the beginning of TLS: is "
                                    "this its TLS port?")
                          : sl_fail(err, SL_TIMEOUT, "the pool does not answer (%s)",
                                    errno == EAGAIN ? "time is up" : strerror(errno));
        }
        sl_pool_tls_feed(tls, data, (size_t)n);
    }
}

static int show(const struct sl_pool_url *url, struct sl_error *err) {
    static const struct sl_pool_pins none;
    SL_AUTO(sl_pool_trust) trust = NULL;
    SL_AUTO(sl_pool_tls) tls = NULL;
    SL_AUTO_FD int fd = -1;
    uint8_t key[SL_POOL_PIN_BYTES];
    char pin[SL_POOL_PIN_TEXT_MAX + 1];
    int rc = sl_pool_trust_create(&none, "", &trust, err);
    rc = rc ? rc : sl_pool_tls_create(trust, url->host, &tls, err);
    rc = rc ? rc : open_socket(url, &fd, err);
    if (rc) {
        return rc;
    }
    rc = shake_hands(fd, tls, err);
    if (!sl_pool_tls_peer_key(tls, key)) {
        return rc ? rc : sl_fail(err, SL_IO, "the pool has shown no key");
    }
    sl_pool_pin_write(key, pin);
    printf("%s\n", pin);
    fprintf(stderr, "%s\n",
            rc == SL_OK ? "This system's authorities vouch for it; without a pin it works too."
                        : err->text);
    fprintf(stderr, "Before you set it as tls_pins, compare it with what the pool publishes, or "
                    "look from another network:\nwhoever stands between you and the pool can show "
                    "a key of his own.\n");
    return SL_OK;
}

int sl_pool_pin_main(int argc, char **argv) {
    struct sl_pool_url url;
    struct sl_error err;
    if (argc != 3) {
        fprintf(stderr, "sluice-agent pool-pin: say which pool: stratum+ssl://HOST:PORT\n");
        return 2;
    }
    if (sl_pool_url_parse(argv[2], &url, &err) < 0) {
        fprintf(stderr, "sluice-agent pool-pin: %s\n", err.text);
        return 2;
    }
    if (!url.tls) {
        fprintf(stderr, "sluice-agent pool-pin: without TLS a pool has no key; expected "
                        "stratum+ssl://HOST:PORT\n");
        return 2;
    }
    if (show(&url, &err) < 0) {
        fprintf(stderr, "sluice-agent pool-pin: %s\n", err.text);
        return 1;
    }
    return 0;
}
