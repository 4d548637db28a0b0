/* SPDX-License-Identifier: Apache-2.0
 * Who holds the server's places; part of internal.h. Thread: the daemon's. */
#ifndef SLUICE_BROKER_HTTP_PLACES_H
#define SLUICE_BROKER_HTTP_PLACES_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define SL_HTTP_CONNECTIONS_MAX 256

struct sl_http;
struct sl_http_call;

/* Open connections. */
struct sl_http_guests {
    uint32_t count;
    uint64_t came; /* so many ever */
    struct sl_http_guest {
        uint64_t number; /* 0: free */
        int fd;
        bool stranger; /* it has shown no key yet, and was not shown out */
    } list[SL_HTTP_CONNECTIONS_MAX];
};

/* libmicrohttpd's notice of connections; *context is the guest's. */
void sl_http_guest_step(struct sl_http *http, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode code);
/* A request on this connection came with a good key. */
void sl_http_guest_known(struct MHD_Connection *connection);

/* False: too many of this tenant's, or of tenants', requests are under way; the answer is set. */
bool sl_http_take_place(struct sl_http_call *call);
void sl_http_leave_place(struct sl_http_call *call);
/* So many connections are open that this one is not kept for a next request. */
bool sl_http_ends_connection(const struct sl_http_call *call);

#endif
