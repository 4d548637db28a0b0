/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mode.h"

#include <stddef.h>
#include <string.h>

static const char *const mode_names[SL_MODE_COUNT] = {"invalid", "idle", "hash", "infer"};

const char *sl_mode_name(enum sl_mode mode) {
    return (unsigned)mode < SL_MODE_COUNT ? mode_names[mode] : mode_names[0];
}

enum sl_mode sl_mode_parse(const char *name) {
    for (int i = 1; i < SL_MODE_COUNT; i++) {
        if (strcmp(name, mode_names[i]) == 0) {
            return (enum sl_mode)i;
        }
    }
    return SL_MODE_INVALID;
}

const char *sl_source_name(enum sl_source source) {
    switch (source) {
    case SL_SOURCE_MEASURED:
        return "measured";
    case SL_SOURCE_RATED:
        return "rated";
    case SL_SOURCE_UNKNOWN:
    default:
        return "unknown";
    }
}
