/* SPDX-License-Identifier: Apache-2.0
 * The inference engine by itself, as a partner of tests/bench/embed: agent devices without broker,
 * core or network, driven by lines on standard input.
 *
 *   embed_bare --model FILE.gguf [--split N] [--only I] [--gpu-kernels]
 *              [--no-stop-word] [--cache DIR]
 *
 * It prints "ready" and a line for each device, then obeys:
 *   set NAME LENGTH...   a set of made-up texts of so many tokens
 *   run NAME             all of them once, over all devices: prints "SECONDS TEXTS TOKENS EMPTY
 * GAPS" halts N NAME         N halts at random moments while the set runs over and over: prints two
 *                        lines of N figures in us, "halt" (asked -> queue empty) and "start" (MODE
 *                        posted -> first kernel started)
 * Any other program that understands `set` and `run` can be measured beside it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/device/cl_device.h"
#include "agent/executors/executor.h"
#include "agent/executors/model_set.h"
#include "agent/executors/table.h"

#define DEVICES_MAX 16u
#define SETS_MAX 8u
#define TEXTS_MAX 20000u
#define UNIT_TOKENS 1024u
#define EPOCH 1u
#define WAIT_NS (60 * SL_NS_PER_S)

struct text_set {
    char name[32];
    uint32_t *lengths;
    uint32_t count;
};

struct bench {
    struct sl_model_set *models;
    struct sl_discovery *found;
    struct sl_mailbox *events;
    struct sl_device *devices[DEVICES_MAX];
    uint32_t device_count;
    struct text_set sets[SETS_MAX];
    uint32_t set_count;
    int32_t *ids; /* [longest text], shared by all */
    uint64_t next_unit;
    /* The run that is on. */
    const struct text_set *set;
    int64_t begin_ns;
    uint32_t next_text;
    bool endless;
    uint32_t lines_done;
    uint64_t tokens_done;
    /* Per device: the first and the latest report of the run. */
    struct {
        int64_t at_ns;
        uint64_t busy_ns, gap_ns;
    } first[DEVICES_MAX], latest[DEVICES_MAX];
    bool reported[DEVICES_MAX];
    /* What halts wait for. */
    bool halted, started;
    int64_t at_ns;
};

static void die(const char *what) {
    fprintf(stderr, "embed_bare: %s\n", what);
    exit(1);
}

static const struct sl_model *model_of(const struct bench *b) {
    return sl_model_set_at(b->models, 0);
}

/* The next UNIT_TOKENS or so of the set; NULL when it is used up. */
static struct sl_device_unit *next_unit(struct bench *b) {
    uint32_t lines = 0, tokens = 0;
    if (b->endless && b->next_text == b->set->count) {
        b->next_text = 0;
    }
    while (b->next_text + lines < b->set->count && tokens < UNIT_TOKENS) {
        tokens += b->set->lengths[b->next_text + lines++];
    }
    if (lines == 0) {
        return NULL;
    }
    struct sl_device_unit *u =
        calloc(1, sizeof *u + lines * sizeof u->lines[0] + tokens * sizeof(int32_t));
    if (!u) {
        die("out of memory");
    }
    int32_t *ids = (int32_t *)&u->lines[lines];
    u->unit_id = ++b->next_unit;
    u->epoch = EPOCH;
    u->n_lines = lines;
    snprintf(u->model, sizeof u->model, "%s", model_of(b)->id);
    for (uint32_t i = 0; i < lines; i++) {
        uint32_t n = b->set->lengths[b->next_text + i];
        memcpy(ids, b->ids, n * sizeof *ids);
        ids[0] = b->ids[(b->next_text + i) % 97]; /* not all texts alike */
        u->lines[i] = (struct sl_unit_line){.line = b->next_text + i, .n_ids = n, .ids = ids};
        ids += n;
    }
    b->next_text += lines;
    return u;
}

static void post(struct sl_device *device, struct sl_device_cmd cmd) {
    const struct timespec nap = {0, SL_NS_PER_MS / 10};
    while (sl_device_post(device, &cmd) == -SL_AGAIN) {
        nanosleep(&nap, NULL);
    }
}

