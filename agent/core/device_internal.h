/* SPDX-License-Identifier: Apache-2.0
 * The machine of one device inside the core: states, causes, leases. */
#ifndef SLUICE_AGENT_CORE_DEVICE_INTERNAL_H
#define SLUICE_AGENT_CORE_DEVICE_INTERNAL_H

#include "agent/core/core.h"
#include "proto/base/mutant.h"
#include "proto/wire/msg.h"

struct agent_unit;

/* ---- devices (device_machine.c, devices.c, directive.c) ---- */

enum agent_device_state {
    DEV_INVALID = 0,
    DEV_PROVING,  /* self-test and measurement */
    DEV_SAFE,     /* no valid directive: the safe mode rules */
    DEV_RESTING,  /* the time of the safe mode is over: idle */
    DEV_STORING,  /* a directive's epoch is on its way to the disk; the device halts meanwhile */
    DEV_STARTING, /* its mode is posted, its first kernel not seen yet */
    DEV_LEASED,   /* running under a directive */
    DEV_FAILED,
    DEV_STOPPED, /* the agent ends */
    DEV_STATES,
};

enum agent_device_cause {
    DEVC_INVALID = 0,
    DEVC_READY,
    DEVC_FAILED,
    DEVC_DIRECT,  /* a directive that was found acceptable */
    DEVC_RENEW,   /* the same epoch again */
    DEVC_DURABLE, /* the epoch of the lease is stored */
    DEVC_HALTED,
    DEVC_STARTED,
    DEVC_EXPIRED, /* ttl over */
    DEVC_RESTED,  /* safe_mode_max over */
    DEVC_SAFE,    /* the broker welcomed us: the safe mode may be another, its time starts again */
    DEVC_STOP,
    DEVC_COUNT,
};

struct agent_lease {
    uint64_t epoch;
    enum sl_mode mode;
    char model[SL_MSG_NAME_MAX];
    const char *pool; /* named by the directive; during the step only */
    bool stay_idle;   /* likewise; kept in the device, beyond the lease */
    int64_t expires_ns;
    uint64_t ticket; /* of the epoch's journal record */
    bool halting;    /* a halt was asked for */
    bool posted;     /* the mode was posted: that halt is used up */
    bool running;    /* acknowledged */
    int64_t received_ns, halted_ns, durable_ns, started_ns;
};

/* What is known of a device's health (health.c). */
struct agent_sensed {
    struct sl_msg_telemetry telemetry;
    struct sl_watts watts[SL_MODE_COUNT]; /* by the sensors, while the mode ran */
    int64_t mode_ns;                      /* when the present mode was posted */
    bool hung;
    bool unfit; /* lost, or a known answer was wrong: not even the safe mode's work */
    uint64_t passed, failed;
    int64_t canary_due_ns; /* 0: not proved yet */
    bool canary_out;       /* asked for, not answered */
    uint32_t soon;         /* so many re-tests come quickly */
};

struct agent_device {
    uint32_t index;
    enum agent_device_state state;
    struct sl_device_info info;
    struct sl_device_stats stats;
    bool has_stats;
    int64_t rated_mw[SL_MODE_COUNT];
    char health[SL_MSG_TEXT_MAX]; /* empty: offered */
    uint64_t epoch_durable;
    uint64_t epoch_asked; /* >= durable; lower and equal ones are refused */
    uint64_t epoch_ticket;
    enum sl_mode mode; /* posted to the device; INVALID: none yet */
    uint64_t epoch;    /* under which the device was told to run it */
    bool stay_idle;    /* by the newest directive: the safe mode does no work */
    bool leased;       /* the posted mode is that of the lease (not the safe mode) */
    struct agent_lease lease;
    int64_t safe_until_ns;
    uint64_t edges_refused;
    struct agent_sensed sensed;
    uint32_t pool_asked;  /* by the newest directive: index + 1; 0: none */
    uint32_t pool_posted; /* whose job the device has: index + 1; 0: none */
    int64_t pool_since_ns;
    int64_t pool_span_ns[SL_AGENT_POOLS_MAX]; /* with each one's job, since it was last heard */
    struct agent_unit *units;                 /* in order of arrival */
    uint32_t unit_count;
};

/* True while a directive is stored, starting or running. */
static inline bool agent_device_bound(const struct agent_device *device) {
    return device->state == DEV_STORING || device->state == DEV_STARTING ||
           device->state == DEV_LEASED;
}

/* The clock of a lease's ttl: boot time, which no person sets and which goes on in a suspend. */
static inline int64_t agent_lease_clock(struct sl_now now, int64_t mono_ns) {
    return mono_ns + (SL_MUTANT(ttl_on_wall_clock) ? now.wall.ms * SL_NS_PER_MS - now.mono.ns : 0);
}

/* What came with a cause. */
struct agent_cause {
    enum agent_device_cause kind;
    const struct agent_lease *lease; /* DIRECT, RENEW */
    int64_t at_ns;                   /* DURABLE, HALTED, STARTED */
    const char *text;                /* FAILED */
};

/* The only writer of device->state. -SL_BADSTATE when the table has no such edge (counted). */
int agent_device_step(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                      const struct agent_cause *cause);
/* SL_OK and *ret_next, or -SL_BADSTATE. For tests and the picture. */
int agent_device_edge(enum agent_device_state state, enum agent_device_cause cause,
                      enum agent_device_state *ret_next);
const char *agent_device_state_name(enum agent_device_state state);
const char *agent_device_cause_name(enum agent_device_cause cause);

/* ---- health.c ---- */
void agent_health_ready(struct sl_agent_core *core, struct agent_device *device, struct sl_now now);
/* text empty: the re-test passed. */
void agent_health_canary(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                         const char *text);
void agent_health_timer(struct sl_agent_core *core, struct agent_device *device, struct sl_now now);
int64_t agent_health_deadline(const struct agent_device *device);
/* With the facts that the core itself knows. */
void agent_health_fill(const struct agent_device *device, struct sl_msg_telemetry *ret_telemetry);

void agent_devices_durable(struct sl_agent_core *core, struct sl_now now, struct sl_mono at);
void agent_devices_timer(struct sl_agent_core *core, struct sl_now now);
int64_t agent_devices_deadline(const struct sl_agent_core *core);
/* Until when a report would be in the way: a device is on its way to another mode, and on a CPU
 * device the report's encryption, and the broker that reads it, take the time of its first launch.
 * 0: no device is. */
int64_t agent_devices_moving_until(const struct sl_agent_core *core);
void agent_devices_safe_changed(struct sl_agent_core *core, struct sl_now now);
void agent_devices_stop(struct sl_agent_core *core, struct sl_now now);
/* By key; NULL: none. */
struct agent_device *agent_device_find(struct sl_agent_core *core, const char *key);
bool agent_device_has_model(const struct agent_device *device, const char *model);

void agent_on_directive(struct sl_agent_core *core, struct sl_now now, struct sl_mono received,
                        const struct sl_msg_directive *directive);
void agent_send_ack(struct sl_agent_core *core, const struct agent_device *device,
                    enum sl_ack_outcome outcome);

#endif
