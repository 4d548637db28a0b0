/* SPDX-License-Identifier: Apache-2.0
 * `backtest --decisions LOG`: the market as a running broker saw it, step by step, through the same
 * code again. First whether the policy that ruled decides the same when it learns everything anew;
 * then what each policy would have earned on these steps, against the best that was possible. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/decision.h"
#include "broker/policy/document.h"
#include "schedulers/backtest.h"
#include "schedulers/class.h"

#define LINE_BYTES_MAX 65536
#define DEVICES_MAX 4096
#define CLASSES_MAX 64
#define POLICIES_MAX 8
#define MODES SL_POLICY_MODES

struct row {
    int64_t tick_ns;
    uint32_t device, class;
    struct sl_cli_decision decision;
};

struct path { /* of one device under one policy */
    struct sl_switching_device device;
    int64_t in_mode_ms;
    uint8_t present;
};

struct recorded {
    struct row *rows;
    size_t count, cap;
    char *devices[DEVICES_MAX];
    uint32_t device_count;
    char *classes[CLASSES_MAX];
    uint32_t class_count;
    struct sl_switching_class *learnt[CLASSES_MAX];
    void *class_memory[CLASSES_MAX];
    const struct sl_switching_view *views[CLASSES_MAX];
    struct sl_switching_device *states; /* [device_count] of the policy that ruled */
    struct path *paths;                 /* [policies][device_count] */
    int64_t *best;                      /* [device_count][MODES] nano-USD, by dynamic programming */
    struct sl_policy_input in;
    struct sl_plan plan;
    void *in_memory, *plan_memory;
    unsigned long long decisions, same, views_same, steps;
    sl_i128 earned[POLICIES_MAX], actual;
    unsigned long long switches[POLICIES_MAX];
};

/* ---- reading ---- */

static int index_of(char **names, uint32_t *count, uint32_t max, const char *name,
                    uint32_t *ret_index) {
    for (uint32_t i = 0; i < *count; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_index = i;
            return SL_OK;
        }
    }
    if (*count == max) {
        return -SL_LIMIT;
    }
    names[*count] = strdup(name);
    *ret_index = *count;
    return names[(*count)++] ? SL_OK : -SL_NOMEM;
}

static int add_row(struct recorded *r, const json_t *object, struct sl_error *err) {
    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 1024;
        struct row *grown = realloc(r->rows, cap * sizeof r->rows[0]);
        if (!grown) {
            return sl_fail(err, SL_NOMEM, "no memory for so many decisions");
        }
        r->rows = grown;
        r->cap = cap;
    }
    struct row *row = &r->rows[r->count];
    memset(row, 0, sizeof *row);
    const json_t *tick = json_object_get(object, "tick_ns");
    if (!json_is_integer(tick) || sl_cli_text(object, "class")[0] == '\0') {
        return sl_fail(err, SL_INVALID,
                       "it is no line of a broker's log_decisions (tick_ns, class and device)");
    }
    row->tick_ns = json_integer_value(tick);
    int rc = sl_cli_decision_read(object, &row->decision, err);
    if (rc == SL_OK && (index_of(r->devices, &r->device_count, DEVICES_MAX,
                                 sl_cli_text(object, "device"), &row->device) ||
                        index_of(r->classes, &r->class_count, CLASSES_MAX,
                                 sl_cli_text(object, "class"), &row->class))) {
        rc = sl_fail(err, SL_LIMIT, "at most %d devices of %d classes", DEVICES_MAX, CLASSES_MAX);
    }
    if (rc == SL_OK && r->count > 0 && row->tick_ns < r->rows[r->count - 1].tick_ns) {
        rc = sl_fail(err, SL_INVALID,
                     "it goes back in time: the log is of more than one run of the broker; cut it "
                     "here");
    }
    r->count += rc == SL_OK;
    return rc;
}

static int read_log(struct recorded *r, const char *path, struct sl_error *err) {
    SL_AUTO_FILE FILE *file = fopen(path, "re");
    char *line = malloc(LINE_BYTES_MAX);
    int rc = !file  ? sl_fail_errno(err, "cannot read %s", path)
             : line ? SL_OK
                    : sl_fail(err, SL_NOMEM, "no memory");
    for (unsigned long number = 1; rc == SL_OK && fgets(line, LINE_BYTES_MAX, file); number++) {
        json_error_t why;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
        rc = object ? add_row(r, object, err) : sl_fail(err, SL_INVALID, "not JSON: %s", why.text);
        json_decref(object);
        rc = rc ? sl_wrap(err, "%s:%lu", path, number) : SL_OK;
    }
    free(line);
    return rc || r->count > 0 ? rc : sl_fail(err, SL_INVALID, "%s holds no decision", path);
}

/* ---- the same again ---- */

