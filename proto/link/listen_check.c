/* SPDX-License-Identifier: Apache-2.0
 * Whether an address could be listened on, told without doing so: it is bound for a moment. */
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/link/link.h"
#include "proto/link/zmq_options.h"

int sl_link_connect_check(const char *endpoint, struct sl_error *err) {
    return sl_zmq_check_endpoint(endpoint, false, err);
}

static int try_bind(const struct addrinfo *at) {
    int on = 1;
    int off = 0;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    /* As ZeroMQ has them: a port of connections that are ending is free, [::] is IPv4 too. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->ai_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    int rc = bind(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

static int judge(const char *endpoint, int rc, struct sl_error *err) {
    switch (rc) {
    case 0:
        return SL_OK;
    case -EADDRINUSE:
        return sl_fail(err, SL_EXISTS,
                       "%s is in use by another program (`ss -ltnp` shows which); stop it, or "
                       "configure another address",
                       endpoint);
    case -EADDRNOTAVAIL:
        return sl_fail(
            err, SL_INVALID,
            "%s is no address of this machine (`ip address` shows those): configure one, "
            "or 0.0.0.0 for all",
            endpoint);
    case -EACCES:
        return sl_fail(err, SL_DENIED,
                       "this user may not listen on %s: configure a port above 1023", endpoint);
    default:
        return sl_fail(err, SL_IO, "cannot listen on %s: %s", endpoint, strerror(-rc));
    }
}

int sl_link_listen_check(const char *endpoint, bool names, struct sl_error *err) {
    char host[128];
    const char *port = NULL;
    int rc = sl_zmq_check_endpoint(endpoint, true, err);
    rc = rc ? rc : sl_zmq_split_endpoint(endpoint, host, sizeof host, &port, err);
    if (rc) {
        return rc;
    }
    bool any = strcmp(host, "*") == 0;
    if (!any && !names && if_nametoindex(host) != 0) {
        return SL_OK; /* ZeroMQ takes an interface for its addresses, which may be none yet */
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags =
                                 AI_PASSIVE | AI_NUMERICSERV | (names ? 0 : AI_NUMERICHOST)};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(any ? "0.0.0.0" : host, port, &hints, &found);
    if (failed) {
        return sl_fail(err, SL_INVALID, "cannot listen on %s: %s; an address is like %s", endpoint,
                       gai_strerror(failed), "tcp://127.0.0.1:7600");
    }
    rc = judge(endpoint, try_bind(found), err);
    freeaddrinfo(found);
    return rc;
}