static void feed(struct bench *b, uint32_t device) {
    struct sl_device_unit *unit = b->set ? next_unit(b) : NULL;
    if (unit) {
        post(b->devices[device],
             (struct sl_device_cmd){.kind = SL_DEVCMD_UNIT, .epoch = EPOCH, .unit = unit});
    }
}

static void note_times(struct bench *b, uint32_t device, int64_t at_ns,
                       const struct sl_device_stats *stats) {
    if (at_ns < b->begin_ns) {
        return; /* waited in the mailbox since before the run */
    }
    b->latest[device].at_ns = at_ns;
    b->latest[device].busy_ns = stats->busy_ns[SL_MODE_INFER];
    b->latest[device].gap_ns = stats->idle_gap_ns;
    if (!b->reported[device]) {
        b->first[device] = b->latest[device];
        b->reported[device] = true;
    }
}

/* Between the reports of the run, which come about once a second: the share of time in which no
 * launch was on the devices, whatever the reason (a lack of work too), and the part of it that lay
 * between two launches of an executor that had work. A launch that a report falls into is counted
 * whole with the next one. Negative: there were too few reports. */
static void print_shares(const struct bench *b) {
    uint64_t busy = 0, gap = 0;
    int64_t time = 0;
    for (uint32_t i = 0; i < b->device_count; i++) {
        busy += b->latest[i].busy_ns - b->first[i].busy_ns;
        gap += b->latest[i].gap_ns - b->first[i].gap_ns;
        time += b->latest[i].at_ns - b->first[i].at_ns;
    }
    double all = (double)time;
    printf(" %.6f %.6f\n", time > 0 ? 1 - (double)busy / all : -1,
           time > 0 ? (double)gap / all : -1);
}

static void take_event(struct bench *b) {
    struct sl_device_event event;
    if (sl_mailbox_take_wait(b->events, WAIT_NS, &event) != SL_OK) {
        die("a device does not answer");
    }
    switch (event.kind) {
    case SL_DEVEV_FAILED:
        die(event.text);
        break;
    case SL_DEVEV_LINE:
        if (event.line.status != SL_OK) {
            die("a line failed");
        }
        b->lines_done++;
        b->tokens_done += event.line.tokens;
        break;
    case SL_DEVEV_NEED_WORK:
        feed(b, event.device);
        break;
    case SL_DEVEV_HALTED:
        b->halted = true;
        b->at_ns = event.at.ns;
        break;
    case SL_DEVEV_STARTED:
        b->started = true;
        b->at_ns = event.at.ns;
        break;
    case SL_DEVEV_STATS:
        note_times(b, event.device, event.at.ns, &event.report->stats);
        break;
    case SL_DEVEV_READY:
    case SL_DEVEV_CANDIDATE:
    case SL_DEVEV_UNIT_DONE:
    case SL_DEVEV_JOB_STARTED:
    case SL_DEVEV_CANARY:
    case SL_DEVEV_INVALID:
        break;
    }
    sl_device_event_fini(&event);
}

static void run_set(struct bench *b, const struct text_set *set) {
    b->set = set;
    b->next_text = b->lines_done = 0;
    b->tokens_done = 0;
    b->endless = false;
    memset(b->reported, 0, sizeof b->reported);
    memset(b->first, 0, sizeof b->first);
    memset(b->latest, 0, sizeof b->latest);
    b->begin_ns = sl_clock_mono().ns;
    for (uint32_t i = 0; i < 2 * b->device_count; i++) {
        feed(b, i % b->device_count);
    }
    while (b->lines_done < set->count) {
        take_event(b);
    }
    double seconds = (double)(sl_clock_mono().ns - b->begin_ns) / (double)SL_NS_PER_S;
    b->set = NULL;
    printf("%.6f %u %" PRIu64, seconds, b->lines_done, b->tokens_done);
    print_shares(b);
}

