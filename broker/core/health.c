/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/health.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/mutant.h"
#include "proto/base/text.h"

#define TOLD_NS (60 * SL_NS_PER_S)

/* By the buckets of NVIDIA's catalogue: an application's fault, a reset, a repair. */
static const struct {
    uint16_t xid;
    uint8_t state;
    const char *text;
} xids[] = {
    {13, SL_HEALTH_WARN, "a kernel did what it may not"},
    {31, SL_HEALTH_WARN, "a kernel read or wrote where there is no memory"},
    {43, SL_HEALTH_WARN, "a kernel was stopped by the driver"},
    {45, SL_HEALTH_WARN, "work was removed after another error"},
    {48, SL_HEALTH_DRAIN, "an uncorrected memory error"},
    {63, SL_HEALTH_DRAIN, "a memory row waits for a reset to be replaced"},
    {64, SL_HEALTH_QUARANTINE, "a bad memory row cannot be replaced"},
    {74, SL_HEALTH_QUARANTINE, "an NVLink error"},
    {79, SL_HEALTH_QUARANTINE, "the GPU has fallen off its bus"},
    {94, SL_HEALTH_DRAIN, "an uncorrected memory error, contained"},
    {95, SL_HEALTH_QUARANTINE, "an uncorrected memory error, not contained"},
    {119, SL_HEALTH_QUARANTINE, "the GPU's own processor does not answer"},
    {120, SL_HEALTH_QUARANTINE, "an error of the GPU's own processor"},
    {154, SL_HEALTH_QUARANTINE, "the driver asks for a reset or a reboot"},
};
#define XIDS (sizeof xids / sizeof xids[0])

enum sl_health_state sl_health_of_xid(const struct sl_policy_health *policy, uint32_t xid) {
    for (uint32_t i = 0; i < policy->xid_count; i++) {
        if (policy->xids[i].xid == xid) {
            return (enum sl_health_state)policy->xids[i].action;
        }
    }
    for (size_t i = 0; i < XIDS; i++) {
        if (xids[i].xid == xid) {
            return (enum sl_health_state)xids[i].state;
        }
    }
    return SL_HEALTH_WARN;
}

static void worse(struct sl_health_verdict *verdict, enum sl_health_state state,
                  enum sl_figure cause, uint32_t code, bool fresh) {
    verdict->fresh = verdict->fresh || (fresh && state > SL_HEALTH_OK);
    if (state > verdict->state) {
        verdict->state = state;
        verdict->cause = cause;
        verdict->code = code;
    }
}

static uint64_t figure(const struct sl_msg_telemetry *t, enum sl_figure figure) {
    return sl_telemetry_has(t, figure) && t->figures[figure] > 0 ? (uint64_t)t->figures[figure] : 0;
}

static void judge_xids(const struct sl_policy_health *policy, const struct sl_health_seen *seen,
                       const struct sl_msg_telemetry *t, struct sl_health_verdict *verdict) {
    uint64_t total = figure(t, SL_FIG_XIDS);
    uint64_t fresh = total > seen->xids ? total - seen->xids : 0;
    uint32_t first = fresh < t->xid_count ? t->xid_count - (uint32_t)fresh : 0;
    for (uint32_t i = first; fresh > 0 && i < t->xid_count; i++) {
        worse(verdict, sl_health_of_xid(policy, t->xids[i]), SL_FIG_XIDS, t->xids[i], true);
    }
}

