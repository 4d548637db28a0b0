/* SPDX-License-Identifier: Apache-2.0
 * GET /api/v1/stress and /api/v1/market/rates: what is asked is judged here, the loop answers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/http/internal.h"
#include "schedulers/shock.h"

static const char *const known[] = {"lease", "hashprice", "power", "halving", "tenant", "all"};
#define KNOWN (sizeof known / sizeof known[0])
enum { LEASE, HASHPRICE, POWER, HALVING, TENANT, ALL };

/* A misspelt shock would be no shock, and the answer too good. */
static bool check_names(struct sl_http_call *call) {
    const char *at = strchr(call->target, '?');
    while (at) {
        at++;
        size_t n = strcspn(at, "&");
        size_t name = strcspn(at, "&=");
        bool found = n == 0;
        for (size_t i = 0; i < KNOWN && !found; i++) {
            found = strlen(known[i]) == name && memcmp(known[i], at, name) == 0;
        }
        if (!found || (n > 0 && at[name] != '=')) {
            sl_call_error(call, 400, "invalid_value", NULL,
                          "'%.*s' is no shock: give lease=, hashprice= or power= (as -60%%25, x3), "
                          "halving=1, tenant=NAME, all=1.",
                          (int)(n < 40 ? n : 40), at);
            return false;
        }
        at = at[n] == '&' ? at + n : NULL;
    }
    return true;
}

static bool is_given(const struct sl_http_call *call, const char *name) {
    size_t n = strlen(name);
    for (const char *at = strchr(call->target, '?'); at; at = strchr(at + 1, '&')) {
        if (strncmp(at + 1, name, n) == 0 && at[n + 1] == '=') {
            return true;
        }
    }
    return false;
}

/* Its text, "" where it is not given; false: the answer is set. */
static bool get(struct sl_http_call *call, const char *name, char *text, size_t size) {
    text[0] = '\0';
    if (is_given(call, name) && !sl_call_query(call, name, text, size)) {
        sl_call_error(call, 400, "invalid_value", name,
                      "'%s' cannot be read: it is too long, or a %% is not written as %%25.", name);
        return false;
    }
    return true;
}

/* ppm + 1; 0: not given. */
static bool get_factor(struct sl_http_call *call, const char *name, uint32_t *ret_factor) {
    char text[64];
    struct sl_error err = {0};
    int64_t ppm = -1;
    *ret_factor = 0;
    if (!get(call, name, text, sizeof text)) {
        return false;
    }
    if (is_given(call, name) && sl_shock_parse(name, text, &ppm, &err) != SL_OK) {
        sl_call_error(call, 400, "invalid_value", name, "%s.", err.text);
        return false;
    }
    *ret_factor = (uint32_t)(ppm + 1);
    return true;
}

static bool get_flag(struct sl_http_call *call, const char *name, unsigned *ret_flag) {
    char text[8];
    *ret_flag = 0;
    if (!get(call, name, text, sizeof text)) {
        return false;
    }
    if (is_given(call, name) && strcmp(text, "0") != 0 && strcmp(text, "1") != 0) {
        sl_call_error(call, 400, "invalid_value", name, "'%s' is 1 or 0.", name);
        return false;
    }
    *ret_flag = text[0] == '1';
    return true;
}

static bool get_tenant(struct sl_http_call *call, char tenant[SL_TENANT_MAX]) {
    if (!get(call, known[TENANT], tenant, SL_TENANT_MAX)) {
        return false;
    }
    bool good = tenant[0] != '\0' || !is_given(call, known[TENANT]);
    bool found = call->http->tenant_count == 0 || tenant[0] == '\0';
    for (uint32_t i = 0; i < call->http->tenant_count && !found; i++) {
        found = strcmp(call->http->tenants[i], tenant) == 0;
    }
    if (!good || !found) {
        sl_call_error(call, 400, "invalid_value", known[TENANT],
                      "There is no tenant '%s': tenants stand in the broker's configuration.",
                      tenant);
        return false;
    }
    return true;
}

enum sl_step sl_h_stress(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    uint32_t factors[3];
    unsigned halving = 0;
    unsigned all = 0;
    char tenant[SL_TENANT_MAX];
    if (!check_names(call) || !get_factor(call, known[LEASE], &factors[0]) ||
        !get_factor(call, known[HASHPRICE], &factors[1]) ||
        !get_factor(call, known[POWER], &factors[2]) || !get_flag(call, known[HALVING], &halving) ||
        !get_flag(call, known[ALL], &all) || !get_tenant(call, tenant)) {
        return SL_STEP_REPLY;
    }
    char arg[SL_MSG_KEY_MAX];
    snprintf(arg, sizeof arg, "%" PRIx32 " %" PRIx32 " %" PRIx32 " %u %u %s", factors[0],
             factors[1], factors[2], halving, all, tenant);
    return sl_call_ask_view(call, SL_HTTP_VIEW_STRESS, arg, NULL);
}

enum sl_step sl_h_rates(struct sl_http_call *call, struct sl_reader *reader) {
    (void)reader;
    return sl_call_ask_view(call, SL_HTTP_VIEW_RATES, NULL, NULL);
}
