/* SPDX-License-Identifier: Apache-2.0
 * A scripted device behind the vtable of device.h: no thread, no OpenCL, no clock. It does in
 * virtual time what the script says, so that the agent's core and the simulator can be driven
 * exactly.
 *
 * Time stands still between calls of sl_fake_device_advance; a command or halt happens at the time
 * of the last one. Everything is deterministic. Commands take effect at once; events come out of
 * advance only. When the events' mailbox is full, time stands still until there is room.
 * Thread: one, the caller's. */
#ifndef SLUICE_AGENT_DEVICE_FAKE_DEVICE_H
#define SLUICE_AGENT_DEVICE_FAKE_DEVICE_H

#include "agent/device/device.h"

enum sl_fake_failure {
    SL_FAKE_OK = 0,
    SL_FAKE_SELF_TEST,  /* FAILED instead of READY */
    SL_FAKE_HANG,       /* launches never end: no event any more, then FAILED after hang_ms */
    SL_FAKE_LOST,       /* FAILED at once */
    SL_FAKE_BAD_VECTOR, /* lines come with status -SL_DEVICE and no vector */
    SL_FAKE_NAN_VECTOR, /* lines come as good, their vectors are no numbers */
    SL_FAKE_WRONG,      /* computes wrongly now and then: only re-tests show it */
    SL_FAKE_SLOW_HALT,  /* halts take hang_ms / 2 */
};

struct sl_fake_script {
    struct sl_device_info info;
    uint64_t hash_rate_hs;
    uint32_t model_count;
    struct sl_device_model
        models[SL_DEVICE_MODELS_MAX]; /* with the rates that lines are worked at */
    uint32_t dim;                     /* of vectors; 0: 384 */
    struct sl_watts watts[SL_MODE_COUNT];
    uint64_t ready_us;           /* creation to READY (or FAILED) */
    uint64_t halt_us;            /* halt to HALTED */
    uint64_t start_us;           /* MODE to the first kernel's start */
    uint64_t launch_us;          /* that kernel's length: STARTED comes when it has finished */
    uint64_t hang_ms;            /* watchdog; 0: 10 s */
    uint64_t candidate_every_us; /* of hashing; 0: none */
    uint32_t candidate_search;   /* nonces tried on the host for one that meets the target; 0: the
                                    nonce is made up and meets nothing */
    enum sl_fake_failure failure;
};

/* `events` must outlive the device. */
int sl_fake_device_create(const struct sl_fake_script *script, uint32_t index,
                          struct sl_mailbox *events, struct sl_mono now,
                          struct sl_device **ret_device, struct sl_error *err);

/* Lives until `now`, emitting what happens till then. Earlier times are ignored. */
void sl_fake_device_advance(struct sl_device *device, struct sl_mono now);
/* When something happens next by itself; INT64_MAX: only after a command. */
int64_t sl_fake_device_next_ns(const struct sl_device *device);
/* Changes the failure from now on. */
void sl_fake_device_fail(struct sl_device *device, enum sl_fake_failure failure);

/* The vector that a fake device gives for these ids: length 1, a function of the ids alone. */
void sl_fake_vector(const int32_t *ids, uint32_t n_ids, uint32_t dim, float *ret_vector);

#endif