struct sl_health_verdict sl_health_judge(const struct sl_policy_health *policy,
                                         const struct sl_health_seen *seen,
                                         const struct sl_msg_telemetry *t) {
    struct sl_health_verdict v = {.state = SL_HEALTH_OK};
    const struct {
        enum sl_figure fact;
        int64_t action;
        uint64_t above;
        bool fresh;
    } rows[] = {
        {SL_FIG_LOST, policy->lost, 0, false},
        {SL_FIG_REMAP_FAILED, policy->remap, 0, false},
        {SL_FIG_HUNG, policy->hung, 0, false},
        {SL_FIG_RESET_NEEDED, policy->reset, 0, false},
        {SL_FIG_REMAP_PENDING, policy->reset, 0, false},
        {SL_FIG_CANARY_FAILED, policy->canary, seen->canary_failed, true},
        {SL_FIG_ECC_NEW, policy->ecc, seen->ecc, true},
    };
    judge_xids(policy, seen, t, &v);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (figure(t, rows[i].fact) > rows[i].above) {
            worse(&v, (enum sl_health_state)rows[i].action, rows[i].fact, 0, rows[i].fresh);
        }
    }
    const struct {
        enum sl_figure fact;
        int64_t span_ms;
        enum sl_health_state state;
    } spans[] = {{SL_FIG_THERMAL_MS, policy->thermal_drain_ms, SL_HEALTH_DRAIN},
                 {SL_FIG_THERMAL_MS, policy->thermal_warn_ms, SL_HEALTH_WARN},
                 {SL_FIG_BRAKE_MS, policy->brake_warn_ms, SL_HEALTH_WARN}};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        if (spans[i].span_ms > 0 && figure(t, spans[i].fact) >= (uint64_t)spans[i].span_ms) {
            worse(&v, spans[i].state, spans[i].fact, 0, false);
        }
    }
    return v;
}

void sl_health_text(const struct sl_health_verdict *verdict, const struct sl_msg_telemetry *t,
                    char *out, size_t size) {
    unsigned long long n = figure(t, verdict->cause);
    switch ((int)verdict->cause) {
    case SL_FIG_XIDS:
        snprintf(out, size, "driver error (Xid) %u", verdict->code);
        for (size_t i = 0; i < XIDS; i++) {
            if (xids[i].xid == verdict->code) {
                snprintf(out, size, "driver error (Xid) %u: %s", verdict->code, xids[i].text);
            }
        }
        return;
    case SL_FIG_ECC_NEW:
        snprintf(out, size, "uncorrected memory errors: %llu since the agent's start", n);
        return;
    case SL_FIG_LOST:
        snprintf(out, size, "%s", t->note[0] ? t->note : "the GPU has fallen off its bus");
        return;
    case SL_FIG_REMAP_FAILED:
        snprintf(out, size, "bad memory rows cannot be replaced any more");
        return;
    case SL_FIG_REMAP_PENDING:
        snprintf(out, size, "memory rows wait for a reset of the GPU to be replaced");
        return;
    case SL_FIG_RESET_NEEDED:
        snprintf(out, size, "%s", t->note[0] ? t->note : "the driver wants the GPU reset");
        return;
    case SL_FIG_HUNG:
        snprintf(out, size, "a kernel never returned");
        return;
    case SL_FIG_CANARY_FAILED:
        snprintf(out, size, "a known answer was wrong: the device computes wrongly");
        return;
    case SL_FIG_THERMAL_MS:
        snprintf(out, size, "slowed by heat for %llu s without a break", n / 1000);
        return;
    case SL_FIG_BRAKE_MS:
        snprintf(out, size, "slowed by its power supply or hardware protection for %llu s",
                 n / 1000);
        return;
    default:
        snprintf(out, size, "healthy");
    }
}

const char *sl_health_way_back(enum sl_health_state state) {
    switch (state) {
    case SL_HEALTH_WARN:
    case SL_HEALTH_DRAIN:
        return "by itself, when the cause is gone and re-tests have passed; or `sluice health "
               "clear DEVICE`";
    case SL_HEALTH_QUARANTINE:
        return "repair or reset it, then `sluice health clear DEVICE`";
    case SL_HEALTH_OK:
    case SL_HEALTH_STATES:
    default:
        return "";
    }
}

/* ---- the devices of the core ---- */

static void drop_texts(struct sl_core_health *health) {
    free(health->text);
    free(health->uuid);
    health->text = health->uuid = NULL;
}

void sl_core_health_destroy(struct sl_core_health *health) {
    if (health) {
        drop_texts(health);
        free(health);
    }
}

const struct sl_core_health *sl_core_health_of(const struct sl_broker_core *core, uint32_t dev) {
    static const struct sl_core_health none;
    return core->fleet.health[dev] ? core->fleet.health[dev] : &none;
}

/* To write in: of a device that has nothing yet, what every device begins with. */
static struct sl_core_health *own(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_health **at = &core->fleet.health[dev];
    *at = *at ? *at : sl_core_calloc(1, sizeof **at);
    return *at;
}

static void set_text(char **at, const char *text) {
    free(*at);
    *at = text[0] ? strdup(text) : NULL;
    sl_assert(*at || !text[0]);
}

