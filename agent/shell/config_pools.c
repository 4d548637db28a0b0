/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shell/config_pools.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"

uint32_t sl_agent_pool_count(const struct sl_agent_options *options) {
    return options->pool.url[0] ? 1 : options->pool_count;
}

const struct sl_pool_options *sl_agent_pool_at(const struct sl_agent_options *options,
                                               uint32_t index, const char **ret_name,
                                               char ret_section[16]) {
    if (options->pool.url[0]) {
        *ret_name = SL_POOL_DEFAULT_NAME;
        sl_text_copy(ret_section, 16, "pool");
        return &options->pool;
    }
    *ret_name = options->pools[index].name;
    snprintf(ret_section, 16, "pools[%u]", (unsigned)index % SL_AGENT_POOLS_MAX);
    return &options->pools[index].pool;
}

uint32_t sl_agent_address_count(const struct sl_agent_options *options) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < sl_agent_pool_count(options); i++) {
        const char *name = NULL;
        char section[16];
        const char *p = sl_agent_pool_at(options, i, &name, section)->fallback_urls;
        count++;
        for (p += strspn(p, " "); *p; p += strspn(p, " ")) {
            count++;
            p += strcspn(p, " ");
        }
    }
    return count;
}

/* ---- names of workers ---- */

void sl_pool_device_id(const char *node, const char *key, char *out, size_t size) {
    size_t n = strlen(node);
    const char *from = strncmp(key, node, n) == 0 && key[n] == '/' ? key + n + 1 : key;
    /* A PCI address says which one it is; the UUID behind it is long. */
    size_t length = strncmp(from, "pci:", 4) == 0 ? strcspn(from, "/") : strlen(from);
    size_t at = 0;
    for (size_t i = 0; i < length && at + 1 < size; i++) {
        out[at++] = isalnum((unsigned char)from[i]) ? from[i] : '-';
    }
    out[at] = '\0';
}

bool sl_pool_user_by_device(const char *user) {
    return strstr(user, "{device}") != NULL;
}

int sl_pool_user_expand(const char *user, const char *node, const char *device, const char *pool,
                        char out[SL_POOL_USER_MAX], struct sl_error *err) {
    const struct {
        const char *name, *value;
    } known[] = {{"{node}", node}, {"{pool}", pool}, {"{device}", device ? device : "{device}"}};
    size_t at = 0;
    while (*user) {
        const char *value = NULL;
        size_t skip = 1;
        for (size_t i = 0; *user == '{' && i < sizeof known / sizeof known[0]; i++) {
            if (strncmp(user, known[i].name, strlen(known[i].name)) == 0) {
                value = known[i].value;
                skip = strlen(known[i].name);
            }
        }
        if (*user == '{' && !value) {
            return sl_fail(err, SL_INVALID,
                           "'%.*s' is no placeholder: there are {node}, {device} and {pool}",
                           (int)strcspn(user, "}") + 1, user);
        }
        size_t n = value ? strlen(value) : 1;
        if (at + n >= SL_POOL_USER_MAX) {
            return sl_fail(err, SL_INVALID, "longer than %d characters", SL_POOL_USER_MAX - 1);
        }
        memcpy(out + at, value ? value : user, n);
        at += n;
        user += skip;
    }
    out[at] = '\0';
    return SL_OK;
}

/* ---- checks ---- */

static int check_user(const struct sl_agent_options *options, const struct sl_pool_options *pool,
                      const char *name, const char *section, struct sl_error *err) {
    char user[SL_POOL_USER_MAX];
    int rc = sl_pool_user_expand(pool->user, options->node, NULL, name, user, err);
    return rc ? sl_wrap(err, "%s.user", section) : SL_OK;
}

static int check_name(const struct sl_agent_options *options, uint32_t at, const char *section,
                      struct sl_error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    const char *name = options->pools[at].name;
    if (name[strspn(name, allowed)] != '\0') {
        return sl_fail(err, SL_INVALID,
                       "%s.name '%s': only letters, digits, '.', '_' and '-' are possible", section,
                       name);
    }
    for (uint32_t i = 0; i < at; i++) {
        if (strcmp(options->pools[i].name, name) == 0) {
            return sl_fail(err, SL_INVALID, "%s.name: two pools are called '%s'", section, name);
        }
    }
    return SL_OK;
}

int sl_agent_pools_check(const struct sl_agent_options *options, struct sl_error *err) {
    if (options->pool.url[0] && options->pool_count > 0) {
        return sl_fail(
            err, SL_INVALID,
            "pools: there are both 'pool' and 'pools': make the one an item of the other");
    }
    if (!options->pool.url[0] && options->pool.fallback_urls[0]) {
        return sl_fail(err, SL_INVALID, "pool.url is missing, though there are fallback_urls");
    }
    for (uint32_t i = 0; i < sl_agent_pool_count(options); i++) {
        const char *name = NULL;
        char section[16];
        const struct sl_pool_options *pool = sl_agent_pool_at(options, i, &name, section);
        int rc = options->pool_count ? check_name(options, i, section, err) : SL_OK;
        rc = rc ? rc : sl_pool_options_check(pool, section, err);
        rc = rc ? rc : check_user(options, pool, name, section, err);
        if (rc) {
            return rc;
        }
    }
    return SL_OK;
}
