/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/text.h"

/* "host:port" or "[v6]:port" into an address. */
static int parse_listen(const char *listen, struct sockaddr_storage *ret_address,
                        socklen_t *ret_bytes, struct sl_error *err) {
    char host[128];
    const char *colon = strrchr(listen, ':');
    if (!colon || (size_t)(colon - listen) >= sizeof host) {
        return sl_fail(err, SL_INVALID, "http.listen '%s': write ADDRESS:PORT", listen);
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    size_t n = strlen(host);
    if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
        memmove(host, host + 1, n - 2);
        host[n - 2] = '\0';
    }
    /* getaddrinfo takes an empty or an overflowing port without a word. */
    const char *port = colon + 1;
    char *end = NULL;
    unsigned long number = strtoul(port, &end, 10);
    if (port[0] < '0' || port[0] > '9' || *end != '\0' || number > 65535) {
        return sl_fail(err, SL_INVALID, "http.listen '%s': the port must be 0 to 65535", listen);
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (strcmp(host, "localhost") == 0) {
        sl_text_copy(host, sizeof host, "127.0.0.1");
    }
    if (getaddrinfo(host, port, &hints, &found) != 0 || !found) {
        return sl_fail(err, SL_INVALID,
                       "http.listen '%s': write a numeric address and a port, such as "
                       "127.0.0.1:7680",
                       listen);
    }
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return SL_OK;
}

/* really: it listens, else it is bound only. */
static int open_socket(const char *listen_text, bool really, int *ret_fd, struct sl_error *err) {
    struct sockaddr_storage address = {0};
    socklen_t bytes = 0;
    int rc = parse_listen(listen_text, &address, &bytes, err);
    if (rc != SL_OK) {
        return rc;
    }
    int on = 1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return sl_fail_errno(err, "opening a socket for %s", listen_text);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, bytes) != 0 || (really && listen(fd, 128) != 0)) {
        rc = errno == EADDRINUSE
                 ? sl_fail(err, SL_EXISTS,
                           "http.listen %s: the port is in use; stop the other program, or choose "
                           "another port (0 takes a free one)",
                           listen_text)
                 : sl_fail_errno(err, "http.listen %s", listen_text);
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SL_OK;
}

int sl_listen_open(const char *listen_text, int *ret_fd, struct sl_error *err) {
    return open_socket(listen_text, true, ret_fd, err);
}

int sl_listen_check(const char *listen_text, struct sl_error *err) {
    int fd = -1;
    int rc = open_socket(listen_text, false, &fd, err);
    if (rc == SL_OK) {
        close(fd);
    }
    return rc;
}

int sl_listen_describe(int fd, const char *port_file, char url[SL_LISTEN_URL_MAX],
                       uint16_t *ret_port, struct sl_error *err) {
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    char host[96];
    char port[16];
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0 ||
        getnameinfo((struct sockaddr *)&address, bytes, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return sl_fail_errno(err, "reading the address of the HTTP socket");
    }
    *ret_port = (uint16_t)strtoul(port, NULL, 10);
    bool v6 = address.ss_family == AF_INET6;
    snprintf(url, SL_LISTEN_URL_MAX, "http://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    if (!port_file || port_file[0] == '\0') {
        return SL_OK;
    }
    char tmp[1024];
    snprintf(tmp, sizeof tmp, "%.1000s.tmp", port_file);
    FILE *file = fopen(tmp, "we");
    bool good = file && fprintf(file, "%s\n", port) > 0;
    good = file && fclose(file) == 0 && good;
    return good && rename(tmp, port_file) == 0
               ? SL_OK
               : sl_fail_errno(err, "writing http.port_file %s", port_file);
}