static void store(struct sl_broker_core *core, uint32_t dev) {
    struct sl_core_health *h = own(core, dev);
    struct sl_op op = {.kind = SL_OP_HEALTH};
    op.health = (struct sl_health_row){.state = (enum sl_health_state)h->state,
                                       .cause = h->cause,
                                       .code = h->code,
                                       .since = {h->since_ms},
                                       .incidents = h->incidents,
                                       .incident_at = {h->incident_ms},
                                       .rma = h->rma};
    sl_text_copy(op.health.device, sizeof op.health.device, core->fleet.cold[dev].key);
    sl_text_copy(op.health.uuid, sizeof op.health.uuid, h->uuid ? h->uuid : "");
    sl_text_copy(op.health.text, sizeof op.health.text, h->text ? h->text : "");
    snprintf(op.health.seen, sizeof op.health.seen, "%" PRIu64 " %u %u %u", h->seen.boot_id,
             h->seen.xids, h->seen.ecc, h->seen.canary_failed);
    sl_core_op(core, &op);
    h->rows = true;
}

/* Counts quarantines; those longer ago than the policy's span do not make it a case for repair. */
static void count_incident(struct sl_broker_core *core, struct sl_core_health *h) {
    const struct sl_policy_health *policy = &core->config.policy.health;
    int64_t now_ms = core->now.wall.ms;
    if (h->incidents == 0 || now_ms - h->incident_ms > policy->rma_span_ms) {
        h->incidents = 0;
        h->incident_ms = now_ms;
    }
    h->incidents++;
    h->rma = h->rma || (policy->rma_incidents > 0 && h->incidents >= policy->rma_incidents);
}

static void change(struct sl_broker_core *core, uint32_t dev, enum sl_health_state state,
                   const char *text) {
    static const char *const kinds[SL_HEALTH_STATES] = {"health.ok", "health.warn", "health.drain",
                                                        "health.quarantine"};
    struct sl_core_health *h = own(core, dev);
    if (state == SL_HEALTH_QUARANTINE && h->state != SL_HEALTH_QUARANTINE) {
        count_incident(core, h);
    }
    h->since_ms = h->state == state ? h->since_ms : core->now.wall.ms;
    h->state = (uint8_t)state;
    h->told_ns = core->now.mono.ns;
    set_text(&h->text, state == SL_HEALTH_OK ? "" : text);
    enum sl_severity severity = state == SL_HEALTH_OK     ? SL_SEVERITY_INFO
                                : state == SL_HEALTH_WARN ? SL_SEVERITY_WARN
                                                          : SL_SEVERITY_ALERT;
    sl_core_event_note(core, severity, kinds[state], SL_CORE_NONE, dev, "%s%s", text,
                       h->rma && state == SL_HEALTH_QUARANTINE
                           ? "; it was quarantined too often: send it back"
                           : "");
    sl_core_log(core, state == SL_HEALTH_OK ? SL_LOG_INFO : SL_LOG_WARN, "device.health",
                "device=%s state=%s: %s", core->fleet.cold[dev].key, sl_health_state_name(state),
                text);
    store(core, dev);
    sl_core_arm(core);
}

const char *sl_core_health_uuid(const struct sl_broker_core *core, uint32_t dev) {
    const char *uuid = sl_core_health_of(core, dev)->uuid;
    return uuid ? uuid : "";
}

/* Makers that number nothing say nothing, or the same digit throughout: no GPU is known by it. */
static bool names_one(const char *uuid) {
    return uuid[strspn(uuid, "0-")] != '\0' && uuid[strspn(uuid, "fF-")] != '\0';
}

static void list_uuid(struct sl_broker_core *core, uint32_t dev) {
    const char *uuid = sl_core_health_uuid(core, dev);
    if (uuid[0] && sl_core_index_find(core, &core->devices_by_uuid, uuid) != dev) {
        sl_core_index_add(core, &core->devices_by_uuid, dev);
    }
}

/* The GPU was `old` and is `dev` now: one row at a time holds a UUID, so that its health is what
 * was said of it last. Within a node the rows change places: the empty one has no past, and
 * whatever is put there begins anew. Another node's keeps its state, since a node's word frees no
 * device but its own. */