static void run_halts(struct bench *b, const struct text_set *set, uint32_t count) {
    double *halt = calloc(count, sizeof *halt), *start = calloc(count, sizeof *start);
    if (!halt || !start) {
        die("out of memory");
    }
    b->set = set;
    b->next_text = 0;
    b->endless = true;
    for (uint32_t i = 0; i < 4 * b->device_count; i++) {
        feed(b, i % b->device_count);
    }
    srand(1);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_device *device = b->devices[i % b->device_count];
        int64_t until = sl_clock_mono().ns + (5 + rand() % 25) * SL_NS_PER_MS + rand() % 999983;
        while (sl_clock_mono().ns < until) {
            take_event(b);
        }
        b->halted = b->started = false;
        int64_t asked = sl_clock_mono().ns;
        sl_device_halt(device);
        while (!b->halted) {
            take_event(b);
        }
        halt[i] = (double)(b->at_ns - asked) / 1e3;
        asked = sl_clock_mono().ns;
        post(device,
             (struct sl_device_cmd){.kind = SL_DEVCMD_MODE, .epoch = EPOCH, .mode = SL_MODE_INFER});
        while (!b->started) {
            take_event(b);
        }
        start[i] = (double)(b->at_ns - asked) / 1e3;
    }
    b->set = NULL;
    for (uint32_t i = 0; i < b->device_count; i++) { /* what is left of endless work */
        post(b->devices[i], (struct sl_device_cmd){.kind = SL_DEVCMD_DROP});
    }
    printf("halt");
    for (uint32_t i = 0; i < count; i++) {
        printf(" %.1f", halt[i]);
    }
    printf("\nstart");
    for (uint32_t i = 0; i < count; i++) {
        printf(" %.1f", start[i]);
    }
    printf("\n");
    free(halt);
    free(start);
}

static const struct text_set *find_set(const struct bench *b, const char *name) {
    for (uint32_t i = 0; name && i < b->set_count; i++) {
        if (strcmp(b->sets[i].name, name) == 0) {
            return &b->sets[i];
        }
    }
    die("no such set");
    return NULL;
}

static void add_set(struct bench *b, char *rest) {
    char *name = strtok(rest, " \n");
    if (!name || b->set_count == SETS_MAX) {
        die("set NAME LENGTH...");
    }
    struct text_set *set = &b->sets[b->set_count++];
    snprintf(set->name, sizeof set->name, "%s", name);
    set->lengths = calloc(TEXTS_MAX, sizeof *set->lengths);
    if (!set->lengths) {
        die("out of memory");
    }
    for (char *word = strtok(NULL, " \n"); word; word = strtok(NULL, " \n")) {
        unsigned long n = strtoul(word, NULL, 10);
        if (n < 1 || n > model_of(b)->max_tokens || set->count == TEXTS_MAX) {
            die("a text's length does not fit the model, or too many texts");
        }
        set->lengths[set->count++] = (uint32_t)n;
    }
}

/* One after the other, so that each measures itself undisturbed. */
static void wait_ready(struct bench *b) {
    bool ready = false;
    while (!ready) {
        struct sl_device_event event;
        if (sl_mailbox_take_wait(b->events, WAIT_NS, &event) < 0) {
            die("a device does not get ready");
        }
        if (event.kind == SL_DEVEV_FAILED) {
            die(event.text);
        }
        ready = event.kind == SL_DEVEV_READY;
        if (ready) {
            printf("%s %.1f tok/s in its self-test\n", event.report->info.key,
                   (double)event.report->stats.models[0].tokens_per_s_milli / 1e3);
        }
        sl_device_event_fini(&event);
    }
}

struct options {
    uint32_t split;
    int only; /* -1: all */
    bool gpu_kernels, no_stop_word;
    const char *cache;
};

