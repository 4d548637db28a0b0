/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/fake_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_MAX 64
#define OUTBOX_MAX 32
#define STATS_EVERY_NS SL_NS_PER_S
#define NEVER INT64_MAX

enum phase {
    PHASE_PREPARING = 1, /* until READY */
    PHASE_RUNNING,
    PHASE_HALTING,  /* until HALTED, or until the switch that a MODE asked for by itself */
    PHASE_HALTED,   /* waits for MODE */
    PHASE_STARTING, /* MODE taken, first kernel not yet finished */
    PHASE_DEAD,
};

struct fake {
    struct sl_device base;
    struct sl_fake_script script;
    enum phase phase;
    int64_t now_ns;
    int64_t due_ns;       /* when the present phase ends by itself */
    int64_t stats_due_ns; /* next STATS */
    int64_t kernel_ns;    /* STARTING: when the first kernel starts */
    bool quiet_halt;      /* halting for a MODE: no HALTED event */
    bool has_next;        /* a MODE waits for the halt to end */
    enum sl_mode next_mode;
    uint64_t next_epoch;
    struct sl_device_stats stats;
    double hashes_carry;
    /* Hashing. */
    struct sl_job *job;
    struct sl_work_cursor cursor;
    int64_t candidate_left_ns; /* hashing time until the next candidate */
    /* Inference: the first unit is worked on, line by line. */
    struct sl_device_unit *units[UNITS_MAX];
    uint32_t unit_count;
    uint32_t line_at;
    bool line_begun;
    int64_t line_left_ns;
    bool asked_for_work;
    bool canary_wanted;
    /* Events on their way. */
    struct sl_device_event outbox[OUTBOX_MAX];
    uint32_t outbox_count;
};

static struct fake *of(struct sl_device *device) {
    return (struct fake *)device;
}

