/* SPDX-License-Identifier: Apache-2.0
 * The socket that the HTTP server listens on. Start-up only. */
#ifndef SLUICE_BROKER_HTTP_LISTEN_H
#define SLUICE_BROKER_HTTP_LISTEN_H

#include <stdint.h>

#include "proto/base/error.h"

#define SL_LISTEN_URL_MAX 192

/* listen: "127.0.0.1:7680", "[::1]:0", "localhost:7680". -SL_EXISTS when the port is taken. */
int sl_listen_open(const char *listen, int *ret_fd, struct sl_error *err);
/* Whether it could be opened, told without listening there. */
int sl_listen_check(const char *listen, struct sl_error *err);
/* What was really bound: "http://127.0.0.1:7680", and its port, which is also written to port_file
 * (NULL or empty: nowhere). */
int sl_listen_describe(int fd, const char *port_file, char url[SL_LISTEN_URL_MAX],
                       uint16_t *ret_port, struct sl_error *err);

#endif