static void come_along(struct sl_broker_core *core, uint32_t dev, uint32_t old) {
    struct sl_core_health **at = core->fleet.health;
    struct sl_core_health *to = own(core, dev);
    struct sl_core_health *from = at[old];
    if (core->fleet.node[dev] == core->fleet.node[old]) {
        at[dev] = from;
        at[old] = to;
    } else {
        drop_texts(to);
        *to = *from;
        from->uuid = to->text = NULL;
        set_text(&to->text, from->text ? from->text : "");
    }
    at[old]->here = false;
    at[dev]->here = true;
    at[dev]->seen = (struct sl_health_seen){0}; /* counted by another start of an agent */
    list_uuid(core, dev);
    list_uuid(core, old);
    sl_core_event_note(core, SL_SEVERITY_WARN, "device.moved", SL_CORE_NONE, dev,
                       "is the GPU that was %s; its health comes along", core->fleet.cold[old].key);
    store(core, old);
    store(core, dev);
}

static void refuse_uuid(struct sl_broker_core *core, uint32_t dev, uint32_t owner,
                        const char *uuid) {
    struct sl_core_health *h = own(core, dev);
    uint32_t node = core->fleet.node[dev];
    if (h->uuid_told) {
        return; /* it is in each of its reports */
    }
    h->uuid_told = true;
    if (core->fleet.node[owner] == node) {
        sl_core_event_note(core, SL_SEVERITY_WARN, "device.refused", SL_CORE_NONE, dev,
                           "has the UUID of %s, which is there too: its health is kept by its "
                           "place alone",
                           core->fleet.cold[owner].key);
    } else {
        sl_core_foreign(core, node, "UUID", uuid, core->fleet.node[owner]);
    }
}

/* A device names a UUID that it is not known by. GPUs change their slots between two starts of an
 * agent only (begun: this is the first report of one). A UUID that is in use stays where it is: two
 * makers' boards may have the same, and a node could else take the name of any GPU. The second one
 * works on, and its health is its key's. */
static void name_uuid(struct sl_broker_core *core, uint32_t dev, const char *uuid, bool begun) {
    struct sl_core_health *h = own(core, dev);
    uint32_t old = sl_core_index_find(core, &core->devices_by_uuid, uuid);
    h->uuid_told = h->uuid_told && !begun;
    if (old == SL_CORE_NONE) {
        /* Its state stays, though another GPU was known here: a quarantine ends by a person. */
        set_text(&h->uuid, uuid);
        list_uuid(core, dev);
        store(core, dev); /* so that it is known again in another slot */
        return;
    }
    bool foreign = core->fleet.node[old] != core->fleet.node[dev];
    if (core->fleet.health[old]->here || !begun || (foreign && h->uuid)) {
        refuse_uuid(core, dev, old, uuid);
    } else {
        come_along(core, dev, old);
    }
}

static void note_seen(struct sl_core_health *h, const struct sl_msg_telemetry *t) {
    h->seen.xids = (uint32_t)figure(t, SL_FIG_XIDS);
    h->seen.ecc = (uint32_t)figure(t, SL_FIG_ECC_NEW);
    h->seen.canary_failed = (uint32_t)figure(t, SL_FIG_CANARY_FAILED);
    h->passed = (uint32_t)figure(t, SL_FIG_CANARY_PASSED);
}

static void recover(struct sl_broker_core *core, uint32_t dev,
                    const struct sl_health_verdict *verdict) {
    struct sl_core_health *h = own(core, dev);
    int64_t passes = core->config.policy.health.passes;
    if (verdict->state != SL_HEALTH_OK) {
        h->passes_base =
            h->passed; /* the cause is still there: tests before its end do not count */
    } else if (h->passed >= h->passes_base + (passes > 0 ? passes : 1)) {
        char text[SL_WHY_MAX];
        snprintf(text, sizeof text, "%u re-tests have passed", h->passed - h->passes_base);
        change(core, dev, SL_HEALTH_OK, text);
    }
}

