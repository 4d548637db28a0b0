/* SPDX-License-Identifier: Apache-2.0
 * /api/v1/keys. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "broker/http/internal.h"

static const char *role_name(enum sl_key_role role) {
    return role == SL_ROLE_OPERATOR ? "operator" : "tenant";
}

static void write_key(struct sl_json *json, const struct sl_key_row *row, const char *secret) {
    sl_json_open(json, NULL, '{');
    sl_json_text(json, "id", row->id);
    if (secret) {
        sl_json_text(json, "key", secret);
    }
    sl_json_text(json, "role", role_name(row->role));
    sl_json_name(json, "tenant", row->tenant);
    sl_json_text(json, "label", row->label);
    sl_json_time(json, "created", row->created);
    sl_json_time(json, "revoked", row->revoked);
    sl_json_close(json, '}');
}

static int list_key(void *arg, const void *row) {
    write_key(arg, row, NULL);
    return 0;
}

enum sl_step sl_h_keys_list(struct sl_http_call *call, struct sl_reader *reader) {
    struct sl_error err = {0};
    sl_json_open(&call->out, NULL, '{');
    sl_json_open(&call->out, "keys", '[');
    if (sl_reader_keys(reader, list_key, &call->out, &err) != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_close(&call->out, ']');
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}

/* Row and audit entry together, then the cache. */
static int store_key(struct sl_http_call *call, struct sl_reader *reader,
                     const struct sl_key_row *row, const char *action, struct sl_error *err) {
    struct sl_op key = {.kind = SL_OP_KEY, .key = *row};
    struct sl_op audit = {.kind = SL_OP_AUDIT, .audit.at = sl_clock_wall()};
    sl_text_copy(audit.audit.actor, sizeof audit.audit.actor, call->who.key_id);
    sl_text_copy(audit.audit.action, sizeof audit.audit.action, action);
    sl_text_copy(audit.audit.subject, sizeof audit.audit.subject, row->id);
    snprintf(audit.audit.detail, sizeof audit.audit.detail, "role=%s tenant=%s",
             role_name(row->role), row->tenant);
    SL_AUTO(sl_txn) txn = NULL;
    int rc = sl_txn_create(&txn, err);
    rc = rc ? rc : sl_txn_add(txn, &key, err);
    rc = rc ? rc : sl_txn_add(txn, &audit, err);
    rc = rc ? rc : sl_http_commit(call->http, sl_take(&txn), err);
    return rc ? rc : sl_keys_load(&call->http->keys, reader, err);
}

static bool tenant_exists(const struct sl_http *http, const char *tenant) {
    for (uint32_t i = 0; i < http->tenant_count; i++) {
        if (strcmp(http->tenants[i], tenant) == 0) {
            return true;
        }
    }
    return http->tenant_count == 0;
}

static bool tenant_is_well_formed(const char *tenant) {
    size_t n = strspn(tenant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return n > 0 && n < SL_TENANT_MAX && tenant[n] == '\0';
}

/* False: the answer is set. */
static bool read_wish(struct sl_http_call *call, const json_t *body, struct sl_key_row *wish) {
    const json_t *tenant = json_object_get(body, "tenant");
    const json_t *label = json_object_get(body, "label");
    const json_t *role = json_object_get(body, "role");
    const char *role_text = role ? json_string_value(role) : tenant ? "tenant" : "";
    if (role_text && strcmp(role_text, "operator") == 0 && !tenant) {
        wish->role = SL_ROLE_OPERATOR;
    } else if (role_text && strcmp(role_text, "tenant") == 0 && tenant) {
        wish->role = SL_ROLE_TENANT;
    } else {
        sl_call_error(call, 400, "invalid_value", "tenant",
                      "Send {\"tenant\":\"NAME\"} for a tenant's key, or {\"role\":\"operator\"}.");
        return false;
    }
    const char *name = wish->role == SL_ROLE_TENANT ? json_string_value(tenant) : "";
    if (!name || (wish->role == SL_ROLE_TENANT && !tenant_is_well_formed(name))) {
        sl_call_error(call, 400, "invalid_value", "tenant",
                      "'tenant' has 1 to %d letters, digits, '-', '_' or '.'.", SL_TENANT_MAX - 1);
        return false;
    }
    if (wish->role == SL_ROLE_TENANT && !tenant_exists(call->http, name)) {
        sl_call_error(call, 400, "unknown_tenant", "tenant",
                      "There is no tenant '%.64s': add it to 'tenants' in the broker's config.",
                      name);
        return false;
    }
    const char *label_text = label ? json_string_value(label) : "";
    if (!label_text || !sl_text_copy(wish->label, sizeof wish->label, label_text)) {
        sl_call_error(call, 400, "invalid_value", "label", "'label' has at most %zu bytes.",
                      sizeof wish->label - 1);
        return false;
    }
    sl_text_copy(wish->tenant, sizeof wish->tenant, name);
    return true;
}

enum sl_step sl_h_keys_create(struct sl_http_call *call, struct sl_reader *reader) {
    static const char *const known[] = {"tenant", "role", "label", NULL};
    json_t *body = sl_call_body(call, known);
    struct sl_key_row wish = {0};
    struct sl_key_row row;
    bool good = body && read_wish(call, body, &wish);
    json_decref(body);
    if (!good) {
        return SL_STEP_REPLY;
    }
    char secret[SL_SECRET_MAX];
    struct sl_error err = {0};
    sl_key_make(wish.role, wish.tenant, wish.label, secret, &row);
    int rc = store_key(call, reader, &row, "key.create", &err);
    if (rc == SL_OK) {
        write_key(&call->out, &row, secret);
    }
    sodium_memzero(secret, sizeof secret);
    return rc == SL_OK ? sl_call_ok(call) : sl_call_trouble(call, &err);
}

struct find {
    const char *id;
    bool found;
    struct sl_key_row row;
};

static int find_key(void *arg, const void *row) {
    struct find *find = arg;
    const struct sl_key_row *key = row;
    if (strcmp(key->id, find->id) == 0) {
        find->row = *key;
        find->found = true;
    }
    return find->found;
}

enum sl_step sl_h_keys_revoke(struct sl_http_call *call, struct sl_reader *reader) {
    struct find find = {.id = call->arg};
    struct sl_error err = {0};
    int rc = sl_reader_keys(reader, find_key, &find, &err);
    if (rc == SL_OK && !find.found) {
        return sl_call_absent(call, "key", call->arg);
    }
    bool live = find.found && find.row.revoked.ms == 0;
    if (live && find.row.role == SL_ROLE_OPERATOR && sl_keys_operators(&call->http->keys) < 2) {
        return sl_call_error(call, 409, "last_operator_key", NULL,
                             "This is the only operator key: make another one first.");
    }
    if (live) {
        find.row.revoked = sl_clock_wall();
        rc = rc ? rc : store_key(call, reader, &find.row, "key.revoke", &err);
    }
    if (rc != SL_OK) {
        return sl_call_trouble(call, &err);
    }
    sl_json_open(&call->out, NULL, '{');
    sl_json_text(&call->out, "id", find.row.id);
    sl_json_bool(&call->out, "revoked", true);
    sl_json_close(&call->out, '}');
    return sl_call_ok(call);
}
