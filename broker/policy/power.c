/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/policy/power.h"

#include <fnmatch.h>
#include <string.h>

/* The next name of a list with commas into out; false at its end. A name too long is cut. */
static bool next_name(const char **list, char *out, size_t size) {
    const char *at = *list + strspn(*list, ", ");
    size_t bytes = strcspn(at, ",");
    *list = at + bytes;
    while (bytes > 0 && at[bytes - 1] == ' ') {
        bytes--;
    }
    if (bytes == 0) {
        return false;
    }
    bytes = bytes < size ? bytes : size - 1;
    memcpy(out, at, bytes);
    out[bytes] = '\0';
    return true;
}

bool sl_policy_power_fits(const char *list, const char *name) {
    char pattern[SL_POLICY_NODES_MAX];
    while (next_name(&list, pattern, sizeof pattern)) {
        if (fnmatch(pattern, name, 0) == 0) {
            return true;
        }
    }
    return false;
}

static int check_classes(const struct sl_policy_power *p, struct sl_error *err) {
    for (uint32_t i = 0; i < p->strike_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(p->strikes[i].class_, p->strikes[k].class_) == 0) {
                return sl_fail(err, SL_INVALID,
                               "power.strike has the class '%s' twice; keep one price",
                               p->strikes[i].class_);
            }
        }
    }
    return SL_OK;
}

/* Where a circuit before `end` names this node, the circuit. */
static const struct sl_policy_circuit *named_before(const struct sl_policy_power *p, uint32_t end,
                                                    const char *node) {
    for (uint32_t i = 0; i < end; i++) {
        const char *list = p->circuits[i].nodes;
        char other[SL_POLICY_NODES_MAX];
        while (next_name(&list, other, sizeof other)) {
            if (strcmp(other, node) == 0) {
                return &p->circuits[i];
            }
        }
    }
    return NULL;
}

static int check_circuit(const struct sl_policy_power *p, uint32_t i, struct sl_error *err) {
    const struct sl_policy_circuit *circuit = &p->circuits[i];
    for (uint32_t k = 0; k < i; k++) {
        if (strcmp(circuit->name, p->circuits[k].name) == 0) {
            return sl_fail(err, SL_INVALID, "caps.circuits has '%s' twice; name them apart",
                           circuit->name);
        }
    }
    const char *list = circuit->nodes;
    char node[SL_POLICY_NODES_MAX];
    bool any = false;
    while (next_name(&list, node, sizeof node)) {
        any = true;
        const struct sl_policy_circuit *other = named_before(p, i, node);
        if (other) {
            return sl_fail(
                err, SL_INVALID,
                "caps.circuits: the node '%s' is on '%s' and on '%s'; it can hang on one "
                "only",
                node, other->name, circuit->name);
        }
    }
    return any ? SL_OK
               : sl_fail(err, SL_INVALID, "caps.circuits: '%s' names no node", circuit->name);
}

int sl_policy_power_check(const struct sl_policy_power *p, struct sl_error *err) {
    int rc = check_classes(p, err);
    for (uint32_t i = 0; rc == SL_OK && i < p->circuit_count; i++) {
        rc = check_circuit(p, i, err);
    }
    if (rc == SL_OK && p->site_mw >= 0 && p->floor_mw > p->site_mw) {
        long long floor_mw = p->floor_mw;
        long long site_mw = p->site_mw;
        return sl_fail(err, SL_INVALID,
                       "floors.site (%lld.%06lld kW) is above caps.site (%lld.%06lld kW): both "
                       "cannot hold; lower the floor or raise the cap",
                       floor_mw / 1000000, floor_mw % 1000000, site_mw / 1000000,
                       site_mw % 1000000);
    }
    return rc;
}
