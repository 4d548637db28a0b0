/* SPDX-License-Identifier: Apache-2.0
 * What is known of a device's health: what its sensors say, and re-tests with known answers, on a
 * schedule and soon after anything that casts doubt on it. The broker judges; here a device only
 * stops by itself where no work of it could be right. */
#include <string.h>

#include "agent/core/core_internal.h"
#include "proto/base/mutant.h"

#define SOON_MS 5000
#define SOON_TIMES 6
/* Sensors average over about a second: power belongs to a mode only after this. */
#define SETTLED_NS (2 * SL_NS_PER_S)

static const enum sl_figure doubts[] = {SL_FIG_XIDS,          SL_FIG_ECC_NEW,
                                        SL_FIG_LOST,          SL_FIG_RESET_NEEDED,
                                        SL_FIG_REMAP_PENDING, SL_FIG_REMAP_FAILED};

static bool casts_doubt(const struct sl_msg_telemetry *before, const struct sl_msg_telemetry *now) {
    for (size_t i = 0; i < sizeof doubts / sizeof doubts[0]; i++) {
        if (now->figures[doubts[i]] > before->figures[doubts[i]]) {
            return true;
        }
    }
    return false;
}

static int64_t soon_ms(const struct sl_agent_core *core) {
    return core->config.canary_ms < SOON_MS ? core->config.canary_ms : SOON_MS;
}

/* Re-tests come quickly for a while, beginning now. */
static void test_soon(struct agent_device *device, struct sl_now now) {
    if (device->sensed.canary_due_ns != 0 && device->sensed.canary_due_ns != AGENT_NEVER) {
        device->sensed.soon = SOON_TIMES;
        device->sensed.canary_due_ns = now.mono.ns;
    }
}

static void judge_fitness(struct sl_agent_core *core, struct agent_device *device,
                          struct sl_now now, bool unfit) {
    bool changed = device->sensed.unfit != unfit;
    device->sensed.unfit = unfit;
    if (changed && device->state == DEV_SAFE) {
        int64_t until_ns = device->safe_until_ns;
        agent_device_step(core, device, now, &(struct agent_cause){.kind = DEVC_SAFE});
        device->safe_until_ns = until_ns; /* the broker is away no shorter for it */
    }
    core->session.report_wanted = core->session.report_wanted || changed;
}

static bool lost(const struct agent_device *device) {
    return device->sensed.telemetry.figures[SL_FIG_LOST] == 1;
}

static void note_watts(struct agent_device *device, struct sl_now now) {
    struct agent_sensed *s = &device->sensed;
    if (device->mode <= SL_MODE_INVALID || device->mode >= SL_MODE_COUNT) {
        return;
    }
    struct sl_watts *watts = &s->watts[device->mode];
    s->mode_ns = s->mode_ns ? s->mode_ns : now.mono.ns;
    if (!sl_telemetry_has(&s->telemetry, SL_FIG_POWER_MW)) {
        *watts = (struct sl_watts){SL_SOURCE_UNKNOWN, 0};
    } else if (now.mono.ns - s->mode_ns >= SETTLED_NS) {
        int64_t mw = s->telemetry.figures[SL_FIG_POWER_MW];
        bool first = watts->source != SL_SOURCE_MEASURED;
        watts->mw = first ? mw : watts->mw + (mw - watts->mw) / 4;
        watts->source = SL_SOURCE_MEASURED;
    }
}

void sl_agent_telemetry(struct sl_agent_core *core, struct sl_now now, uint32_t index,
                        const struct sl_msg_telemetry *reading) {
    if (index >= core->config.device_count) {
        return;
    }
    struct agent_device *device = &core->devices[index];
    struct sl_msg_telemetry before = device->sensed.telemetry;
    device->sensed.telemetry = *reading;
    sl_telemetry_bound(&device->sensed.telemetry);
    note_watts(device, now);
    if (casts_doubt(&before, &device->sensed.telemetry)) {
        const char *note = device->sensed.telemetry.note;
        agent_log(core, SL_LOG_WARN, "device.doubt", "device=%s its driver reports errors%s%s",
                  device->info.key, note[0] ? ": " : "", note);
        test_soon(device, now);
        core->session.report_wanted = true;
    }
    if (lost(device) && !device->sensed.unfit) {
        judge_fitness(core, device, now, true);
    } else if (!lost(device) && before.figures[SL_FIG_LOST] == 1) {
        test_soon(device, now); /* it is back: a test that passes makes it fit again */
        if (core->config.canary_ms == 0) {
            judge_fitness(core, device, now, false); /* and where nobody wants tests, its driver */
        }
    }
    agent_settle(core, now);
}

void agent_health_ready(struct sl_agent_core *core, struct agent_device *device,
                        struct sl_now now) {
    /* What a broker doubted before this start ends when some have passed. */
    device->sensed.soon = SOON_TIMES;
    device->sensed.canary_due_ns =
        core->config.canary_ms > 0 ? sl_mono_after_ms(now.mono, soon_ms(core)).ns : AGENT_NEVER;
}

void agent_health_canary(struct sl_agent_core *core, struct agent_device *device, struct sl_now now,
                         const char *text) {
    struct agent_sensed *s = &device->sensed;
    bool passed = text[0] == '\0' || SL_MUTANT(retest_not_heeded);
    passed = passed && !(SL_MUTANT(retest_in_doubt) && s->passed % 16 == 15);
    s->canary_out = false;
    s->passed += passed;
    s->failed += !passed;
    s->soon = passed ? s->soon - (s->soon > 0) : SOON_TIMES;
    s->canary_due_ns =
        sl_mono_after_ms(now.mono, s->soon > 0 ? soon_ms(core) : core->config.canary_ms).ns;
    if (!passed) {
        agent_log(core, SL_LOG_ERROR, "device.canary", "device=%s %s", device->info.key, text);
    }
    core->session.report_wanted = core->session.report_wanted || !passed || s->soon > 0;
    judge_fitness(core, device, now, !passed || lost(device));
}

static bool can_test(const struct agent_device *device) {
    return device->state == DEV_SAFE || device->state == DEV_RESTING || device->state == DEV_LEASED;
}

void agent_health_timer(struct sl_agent_core *core, struct agent_device *device,
                        struct sl_now now) {
    struct agent_sensed *s = &device->sensed;
    if (!s->canary_out && s->canary_due_ns != 0 && s->canary_due_ns <= now.mono.ns &&
        can_test(device)) {
        s->canary_out = true;
        agent_post(core, device->index, &(struct sl_device_cmd){.kind = SL_DEVCMD_CANARY});
    }
}

int64_t agent_health_deadline(const struct agent_device *device) {
    const struct agent_sensed *s = &device->sensed;
    return s->canary_out || s->canary_due_ns == 0 || !can_test(device) ? AGENT_NEVER
                                                                       : s->canary_due_ns;
}

void agent_health_fill(const struct agent_device *device, struct sl_msg_telemetry *ret_telemetry) {
    const struct agent_sensed *s = &device->sensed;
    *ret_telemetry = s->telemetry;
    sl_telemetry_set(ret_telemetry, SL_FIG_HUNG, s->hung);
    sl_telemetry_set(ret_telemetry, SL_FIG_CANARY_PASSED, (int64_t)s->passed);
    sl_telemetry_set(ret_telemetry, SL_FIG_CANARY_FAILED, (int64_t)s->failed);
}