/* Of most devices there is nothing to remember: they never failed, and nothing counts. */
static bool is_plain(const struct sl_policy_health *policy, const struct sl_msg_device *report) {
    static const struct sl_health_seen none;
    const struct sl_msg_telemetry *t = &report->telemetry;
    return !names_one(report->uuid) && figure(t, SL_FIG_XIDS) == 0 &&
           figure(t, SL_FIG_ECC_NEW) == 0 && figure(t, SL_FIG_CANARY_FAILED) == 0 &&
           figure(t, SL_FIG_CANARY_PASSED) == 0 &&
           sl_health_judge(policy, &none, t).state == SL_HEALTH_OK;
}

/* The same again, with every report: one event a minute says it. */
static bool is_told(const struct sl_broker_core *core, const struct sl_core_health *h,
                    const struct sl_health_verdict *verdict) {
    return verdict->state == h->state && verdict->cause == h->cause && verdict->code == h->code &&
           h->told_ns != 0 && core->now.mono.ns - h->told_ns < TOLD_NS;
}

/* Another start of the agent. */
static void begin(struct sl_broker_core *core, uint32_t dev, uint64_t boot_id) {
    struct sl_core_health *h = own(core, dev);
    h->seen = (struct sl_health_seen){.boot_id = boot_id};
    h->passes_base = 0;
    h->base_unknown = false;
    if (h->state != SL_HEALTH_OK) {
        store(core, dev); /* a broker that starts again knows that this start was counted from */
    }
}

/* The GPU that is known by this key is still there: its UUID is said of the key, or, where the
 * key's device says none, of no other. */
static bool is_here(const struct sl_broker_core *core, uint32_t dev,
                    const struct sl_msg_hello *hello) {
    const char *uuid = sl_core_health_uuid(core, dev);
    bool elsewhere = false;
    const struct sl_msg_device *own_report = NULL;
    for (uint32_t i = 0; i < hello->device_count; i++) {
        const struct sl_msg_device *report = &hello->devices[i];
        if (strcmp(report->key, core->fleet.cold[dev].key) == 0) {
            own_report = report;
        } else {
            elsewhere = elsewhere || (uuid[0] && strcmp(report->uuid, uuid) == 0);
        }
    }
    if (!own_report || !uuid[0]) {
        return own_report;
    }
    return names_one(own_report->uuid) ? strcmp(own_report->uuid, uuid) == 0 : !elsewhere;
}

void sl_core_health_here(struct sl_broker_core *core, uint32_t dev,
                         const struct sl_msg_hello *hello) {
    if (core->fleet.health[dev]) {
        core->fleet.health[dev]->here = hello && is_here(core, dev, hello);
    }
}

bool sl_core_health_moved(const struct sl_broker_core *core, const struct sl_msg_device *report) {
    uint32_t old = names_one(report->uuid)
                       ? sl_core_index_find(core, &core->devices_by_uuid, report->uuid)
                       : SL_CORE_NONE;
    return old != SL_CORE_NONE && !core->fleet.health[old]->here &&
           strcmp(core->fleet.cold[old].key, report->key) != 0;
}

void sl_core_health_heard(struct sl_broker_core *core, uint32_t dev,
                          const struct sl_msg_device *report) {
    const struct sl_msg_telemetry *t = &report->telemetry;
    if (!core->fleet.health[dev] && is_plain(&core->config.policy.health, report)) {
        return;
    }
    struct sl_core_health *h = own(core, dev);
    uint64_t boot_id = core->nodes[core->fleet.node[dev]].boot_id;
    h->here = true;
    if (names_one(report->uuid) && (!h->uuid || strcmp(h->uuid, report->uuid) != 0)) {
        name_uuid(core, dev, report->uuid, h->seen.boot_id != boot_id);
        h = own(core, dev);
    }
    if (h->seen.boot_id != boot_id) {
        begin(core, dev, boot_id);
    }
    struct sl_health_verdict verdict = sl_health_judge(&core->config.policy.health, &h->seen, t);
    note_seen(h, t);
    if (h->base_unknown) {
        h->passes_base = h->passed;
        h->base_unknown = false;
    }
    if (verdict.state > h->state || (verdict.state == h->state && verdict.fresh)) {
        char text[SL_WHY_MAX];
        bool told = is_told(core, h, &verdict);
        h->cause = (uint8_t)verdict.cause;
        h->code = (uint16_t)verdict.code;
        h->passes_base = h->passed;
        sl_health_text(&verdict, t, text, sizeof text);
        if (told) {
            set_text(&h->text, text);
        } else {
            change(core, dev, verdict.state, text);
        }
    } else if (h->state == SL_HEALTH_WARN || h->state == SL_HEALTH_DRAIN ||
               (h->state == SL_HEALTH_QUARANTINE && SL_MUTANT(quarantine_ends_by_itself))) {
        recover(core, dev, &verdict);
    }
}