static int prepare(struct recorded *r, struct sl_error *err) {
    const struct sl_policy_params *params = &r->rows[0].decision.decision.params;
    uint32_t cap = r->device_count;
    r->in_memory = calloc(1, sl_policy_input_bytes(cap));
    r->plan_memory = calloc(1, sl_plan_bytes(cap));
    r->states = calloc(cap, sizeof r->states[0]);
    r->paths = calloc((size_t)POLICIES_MAX * cap, sizeof r->paths[0]);
    r->best = calloc((size_t)cap * MODES, sizeof r->best[0]);
    bool failed = !r->in_memory || !r->plan_memory || !r->states || !r->paths || !r->best;
    for (uint32_t i = 0; !failed && i < r->class_count; i++) {
        r->class_memory[i] = calloc(1, sl_switching_class_bytes(&params->switching));
        failed = !r->class_memory[i];
        if (!failed) {
            r->learnt[i] =
                sl_switching_class_init(r->class_memory[i], &sl_policy_modes, &params->switching);
            r->views[i] = sl_switching_class_view(r->learnt[i]);
        }
    }
    if (failed) {
        return sl_fail(err, SL_NOMEM, "no memory for %u devices", cap);
    }
    for (size_t i = 0; i < (size_t)POLICIES_MAX * cap; i++) {
        r->paths[i].present = SL_SWITCHING_NONE;
    }
    sl_policy_input_place(&r->in, r->in_memory, cap);
    sl_plan_place(&r->plan, r->plan_memory, cap);
    r->in.classes = r->views;
    return SL_OK;
}

static void recorded_fini(struct recorded *r) {
    for (uint32_t i = 0; i < r->device_count; i++) {
        free(r->devices[i]);
    }
    for (uint32_t i = 0; i < r->class_count; i++) {
        free(r->classes[i]);
        free(r->class_memory[i]);
    }
    free(r->rows);
    free(r->states);
    free(r->paths);
    free(r->best);
    free(r->in_memory);
    free(r->plan_memory);
}

static bool same_plan(const struct recorded *r, uint32_t at, const struct sl_decision *was) {
    return r->plan.mode[at] == was->plan.mode && r->plan.rule[at] == was->plan.rule &&
           r->plan.best_nusd_h[at] == was->plan.best_nusd_h &&
           r->plan.present_nusd_h[at] == was->plan.present_nusd_h &&
           r->plan.margin_nusd_h[at] == was->plan.margin_nusd_h &&
           r->plan.regret_nusd[at] == was->plan.regret_nusd;
}

static bool same_view(const struct sl_switching_view *a, const struct sl_switching_view *b) {
    bool same = true;
    for (uint32_t m = 0; m < MODES; m++) {
        same = same && a->ghat[m] == b->ghat[m] && a->error2[m] == b->error2[m];
    }
    return same;
}

static int64_t worth(const struct sl_switching_step *step, uint32_t mode, int64_t span_ms) {
    uint32_t real = step->possible >> mode & 1 ? mode : SL_POLICY_IDLE;
    return sl_backtest_step_nusd(step->gross_nusd_h[real] - step->known_nusd_h[real], span_ms);
}

/* Every policy on its own path, one step of one device; costs from where that path is are taken as
 * those from where the device was: they are measured, and of one order. */
static void follow(struct recorded *r, const struct row *row, uint32_t at) {
    struct sl_switching_step step;
    int64_t span_ms = row->decision.decision.row.span_ms;
    sl_policy_step(&r->in, at, 0, &step);
    uint32_t present = step.present < MODES ? step.present : SL_POLICY_IDLE;
    r->actual += worth(&step, present, span_ms);
    for (uint32_t p = 0; sl_switching_at(p) && p < POLICIES_MAX; p++) {
        struct path *path = &r->paths[(size_t)p * r->device_count + row->device];
        struct sl_switching_reason why;
        step.present = path->present < MODES && (step.possible >> path->present & 1)
                           ? path->present
                           : SL_SWITCHING_NONE;
        step.in_mode_ms = path->in_mode_ms;
        uint8_t to = sl_switching_at(p)->decide(&row->decision.decision.params.switching,
                                                r->views[row->class], &path->device, &step, &why);
        to = to < MODES ? to : SL_POLICY_IDLE;
        bool moved = path->present != SL_SWITCHING_NONE && to != path->present;
        r->earned[p] += worth(&step, to, span_ms) - (moved ? step.switch_nusd[to] : 0);
        r->switches[p] += moved;
        path->in_mode_ms = (to == path->present ? path->in_mode_ms : 0) + span_ms;
        path->present = to;
    }
    int64_t *best = &r->best[(size_t)row->device * MODES];
    int64_t before[MODES];
    memcpy(before, best, sizeof before);
    for (uint32_t m = 0; m < MODES; m++) {
        for (uint32_t from = 0; from < MODES; from++) {
            int64_t moved = before[from] - (from == m ? 0 : step.switch_nusd[m]);
            best[m] = from == 0 || moved > best[m] ? moved : best[m];
        }
        best[m] += worth(&step, m, span_ms);
    }
}

