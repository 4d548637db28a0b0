/* SPDX-License-Identifier: Apache-2.0
 * Device keys are long; people write as much of one as says which. */
#include <string.h>

#include "broker/cli/cli.h"

static bool ends_with(const char *text, const char *tail) {
    size_t n = strlen(text);
    size_t m = strlen(tail);
    return m <= n && strcmp(text + n - m, tail) == 0;
}

enum sl_cli_match sl_cli_match(const json_t *rows, const char *field, const char *name,
                               const char **ret_key) {
    const char *found[3] = {NULL, NULL, NULL}; /* exact, by its end, by a part */
    unsigned count[3] = {0, 0, 0};
    for (size_t i = 0; i < json_array_size(rows) && name[0] != '\0'; i++) {
        const char *key = sl_cli_text(json_array_get(rows, i), field);
        const bool fits[3] = {strcmp(key, name) == 0, ends_with(key, name),
                              strstr(key, name) != NULL};
        for (int how = 0; how < 3; how++) {
            if (fits[how]) {
                found[how] = key;
                count[how]++;
            }
        }
    }
    for (int how = 0; how < 3; how++) {
        if (count[how] == 1 || (how == 0 && count[how] > 1)) {
            *ret_key = found[how];
            return SL_CLI_MATCH_ONE;
        }
        if (count[how] > 1) {
            return SL_CLI_MATCH_MANY;
        }
    }
    return SL_CLI_MATCH_NONE;
}

static int too_many(const json_t *rows, const char *name, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf which = {0};
    unsigned shown = 0;
    for (size_t i = 0; i < json_array_size(rows) && shown < 4; i++) {
        const char *key = sl_cli_text(json_array_get(rows, i), "key");
        if (strstr(key, name)) {
            sl_buf_printf(&which, "%s%s", shown ? ", " : "", key);
            shown++;
        }
    }
    return sl_fail(err, SL_INVALID, "'%.60s' fits more than one device (%.180s ...): write more",
                   name, which.data ? which.data : "");
}

int sl_cli_find_subject(const struct sl_cli *cli, const char *name, bool nodes, char *key,
                        size_t size, struct sl_error *err) {
    const char *found = NULL;
    SL_CLI_AUTO_ANSWER struct sl_cli_answer site = {0};
    SL_CLI_AUTO_ANSWER struct sl_cli_answer devices = {0};
    int rc = nodes ? sl_cli_get(cli, "/api/v1/nodes", &site, err) : SL_OK;
    rc = rc ? rc : sl_cli_get_pages(cli, "/api/v1/devices", "devices", &devices, err);
    if (rc) {
        return rc;
    }
    /* A node's whole name comes before a part of a device's key, which often begins with it. */
    const json_t *rows = sl_cli_find(site.json, "nodes");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *node = sl_cli_text(json_array_get(rows, i), "node");
        if (strcmp(node, name) == 0) {
            found = node;
        }
    }
    rows = sl_cli_find(devices.json, "devices");
    enum sl_cli_match match = found ? SL_CLI_MATCH_ONE : sl_cli_match(rows, "key", name, &found);
    if (match == SL_CLI_MATCH_MANY) {
        return too_many(rows, name, err);
    }
    if (match == SL_CLI_MATCH_NONE || !sl_text_copy(key, size, found)) {
        return sl_fail(err, SL_NOTFOUND, "there is no device%s '%.100s': see `sluice devices`%s",
                       nodes ? " or node" : "", name, nodes ? " and `sluice nodes`" : "");
    }
    return SL_OK;
}
