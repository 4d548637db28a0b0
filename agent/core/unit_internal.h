/* SPDX-License-Identifier: Apache-2.0
 * Work units inside the core, from arrival to their last line. */
#ifndef SLUICE_AGENT_CORE_UNIT_INTERNAL_H
#define SLUICE_AGENT_CORE_UNIT_INTERNAL_H

#include "agent/core/device_internal.h"

#define AGENT_UNITS_MAX 32 /* held by one device */

/* ---- units (units.c) ---- */

enum agent_unit_state {
    UNIT_INVALID = 0,
    UNIT_TOKENIZING,
    UNIT_WORKING,
    UNIT_CLOSING, /* given up: what is still under way may arrive until close_ns */
};

struct agent_input {
    bool done;
    uint32_t tokens;
    uint32_t dim;
    float *vector;
};

struct agent_line {
    uint32_t line;
    uint32_t input_count;
    uint32_t open;              /* inputs not done */
    enum sl_line_status status; /* INVALID: not finished */
    bool reported;
    uint32_t tokens;
    struct agent_input *inputs; /* [input_count] */
};

struct agent_unit {
    struct agent_unit *next;
    uint64_t id;
    uint64_t epoch;
    char model[SL_MSG_NAME_MAX];
    enum agent_unit_state state;
    bool closed;                    /* nothing more will come: report the end */
    uint32_t ready;                 /* lines finished and not reported */
    int64_t ready_ns;               /* when the first of them was */
    size_t ready_bytes;             /* of their vectors */
    int64_t close_ns;               /* CLOSING */
    struct sl_device_unit *waiting; /* tokenised, until its epoch's mode is posted */
    uint32_t line_count;
    struct agent_line lines[]; /* [line_count] */
};

void agent_on_unit(struct sl_agent_core *core, struct sl_now now, const struct sl_msg_unit *msg);
void agent_on_drain(struct sl_agent_core *core, struct sl_now now, const struct sl_msg_drain *msg);
void agent_unit_line_done(struct sl_agent_core *core, struct sl_now now,
                          struct agent_device *device, struct sl_device_line *line);
void agent_unit_done(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                     uint64_t unit_id);
/* The device leaves the lease: units older than `below` end. at_once: nothing more will arrive. */
void agent_units_close(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                       uint64_t below, bool at_once);
/* The device took up a mode posted after the closing: nothing of the closed units can follow. */
void agent_units_fence(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                       uint64_t below);
uint32_t agent_units_open_lines(const struct agent_device *device);
void agent_units_timer(struct sl_agent_core *core, struct sl_now now);
int64_t agent_units_deadline(const struct sl_agent_core *core);
void agent_units_free(struct agent_device *device);
struct agent_unit *agent_unit_find(struct agent_device *device, uint64_t id);
/* unit_flush.c: what is ready of a unit as one or more results, with unit_done where it ends. */
void agent_unit_flush(struct sl_agent_core *core, struct sl_now now, struct agent_device *device,
                      struct agent_unit *unit);

#endif
