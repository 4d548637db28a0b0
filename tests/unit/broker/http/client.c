/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/broker/http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int client_connect(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("client");
        abort();
    }
    return fd;
}

static void read_answer(int fd, struct answer *answer) {
    struct sl_buf all = {0};
    char chunk[65536];
    ssize_t n = 0;
    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        sl_buf_append(&all, chunk, (size_t)n);
    }
    memset(answer, 0, sizeof *answer);
    char *end = all.data ? memmem(all.data, all.len, "\r\n\r\n", 4) : NULL;
    if (end) {
        size_t head = (size_t)(end - all.data) + 2;
        memcpy(answer->head, all.data, head < sizeof answer->head ? head : sizeof answer->head - 1);
        if (sscanf(answer->head, "HTTP/1.1 %d", &answer->status) != 1) {
            answer->status = 0;
        }
        sl_buf_append(&answer->body, end + 4, all.len - head - 2);
    }
    sl_buf_fini(&all);
}

static void send_all(int fd, const void *bytes, size_t n) {
    const char *at = bytes;
    while (n > 0) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
        if (done <= 0) {
            return; /* the server has said enough */
        }
        at += done;
        n -= (size_t)done;
    }
}

void client_raw(uint16_t port, const void *bytes, size_t n, struct answer *ret_answer) {
    int fd = client_connect(port);
    send_all(fd, bytes, n);
    /* libmicrohttpd takes a short read for the end of what there is to read: an end that comes with
     * the last bytes is heard only when the connection has idled too long. */
    usleep(100000);
    shutdown(fd, SHUT_WR);
    read_answer(fd, ret_answer);
    close(fd);
}

void client_call(uint16_t port, const char *method, const char *target, const char *key,
                 const char *headers, const void *body, size_t body_bytes,
                 struct answer *ret_answer) {
    struct sl_buf request = {0};
    sl_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n", method,
                  target, port);
    if (key) {
        sl_buf_printf(&request, "Authorization: Bearer %s\r\n", key);
    }
    if (body) {
        sl_buf_printf(&request, "Content-Length: %zu\r\n", body_bytes);
    }
    sl_buf_printf(&request, "%s\r\n", headers ? headers : "");
    sl_buf_append(&request, body ? body : "", body ? body_bytes : 0);
    int fd = client_connect(port);
    send_all(fd, request.data, request.len);
    read_answer(fd, ret_answer);
    close(fd);
    sl_buf_fini(&request);
}

void answer_fini(struct answer *answer) {
    sl_buf_fini(&answer->body);
}

const char *answer_header(struct answer *answer, const char *name, char value[256]) {
    size_t n = strlen(name);
    for (const char *at = strstr(answer->head, "\r\n"); at && at[2]; at = strstr(at + 2, "\r\n")) {
        const char *line = at + 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            line += n + 1 + strspn(line + n + 1, " ");
            snprintf(value, 256, "%.*s", (int)strcspn(line, "\r"), line);
            return value;
        }
    }
    return NULL;
}

json_t *answer_json(const struct answer *answer) {
    return json_loadb(answer->body.data ? answer->body.data : "", answer->body.len, 0, NULL);
}

const char *answer_error(const struct answer *answer, char code[64]) {
    json_t *root = answer_json(answer);
    json_t *error = json_object_get(root, "error");
    const char *text = json_string_value(json_object_get(error, "code"));
    bool whole = json_object_size(error) == 4 && json_object_get(error, "param") &&
                 json_is_string(json_object_get(error, "message")) &&
                 json_is_string(json_object_get(error, "type"));
    snprintf(code, 64, "%s", whole && text ? text : "");
    json_decref(root);
    return code;
}