/* All rows of one tick: the classes that take a step, then every device. */
static void tick(struct recorded *r, const struct row *rows, uint32_t count) {
    r->in.count = count;
    r->in.params = rows[0].decision.decision.params;
    for (uint32_t i = 0; i < count; i++) {
        sl_decision_put(&rows[i].decision.decision, &r->in, i);
        r->in.id[i] = rows[i].device;
        r->in.class[i] = rows[i].class;
    }
    for (uint32_t class = 0; class < r->class_count; class ++) {
        struct sl_switching_step typical;
        uint32_t first = sl_policy_typical(&r->in, class, 0, &typical);
        if (first != UINT32_MAX && r->in.span_ms[first] > 0) {
            typical.span_ms = r->in.span_ms[first];
            sl_switching_class_observe(r->learnt[class], &typical);
            r->steps++;
        }
    }
    rows[0].decision.policy->decide(&r->in, r->states, &r->plan);
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_decision *was = &rows[i].decision.decision;
        r->decisions++;
        r->same += same_plan(r, i, was);
        r->views_same += same_view(&was->view, r->views[rows[i].class]);
        if (was->row.span_ms > 0) {
            follow(r, &rows[i], i);
        }
    }
}

/* ---- telling ---- */

static sl_i128 optimum_of(const struct recorded *r) {
    sl_i128 sum = 0;
    for (uint32_t d = 0; d < r->device_count; d++) {
        const int64_t *best = &r->best[(size_t)d * MODES];
        int64_t most = best[0];
        for (uint32_t m = 1; m < MODES; m++) {
            most = best[m] > most ? best[m] : most;
        }
        sum += most;
    }
    return sum;
}

static void tell_json(const struct recorded *r) {
    char text[64];
    printf("{\"decisions\":%llu,\"same\":%llu,\"estimates_same\":%llu,\"steps\":%llu,"
           "\"actual_usd\":\"%s\"",
           r->decisions, r->same, r->views_same, r->steps, sl_nusd_format(r->actual, text));
    printf(",\"optimum_usd\":\"%s\",\"policies\":[", sl_nusd_format(optimum_of(r), text));
    for (uint32_t p = 0; sl_switching_at(p) && p < POLICIES_MAX; p++) {
        printf("%s{\"policy\":\"%s\",\"revenue_usd\":\"%s\",\"switches\":%llu}", p ? "," : "",
               sl_switching_at(p)->name, sl_nusd_format(r->earned[p], text), r->switches[p]);
    }
    printf("]}\n");
}

static void tell(const struct sl_cli *cli, const struct recorded *r) {
    static const struct sl_cli_column columns[] = {
        {"policy", "policy", SL_CLI_TEXT, false, false},
        {"net USD", "usd", SL_CLI_USD_FULL, true, false},
        {"switches", "switches", SL_CLI_NUMBER, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    char text[64];
    json_t *rows = json_array();
    json_array_append_new(rows, json_pack("{s:s,s:s}", "policy", "optimum by hindsight", "usd",
                                          sl_nusd_format(optimum_of(r), text)));
    json_array_append_new(
        rows, json_pack("{s:s,s:s}", "policy", "actual", "usd", sl_nusd_format(r->actual, text)));
    for (uint32_t p = 0; sl_switching_at(p) && p < POLICIES_MAX; p++) {
        json_array_append_new(rows, json_pack("{s:s,s:s,s:I}", "policy", sl_switching_at(p)->name,
                                              "usd", sl_nusd_format(r->earned[p], text), "switches",
                                              (json_int_t)r->switches[p]));
    }
    printf("%llu of %llu decisions of `%s` come out the same, having learnt everything anew from "
           "%llu steps.\n\n",
           r->same, r->decisions, r->rows[0].decision.policy->name, r->steps);
    sl_cli_table(cli, rows, columns, "");
    json_decref(rows);
}

int sl_cli_backtest_recorded(struct sl_cli *cli, const char *path, struct sl_error *err) {
    struct recorded *r = calloc(1, sizeof *r);
    if (!r) {
        return sl_fail(err, SL_NOMEM, "no memory");
    }
    int rc = read_log(r, path, err);
    rc = rc || !r->rows ? rc : prepare(r, err);
    for (size_t i = 0; rc == SL_OK && i < r->count;) {
        size_t n = 1;
        while (i + n < r->count && r->rows[i + n].tick_ns == r->rows[i].tick_ns) {
            n++;
        }
        if (n > r->device_count) {
            rc = sl_fail(err, SL_INVALID, "%s: a device decides twice in one tick", path);
            break;
        }
        tick(r, &r->rows[i], (uint32_t)n);
        i += n;
    }
    if (rc == SL_OK && cli->json) {
        tell_json(r);
    } else if (rc == SL_OK) {
        tell(cli, r);
    }
    if (rc == SL_OK && r->same != r->decisions) {
        rc = sl_fail(err, SL_CORRUPT,
                     "%llu decisions come out otherwise: the log does not begin with the broker's "
                     "start, or was changed",
                     r->decisions - r->same);
    }
    recorded_fini(r);
    free(r);
    return rc;
}
