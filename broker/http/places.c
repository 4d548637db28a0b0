/* SPDX-License-Identifier: Apache-2.0
 * Who holds the server's places. A result that is not read, an upload that pauses and a connection
 * that is kept open hold one each for as long as it pleases the client: tenants together get three
 * quarters of them, one tenant a quarter, so that nobody keeps an operator from his orders, or
 * /healthz from whoever watches it. A connection on which no key was shown yet has a place only
 * while others are free: whoever holds them all would keep everybody out for ten seconds, again and
 * again. Who has something to say is a stranger for a moment only. All on the daemon's thread. */
#include <string.h>
#include <sys/socket.h>

#include "broker/http/internal.h"

#define TENANTS_MAX (SL_HTTP_CONNECTIONS_MAX / 4 * 3)
#define TENANT_MAX (SL_HTTP_CONNECTIONS_MAX / 4)
#define STRANGERS_FROM (SL_HTTP_CONNECTIONS_MAX - 32) /* from so many on, one goes for each new */

/* The stranger who has been here longest sees the end of his connection; the daemon closes it. */
static void show_one_out(struct sl_http_guests *guests, const struct sl_http_guest *but) {
    struct sl_http_guest *oldest = NULL;
    for (uint32_t i = 0; i < SL_HTTP_CONNECTIONS_MAX; i++) {
        struct sl_http_guest *guest = &guests->list[i];
        bool may_go = guest->number && guest->stranger && guest != but;
        oldest = may_go && (!oldest || guest->number < oldest->number) ? guest : oldest;
    }
    if (oldest) {
        oldest->stranger = false;
        (void)shutdown(oldest->fd, SHUT_RDWR);
    }
}

void sl_http_guest_step(struct sl_http *http, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode code) {
    struct sl_http_guests *guests = &http->guests;
    struct sl_http_guest *guest = *context;
    if (code != MHD_CONNECTION_NOTIFY_STARTED) {
        guests->count--;
        if (guest) {
            *guest = (struct sl_http_guest){0};
        }
        return;
    }
    guests->count++;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (uint32_t i = 0; info && i < SL_HTTP_CONNECTIONS_MAX; i++) {
        guest = &guests->list[i];
        if (guest->number == 0) {
            *guest = (struct sl_http_guest){++guests->came, info->connect_fd, true};
            *context = guest;
            break;
        }
    }
    if (guests->count >= STRANGERS_FROM) {
        show_one_out(guests, guest);
    }
}

void sl_http_guest_known(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct sl_http_guest *guest = info ? info->socket_context : NULL;
    if (guest) {
        guest->stranger = false;
    }
}

/* Those who no longer stand in the configuration share the last one. */
static uint32_t *count_of(struct sl_http *http, const char *tenant) {
    uint32_t i = 0;
    while (i < http->tenant_count && strcmp(http->tenants[i], tenant) != 0) {
        i++;
    }
    return &http->tenant_calls[i];
}

bool sl_http_take_place(struct sl_http_call *call) {
    struct sl_http *http = call->http;
    if (call->who.role != SL_ROLE_TENANT) {
        return true;
    }
    uint32_t *mine = count_of(http, call->who.tenant);
    if (*mine >= TENANT_MAX || http->tenants_calls >= TENANTS_MAX) {
        sl_call_error(call, 503, "overloaded", NULL,
                      *mine >= TENANT_MAX
                          ? "You have %d requests under way: wait for some of them to end."
                          : "Tenants have %d requests under way: try again.",
                      *mine >= TENANT_MAX ? TENANT_MAX : TENANTS_MAX);
        return false;
    }
    (*mine)++;
    http->tenants_calls++;
    call->place = mine;
    return true;
}

void sl_http_leave_place(struct sl_http_call *call) {
    if (call->place) {
        (*call->place)--;
        call->http->tenants_calls--;
        call->place = NULL;
    }
}

bool sl_http_ends_connection(const struct sl_http_call *call) {
    return call->who.role != SL_ROLE_OPERATOR && call->http->guests.count > TENANTS_MAX;
}
