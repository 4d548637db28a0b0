/* SPDX-License-Identifier: Apache-2.0
 * Who holds the server's places. A result that is not read, an upload that pauses and a connection
 * that is kept open hold one each for as long as it pleases the client: tenants together get three
 * quarters of them, one tenant a quarter, so that nobody keeps an operator from his orders, or
 * /healthz from whoever watches it. All on the daemon's thread. */
#include <string.h>

#include "broker/http/internal.h"

#define TENANTS_MAX (SL_HTTP_CONNECTIONS_MAX / 4 * 3)
#define TENANT_MAX (SL_HTTP_CONNECTIONS_MAX / 4)

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
        call->retry_after_s = 1;
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
    return call->who.role != SL_ROLE_OPERATOR && call->http->connections > TENANTS_MAX;
}
