/* SPDX-License-Identifier: Apache-2.0
 * The absolute state that an agent reports: devices, what they can do and cost, and its pool. Part
 * of msg.h, which says who owns what. */
#ifndef SLUICE_PROTO_WIRE_MSG_DEVICE_H
#define SLUICE_PROTO_WIRE_MSG_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/length.h"
#include "proto/base/mode.h"
#include "proto/wire/msg_limits.h"
#include "proto/wire/msg_telemetry.h"

struct sl_msg_model {
    char id[SL_MSG_NAME_MAX];
    uint64_t tokens_per_s_milli;
    uint32_t max_tokens;
    bool truncate;
    uint8_t sha256[SL_MSG_SHA256_BYTES];     /* of the file that was loaded; zeros: not said */
    uint64_t length_rates_milli[SL_LENGTHS]; /* tokens/s by length of text; 0: not measured */
};

/* Absolute state of one device; in HELLO and REPORT. */
struct sl_msg_device {
    char key[SL_MSG_KEY_MAX];
    char name[SL_MSG_KEY_MAX];
    char driver[SL_MSG_KEY_MAX];
    char health[SL_MSG_TEXT_MAX]; /* empty: healthy and offered; else why it is not */
    bool is_cpu;
    uint32_t compute_units;
    uint64_t memory_bytes;
    uint64_t epoch_max; /* highest epoch stored durably by the agent */
    uint64_t epoch;     /* epoch of the mode that runs now; 0: safe mode */
    enum sl_mode mode;
    bool safe; /* runs its safe mode (no valid directive) */
    uint64_t hash_rate_hs;
    uint64_t hashes_total;
    uint64_t tokens_total;
    uint64_t lines_total;
    uint64_t busy_ms[SL_MODE_COUNT];
    uint64_t idle_gap_us;
    uint64_t switch_us[SL_MODE_COUNT][SL_MODE_COUNT]; /* [from][to], 0: not measured */
    struct sl_watts watts[SL_MODE_COUNT];
    uint32_t stop_us_p50;
    uint32_t stop_us_max;
    uint32_t stop_method; /* enum sl_stop_method, for screens */
    uint32_t units_held;
    uint32_t lines_held; /* not finished yet: the broker tops up by this */
    uint32_t model_count;
    struct sl_msg_model models[SL_MSG_MODELS_MAX];
    char pci[SL_MSG_PCI_MAX];           /* empty: not on PCI, or not known */
    char uuid[SL_MSG_UUID_MAX];         /* of the hardware; empty: not known */
    char locality[SL_MSG_LOCALITY_MAX]; /* CPUs close to it, for people; empty: not known */
    char pool[SL_MSG_POOL_NAME_MAX];    /* whose jobs it has; empty: none */
    char note[SL_MSG_TEXT_MAX];         /* what it is offered without, for people; empty: nothing */
    struct sl_msg_telemetry telemetry;
};

struct sl_msg_pool {
    char name[SL_MSG_POOL_NAME_MAX]; /* empty: an agent that knows one pool only */
    char url[SL_MSG_TEXT_MAX];       /* no user, no password */
    bool connected;
    bool has_job;
    char state[SL_MSG_TEXT_MAX]; /* why not connected, for people */
    uint64_t difficulty_nano;    /* difficulty x 1e9 */
    uint64_t shares_submitted;
    uint64_t shares_accepted;
    uint64_t shares_stale;
    uint64_t shares_rejected;
    uint64_t shares_unknown;
    uint64_t work_accepted;  /* expected hashes, sum over accepted shares */
    uint32_t latency_us_p50; /* from a share's submission to its answer */
    uint32_t latency_us_p99;
    uint64_t rejected_duplicate; /* of shares_rejected, by the pool's code */
    uint64_t rejected_low;
    uint64_t rejected_unauthorised;
    uint64_t hashes_spent; /* measured, on this pool's jobs, since the agent's start */
    uint64_t share_age_ms; /* since its last answered share; 0: none yet */
    uint32_t url_index;    /* of its addresses, in use; 0: the first */
    uint32_t url_count;
    bool tls;
    uint64_t suspect_ms; /* for so long it has not answered when it should have; 0: it answers */
};

#endif