static void open_devices(struct bench *b, const struct options *o) {
    const struct sl_discover_config discover = {.node = "bench",
                                                .cache_dir = o->cache,
                                                .cpu = SL_CPU_USE_AUTO,
                                                .gpus = true,
                                                .split_cpu = o->split};
    struct sl_cl_device_config config = {.factory_count = 2,
                                         .force_gpu_kernels = o->gpu_kernels,
                                         .force_no_stop_word = o->no_stop_word};
    config.factories[0] = sl_idle_factory();
    config.factories[1] = sl_infer_factory(b->models);
    struct sl_error err = {0};
    if (sl_discover(&discover, &b->found, &err) < 0 ||
        sl_mailbox_create(sizeof(struct sl_device_event), 16384, &b->events, &err) < 0) {
        die(err.text);
    }
    for (uint32_t i = 0; i < sl_discovery_count(b->found) && b->device_count < DEVICES_MAX; i++) {
        if (o->only >= 0 && i != (uint32_t)o->only) {
            continue;
        }
        uint32_t index = b->device_count++;
        if (sl_cl_device_create(b->found, i, &config, index, b->events, &b->devices[index], &err) <
            0) {
            die(err.text);
        }
        wait_ready(b);
    }
    for (uint32_t i = 0; i < b->device_count; i++) {
        post(b->devices[i],
             (struct sl_device_cmd){.kind = SL_DEVCMD_MODE, .epoch = EPOCH, .mode = SL_MODE_INFER});
    }
}

static void obey(struct bench *b) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char *verb = line, *rest = strchr(line, ' ');
        line[strcspn(line, "\n")] = 0;
        if (!rest) {
            break;
        }
        *rest++ = 0;
        if (strcmp(verb, "set") == 0) {
            add_set(b, rest);
        } else if (strcmp(verb, "run") == 0) {
            run_set(b, find_set(b, rest));
        } else if (strcmp(verb, "halts") == 0) {
            char *name = NULL;
            unsigned long count = strtoul(rest, &name, 10);
            run_halts(b, find_set(b, name + 1), count > 100000 ? 100000 : (uint32_t)count);
        } else {
            die("set, run or halts");
        }
        fflush(stdout);
    }
    free(line);
}

static void close_all(struct bench *b) {
    for (uint32_t i = 0; i < b->device_count; i++) {
        post(b->devices[i], (struct sl_device_cmd){.kind = SL_DEVCMD_QUIT});
        sl_device_destroy(b->devices[i]);
    }
    struct sl_device_event event;
    while (sl_mailbox_take(b->events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_mailbox_destroy(b->events);
    sl_discovery_destroy(b->found);
    sl_model_set_destroy(b->models);
    for (uint32_t i = 0; i < b->set_count; i++) {
        free(b->sets[i].lengths);
    }
    free(b->ids);
}

int main(int argc, char **argv) {
    static struct bench b;
    struct sl_model_config config = {.id = "model"};
    struct sl_error err = {0};
    struct options options = {.only = -1};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--gpu-kernels") == 0) {
            options.gpu_kernels = true;
            continue;
        }
        if (strcmp(argv[i], "--no-stop-word") == 0) {
            options.no_stop_word = true;
            continue;
        }
        if (strcmp(argv[i], "--model") == 0) {
            snprintf(config.path, sizeof config.path, "%s", value);
        } else if (strcmp(argv[i], "--split") == 0) {
            options.split = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--only") == 0) {
            options.only = atoi(value);
        } else if (strcmp(argv[i], "--cache") == 0) {
            options.cache = value;
        } else {
            die("usage: see the head of tests/bench/embed_bare.c");
        }
        i++;
    }
    if (sl_model_set_load(&config, 1, &b.models, &err) < 0) {
        die(err.text);
    }
    uint32_t n_vocab = model_of(&b)->bert->config.n_vocab, longest = model_of(&b)->max_tokens;
    longest = longest < 97 ? 97 : longest;
    b.ids = calloc(longest, sizeof *b.ids);
    if (!b.ids) {
        die("out of memory");
    }
    for (uint32_t i = 0; i < longest; i++) {
        b.ids[i] = (int32_t)((i * 7919u + 1000u) % n_vocab);
    }
    open_devices(&b, &options);
    printf("ready\n");
    fflush(stdout);
    obey(&b);
    close_all(&b);
    return 0;
}
