/* SPDX-License-Identifier: Apache-2.0
 * What a device can do, in the words that wire, policy, store and screens share. */
#ifndef SLUICE_PROTO_BASE_MODE_H
#define SLUICE_PROTO_BASE_MODE_H

#include <stdint.h>

enum sl_mode {
    SL_MODE_INVALID = 0,
    SL_MODE_IDLE = 1,
    SL_MODE_HASH = 2,
    SL_MODE_INFER = 3,
};
#define SL_MODE_COUNT 4 /* arrays are indexed by enum sl_mode; slot 0 stays unused */

/* Where a figure comes from. Not measured and not rated is unknown: never zero, never invented. */
enum sl_source {
    SL_SOURCE_UNKNOWN = 0,
    SL_SOURCE_MEASURED = 1,
    SL_SOURCE_RATED = 2, /* from the config, and marked so wherever it is shown */
};

struct sl_watts {
    enum sl_source source;
    int64_t mw; /* milliwatts; meaningless when unknown */
};

/* "idle", "hash", "infer"; "invalid" for anything else. */
const char *sl_mode_name(enum sl_mode mode);
/* SL_MODE_INVALID for an unknown name. */
enum sl_mode sl_mode_parse(const char *name);
/* "unknown", "measured", "rated". */
const char *sl_source_name(enum sl_source source);

#endif