/* splitmix64: a fixed, well mixed sequence. */
static uint64_t mix(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void sl_fake_vector(const int32_t *ids, uint32_t n_ids, uint32_t dim, float *ret_vector) {
    uint64_t state = n_ids;
    double sum = 0.0;
    for (uint32_t i = 0; i < n_ids; i++) {
        state = state * 31 + (uint64_t)(uint32_t)ids[i];
    }
    for (uint32_t i = 0; i < dim; i++) {
        double x = (double)(int64_t)mix(&state) / 9.3e18;
        ret_vector[i] = (float)x;
        sum += x * x;
    }
    for (uint32_t i = 0; i < dim; i++) {
        ret_vector[i] = (float)(ret_vector[i] / sqrt(sum));
    }
}

static void flush_outbox(struct fake *f) {
    uint32_t sent = 0;
    while (sent < f->outbox_count) {
        int rc = sl_mailbox_put(f->base.events, &f->outbox[sent]);
        if (rc == -SL_AGAIN) {
            break;
        }
        if (rc != SL_OK) {
            sl_device_event_fini(&f->outbox[sent]);
        }
        sent++;
    }
    f->outbox_count -= sent;
    memmove(f->outbox, f->outbox + sent, f->outbox_count * sizeof f->outbox[0]);
}

static void emit(struct fake *f, struct sl_device_event *event) {
    sl_assert(f->outbox_count < OUTBOX_MAX);
    event->device = f->base.index;
    event->epoch = f->stats.epoch;
    event->mode = f->stats.mode;
    if (event->at.ns == 0) {
        event->at.ns = f->now_ns;
    }
    f->outbox[f->outbox_count++] = *event;
}

static void emit_report(struct fake *f, enum sl_device_event_kind kind) {
    struct sl_device_event event = {.kind = kind};
    event.report = calloc(1, sizeof *event.report);
    if (event.report) {
        event.report->info = f->script.info;
        event.report->stats = f->stats;
        emit(f, &event);
    }
    f->stats_due_ns = f->now_ns + STATS_EVERY_NS;
}

static void die(struct fake *f, bool hung, const char *text) {
    struct sl_device_event event = {.kind = SL_DEVEV_FAILED, .hung = hung};
    strncpy(event.text, text, sizeof event.text - 1);
    emit(f, &event);
    f->phase = PHASE_DEAD;
    f->due_ns = NEVER;
}

static int64_t hang_ns(const struct fake *f) {
    return (int64_t)(f->script.hang_ms ? f->script.hang_ms : 10000) * SL_NS_PER_MS;
}

static void drop_unit(struct fake *f, uint32_t i) {
    free(f->units[i]);
    f->unit_count--;
    memmove(f->units + i, f->units + i + 1, (f->unit_count - i) * sizeof(struct sl_device_unit *));
    if (i == 0) {
        f->line_at = 0;
        f->line_begun = false;
    }
}

static void begin_halt(struct fake *f, bool quiet) {
    int64_t span =
        f->script.failure == SL_FAKE_SLOW_HALT ? hang_ns(f) / 2 : (int64_t)f->script.halt_us * 1000;
    f->phase = PHASE_HALTING;
    f->quiet_halt = quiet;
    f->due_ns = f->now_ns + span;
}

static void begin_start(struct fake *f, uint64_t epoch, enum sl_mode mode) {
    for (uint32_t i = f->unit_count; i-- > 0;) {
        if (f->units[i]->epoch < epoch) {
            drop_unit(f, i);
        }
    }
    f->stats.mode = mode;
    f->stats.epoch = epoch;
    f->has_next = false;
    f->asked_for_work = false;
    f->phase = PHASE_STARTING;
    f->kernel_ns = f->now_ns;
    f->due_ns = f->now_ns;
    if (mode != SL_MODE_IDLE) {
        f->kernel_ns += (int64_t)f->script.start_us * 1000;
        f->due_ns = f->kernel_ns + (int64_t)f->script.launch_us * 1000;
    }
}

static void finish_phase(struct fake *f) {
    switch (f->phase) {
    case PHASE_PREPARING:
        if (f->script.failure == SL_FAKE_SELF_TEST) {
            die(f, false, "self-test failed: the device computes wrongly; update its driver");
            return;
        }
        f->phase = PHASE_RUNNING;
        f->due_ns = NEVER;
        emit_report(f, SL_DEVEV_READY);
        if (f->has_next) {
            begin_start(f, f->next_epoch, f->next_mode);
        }
        return;
    case PHASE_HALTING:
        f->phase = PHASE_HALTED;
        f->due_ns = NEVER;
        if (!f->quiet_halt) {
            struct sl_device_event event = {.kind = SL_DEVEV_HALTED};
            emit(f, &event);
        }
        if (f->has_next) {
            begin_start(f, f->next_epoch, f->next_mode);
        }
        return;
    case PHASE_STARTING: {
        struct sl_device_event event = {.kind = SL_DEVEV_STARTED, .at = {f->kernel_ns}};
        f->phase = PHASE_RUNNING;
        f->due_ns = NEVER;
        emit(f, &event);
        emit_report(f, SL_DEVEV_STATS);
        return;
    }
    case PHASE_RUNNING:
    case PHASE_HALTED:
    case PHASE_DEAD:
        f->due_ns = NEVER;
        return;
    }
}

static bool is_hashing(const struct fake *f) {
    return f->phase == PHASE_RUNNING && f->stats.mode == SL_MODE_HASH && f->job;
}

static bool is_inferring(const struct fake *f) {
    return f->phase == PHASE_RUNNING && f->stats.mode == SL_MODE_INFER && f->unit_count > 0;
}

/* Of a text of so many tokens, where the script says so, else of any text. */
static uint64_t model_rate_milli(const struct fake *f, const char *id, uint64_t tokens) {
    for (uint32_t i = 0; i < f->script.model_count; i++) {
        const struct sl_device_model *model = &f->script.models[i];
        if (strcmp(model->id, id) == 0) {
            uint64_t of_length = model->length_rates_milli[sl_length_class(tokens)];
            return of_length ? of_length : model->tokens_per_s_milli;
        }
    }
    return 0;
}

static void begin_line(struct fake *f) {
    const struct sl_device_unit *unit = f->units[0];
    uint64_t tokens = f->line_at < unit->n_lines ? unit->lines[f->line_at].n_ids : 0;
    uint64_t milli = model_rate_milli(f, unit->model, tokens);
    f->line_begun = true;
    f->line_left_ns = milli > 0 ? (int64_t)((double)tokens * 1e12 / (double)milli) : 0;
}

static void finish_line(struct fake *f) {
    const struct sl_device_unit *unit = f->units[0];
    if (f->line_at < unit->n_lines) {
        const struct sl_unit_line *line = &unit->lines[f->line_at++];
        struct sl_device_event event = {.kind = SL_DEVEV_LINE, .unit_id = unit->unit_id};
        event.line.unit_id = unit->unit_id;
        event.line.line = line->line;
        event.line.input = line->input;
        event.line.tokens = line->n_ids;
        event.line.dim = f->script.dim ? f->script.dim : 384;
        bool bad = f->script.failure == SL_FAKE_BAD_VECTOR ||
                   model_rate_milli(f, unit->model, line->n_ids) == 0;
        event.line.vector = bad ? NULL : malloc(event.line.dim * sizeof(float));
        event.line.status = event.line.vector ? SL_OK : -SL_DEVICE;
        if (event.line.vector) {
            sl_fake_vector(line->ids, line->n_ids, event.line.dim, event.line.vector);
            if (f->script.failure == SL_FAKE_NAN_VECTOR) {
                event.line.vector[event.line.dim / 2] = NAN;
            }
        }
        f->stats.tokens_total += line->n_ids;
        f->stats.lines_total++;
        emit(f, &event);
    }
    f->line_begun = false;
    if (f->line_at >= unit->n_lines) {
        struct sl_device_event done = {.kind = SL_DEVEV_UNIT_DONE, .unit_id = unit->unit_id};
        emit(f, &done);
        drop_unit(f, 0);
        f->asked_for_work = false;
    }
}

/* Made up from the header: two devices that search the same one find the same, as they would. */
static uint32_t nonce_of(const struct sl_work *work) {
    uint32_t nonce = 2166136261u;
    for (size_t i = 0; i < sizeof work->header; i++) {
        nonce = (nonce ^ work->header[i]) * 16777619u;
    }
    return nonce;
}

static void find_candidate(struct fake *f) {
    struct sl_device_event event = {.kind = SL_DEVEV_CANDIDATE};
    struct sl_work *work = &event.candidate.work;
    f->candidate_left_ns = (int64_t)f->script.candidate_every_us * 1000;
    if (sl_work_next(&f->cursor, f->job, work, NULL) != SL_OK) {
        return;
    }
    event.candidate.nonce = nonce_of(work);
    for (uint32_t nonce = 0; nonce < f->script.candidate_search; nonce++) {
        uint8_t hash[32];
        sl_work_hash(work, nonce, hash);
        if (sl_hash_meets(hash, &work->target)) {
            event.candidate.nonce = nonce;
            emit(f, &event);
            return;
        }
    }
    if (f->script.candidate_search == 0) {
        emit(f, &event);
    }
}

/* What a span without events adds up to. */
static void work_for(struct fake *f, int64_t span_ns) {
    enum sl_mode mode = f->stats.mode;
    f->now_ns += span_ns;
    if (is_hashing(f)) {
        double hashes = (double)f->script.hash_rate_hs * (double)span_ns / 1e9 + f->hashes_carry;
        f->stats.hashes_total += (uint64_t)hashes;
        f->hashes_carry = hashes - floor(hashes);
        f->stats.busy_ns[mode] += (uint64_t)span_ns;
        f->candidate_left_ns -= span_ns;
    } else if (is_inferring(f)) {
        f->stats.busy_ns[mode] += (uint64_t)span_ns;
        f->line_left_ns -= span_ns;
    }
}

static bool is_mute(const struct fake *f) {
    return f->phase == PHASE_DEAD || f->script.failure == SL_FAKE_HANG;
}

int64_t sl_fake_device_next_ns(const struct sl_device *device) {
    const struct fake *f = (const struct fake *)device;
    if (f->outbox_count > 0) {
        return f->now_ns;
    }
    int64_t next = f->due_ns;
    if (is_mute(f)) {
        return next;
    }
    if (f->phase != PHASE_PREPARING && f->stats_due_ns < next) {
        next = f->stats_due_ns;
    }
    if (is_hashing(f) && f->script.candidate_every_us > 0 &&
        f->now_ns + f->candidate_left_ns < next) {
        next = f->now_ns + f->candidate_left_ns;
    }
    if (is_inferring(f)) {
        int64_t left_ns = f->line_begun ? f->line_left_ns : 0;
        next = f->now_ns + left_ns < next ? f->now_ns + left_ns : next;
    }
    bool wants_work = f->phase == PHASE_RUNNING && f->stats.mode == SL_MODE_INFER &&
                      f->unit_count <= 1 && !f->asked_for_work;
    wants_work = wants_work || (f->phase == PHASE_RUNNING && f->canary_wanted);
    return wants_work ? f->now_ns : next;
}

static void re_test(struct fake *f) {
    struct sl_device_event event = {.kind = SL_DEVEV_CANARY};
    f->canary_wanted = false;
    if (f->script.failure == SL_FAKE_BAD_VECTOR || f->script.failure == SL_FAKE_NAN_VECTOR ||
        f->script.failure == SL_FAKE_WRONG) {
        strncpy(event.text, "a known answer is wrong", sizeof event.text - 1);
    }
    emit(f, &event);
}

/* Everything that is due at the present moment. */
static void happen(struct fake *f) {
    if (f->due_ns <= f->now_ns) {
        if (f->script.failure == SL_FAKE_HANG) {
            die(f, true,
                "a launch does not end: the device hangs; restart the agent or the machine");
            return;
        }
        finish_phase(f);
        return;
    }
    if (is_mute(f)) {
        return;
    }
    if (is_hashing(f) && f->script.candidate_every_us > 0 && f->candidate_left_ns <= 0) {
        find_candidate(f);
        return;
    }
    if (is_inferring(f) && f->line_begun && f->line_left_ns <= 0) {
        finish_line(f);
    }
    if (is_inferring(f) && !f->line_begun) {
        begin_line(f);
    }
    if (f->phase == PHASE_RUNNING && f->canary_wanted) {
        re_test(f);
    }
    if (f->phase == PHASE_RUNNING && f->stats.mode == SL_MODE_INFER && f->unit_count <= 1 &&
        !f->asked_for_work) {
        struct sl_device_event event = {.kind = SL_DEVEV_NEED_WORK};
        f->asked_for_work = true;
        emit(f, &event);
    }
    if (f->phase != PHASE_PREPARING && f->stats_due_ns <= f->now_ns) {
        emit_report(f, SL_DEVEV_STATS);
    }
}

void sl_fake_device_advance(struct sl_device *device, struct sl_mono now) {
    struct fake *f = of(device);
    flush_outbox(f);
    while (f->outbox_count == 0) {
        int64_t next = sl_fake_device_next_ns(device);
        if (next > now.ns) {
            if (now.ns > f->now_ns && !is_mute(f)) {
                work_for(f, now.ns - f->now_ns);
            } else if (now.ns > f->now_ns) {
                f->now_ns = now.ns;
            }
            return;
        }
        if (next > f->now_ns) {
            work_for(f, next - f->now_ns);
        }
        happen(f);
        flush_outbox(f);
    }
}

void sl_fake_device_fail(struct sl_device *device, enum sl_fake_failure failure) {
    struct fake *f = of(device);
    f->script.failure = failure;
    if (f->phase == PHASE_DEAD) {
        return;
    }
    if (failure == SL_FAKE_HANG) {
        f->due_ns = f->now_ns + hang_ns(f);
    } else if (failure == SL_FAKE_LOST) {
        die(f, false, "the device is lost; restart the agent or the machine");
    }
}

static void fake_halt(struct sl_device *device) {
    struct fake *f = of(device);
    switch (f->phase) {
    case PHASE_RUNNING:
    case PHASE_STARTING:
    case PHASE_HALTED:
        begin_halt(f, false);
        break;
    case PHASE_HALTING:
        f->quiet_halt = false;
        break;
    case PHASE_PREPARING:
    case PHASE_DEAD:
        break;
    }
}

static void take_mode(struct fake *f, const struct sl_device_cmd *cmd) {
    if (f->phase == PHASE_HALTED) {
        begin_start(f, cmd->epoch, cmd->mode);
        return;
    }
    f->has_next = true;
    f->next_epoch = cmd->epoch;
    f->next_mode = cmd->mode;
    if (f->phase == PHASE_RUNNING || f->phase == PHASE_STARTING) {
        begin_halt(f, true);
    }
}

static void take_job(struct fake *f, struct sl_device_cmd *cmd) {
    sl_job_unref(f->job);
    f->job = sl_take(&cmd->job);
    if (f->job &&
        (f->cursor.slots != cmd->extranonce2_slots || f->cursor.device != cmd->extranonce2_slot)) {
        if (sl_work_cursor_init(&f->cursor, cmd->extranonce2_slot, cmd->extranonce2_slots, NULL) !=
            SL_OK) {
            sl_job_unref(sl_take(&f->job));
        }
    }
}

static int fake_post(struct sl_device *device, struct sl_device_cmd *cmd) {
    struct fake *f = of(device);
    switch (cmd->kind) {
    case SL_DEVCMD_MODE:
        take_mode(f, cmd);
        break;
    case SL_DEVCMD_JOB:
        take_job(f, cmd);
        break;
    case SL_DEVCMD_UNIT:
        if (f->unit_count == UNITS_MAX) {
            return -SL_AGAIN;
        }
        f->units[f->unit_count++] = sl_take(&cmd->unit);
        f->asked_for_work = f->asked_for_work && f->unit_count <= 1;
        break;
    case SL_DEVCMD_DROP:
        for (uint32_t i = f->unit_count; i-- > 0;) {
            if (cmd->unit_id == 0 || f->units[i]->unit_id == cmd->unit_id) {
                drop_unit(f, i);
                f->asked_for_work = false;
            }
        }
        break;
    case SL_DEVCMD_CANARY:
        f->canary_wanted = true;
        break;
    case SL_DEVCMD_QUIT:
        f->phase = PHASE_DEAD;
        f->due_ns = NEVER;
        break;
    case SL_DEVCMD_INVALID:
        return -SL_INVALID;
    }
    sl_device_cmd_fini(cmd);
    return SL_OK;
}

static void fake_destroy(struct sl_device *device) {
    struct fake *f = of(device);
    while (f->unit_count > 0) {
        drop_unit(f, f->unit_count - 1);
    }
    for (uint32_t i = 0; i < f->outbox_count; i++) {
        sl_device_event_fini(&f->outbox[i]);
    }
    sl_job_unref(f->job);
    free(f);
}

static const struct sl_device_ops fake_ops = {fake_halt, fake_post, fake_destroy};

int sl_fake_device_create(const struct sl_fake_script *script, uint32_t index,
                          struct sl_mailbox *events, struct sl_mono now,
                          struct sl_device **ret_device, struct sl_error *err) {
    struct fake *f = calloc(1, sizeof *f);
    if (!f) {
        return sl_fail(err, SL_NOMEM, "no memory for a device");
    }
    f->base = (struct sl_device){&fake_ops, index, events};
    f->script = *script;
    f->phase = PHASE_PREPARING;
    f->now_ns = now.ns;
    f->due_ns =
        now.ns + (script->failure == SL_FAKE_HANG ? hang_ns(f) : (int64_t)script->ready_us * 1000);
    f->stats_due_ns = NEVER;
    f->candidate_left_ns = (int64_t)script->candidate_every_us * 1000;
    f->stats.mode = SL_MODE_IDLE;
    f->stats.hash_rate_hs = script->hash_rate_hs;
    f->stats.stop_method = SL_STOP_MAPPED;
    f->stats.stop_us_p50 = (uint32_t)script->halt_us;
    f->stats.stop_us_max = (uint32_t)script->halt_us;
    f->stats.model_count = script->model_count;
    memcpy(f->stats.models, script->models, sizeof f->stats.models);
    memcpy(f->stats.watts, script->watts, sizeof f->stats.watts);
    for (int from = SL_MODE_IDLE; from < SL_MODE_COUNT; from++) {
        for (int to = SL_MODE_IDLE; to < SL_MODE_COUNT; to++) {
            uint64_t us = (from == SL_MODE_IDLE ? 0 : script->halt_us) +
                          (to == SL_MODE_IDLE ? 0 : script->start_us);
            f->stats.switch_us[from][to] = from == to ? 0 : us;
        }
    }
    *ret_device = &f->base;
    return SL_OK;
}