const char *sl_core_health_holds(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_health *h = core->fleet.health[dev];
    struct sl_msg_device report;
    if (!h || h->state < SL_HEALTH_DRAIN || core->fleet.state[dev] == SL_DEVICE_LOST ||
        core->nodes[core->fleet.node[dev]].state != SL_SESSION_LIVE) {
        return NULL;
    }
    sl_core_report_get(core, dev, &report);
    bool holds = sl_health_judge(&core->config.policy.health, &h->seen, &report.telemetry).state >=
                 (enum sl_health_state)h->state;
    return holds ? h->text : NULL;
}

void sl_core_health_clear(struct sl_broker_core *core, uint32_t dev, const char *by) {
    struct sl_core_health *h = core->fleet.health[dev];
    if (h && h->state != SL_HEALTH_OK && !sl_core_health_holds(core, dev)) {
        char text[SL_WHY_MAX];
        snprintf(text, sizeof text, "cleared by %s (it was in %s: %s)", by,
                 sl_health_state_name((enum sl_health_state)h->state), h->text ? h->text : "");
        h->passes_base = h->passed;
        change(core, dev, SL_HEALTH_OK, text);
    }
}

void sl_core_health_unmark(struct sl_broker_core *core, uint32_t dev, const char *by) {
    struct sl_core_health *h = core->fleet.health[dev];
    if (h && h->rma && h->state == SL_HEALTH_OK) {
        h->rma = false;
        h->incidents = 0;
        sl_core_event_note(core, SL_SEVERITY_INFO, "health.ok", SL_CORE_NONE, dev,
                           "is not marked for repair any more: cleared by %s", by);
        store(core, dev);
    }
}

const char *sl_core_health_bars(const struct sl_broker_core *core, uint32_t dev) {
    const struct sl_core_health *h = sl_core_health_of(core, dev);
    if (h->state < SL_HEALTH_DRAIN || SL_MUTANT(quarantine_ignored)) {
        return NULL;
    }
    return h->text ? h->text : "";
}

/* Earlier versions left a UUID with every slot in which the GPU has been: the one whose state is
 * the newest has it. */
static void restore_uuid(struct sl_broker_core *core, uint32_t dev, const char *uuid) {
    struct sl_core_health *h = own(core, dev);
    uint32_t other = sl_core_index_find(core, &core->devices_by_uuid, uuid);
    bool shared = other != SL_CORE_NONE && other != dev;
    if (!names_one(uuid) || (shared && core->fleet.health[other]->since_ms > h->since_ms)) {
        return;
    }
    if (shared) {
        set_text(&core->fleet.health[other]->uuid, "");
    }
    set_text(&h->uuid, uuid);
    list_uuid(core, dev);
}

int sl_broker_core_restore_health(struct sl_broker_core *core, const struct sl_health_row *row) {
    uint32_t dev = sl_core_device_find(core, row->device);
    struct sl_health_seen seen = {0};
    if (dev == SL_CORE_NONE || (unsigned)row->state >= SL_HEALTH_STATES || row->code > UINT16_MAX ||
        row->cause >= SL_FIG_COUNT ||
        sscanf(row->seen, "%" SCNu64 " %u %u %u", &seen.boot_id, &seen.xids, &seen.ecc,
               &seen.canary_failed) != 4) {
        return -SL_CORRUPT;
    }
    struct sl_core_health *h = own(core, dev);
    drop_texts(h);
    *h = (struct sl_core_health){.seen = seen,
                                 .since_ms = row->since.ms,
                                 .incident_ms = row->incident_at.ms,
                                 .incidents = row->incidents,
                                 .code = (uint16_t)row->code,
                                 .state = (uint8_t)row->state,
                                 .cause = row->cause,
                                 .rma = row->rma,
                                 .rows = true,
                                 .base_unknown = true};
    set_text(&h->text, row->state == SL_HEALTH_OK ? "" : row->text);
    restore_uuid(core, dev, row->uuid);
    return SL_OK;
}
