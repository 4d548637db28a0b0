/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sim/power_loss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_crash.h"
#include "tests/sim/disk_record.h"

#define EXHAUSTIVE_MAX 1024
#define EXHAUSTIVE_BETWEEN_MAX 64 /* between syncs, where little is new */
/* Of the things that are lost or kept alone, every so-manieth at each prefix. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALONE_EVERY 4
#else
#define ALONE_EVERY 1
#endif
#define TORN_EVERY 8 /* sectors, unless thorough */
#define MIXTURES 10
#define MIXTURES_BETWEEN 2
#define SEEN_ROOM (1u << 16)

struct plan {
    struct disk_unit *units; /* [count] */
    uint32_t *choice;        /* [count] */
    uint32_t count;
    uint32_t room;
    uint32_t cursor;
    bool short_files; /* while units are collected: lengths are the durable ones */
    uint32_t names;   /* and so many changes of names are kept */
};

struct state {
    struct power_loss *run;
    struct sim_disk *disk; /* the prefix, replayed */
    struct disk_file **files;
    struct plan plan;
    uint64_t dice;
    size_t prefix;
    uint64_t *seen; /* [SEEN_ROOM], since the last sync; 0: free */
    uint32_t seen_count;
};

static bool same_unit(const struct disk_unit *a, const struct disk_unit *b) {
    return a->kind == b->kind && a->file == b->file && a->sector == b->sector;
}

/* ---- what may be lost ---- */

static uint32_t collect(void *arg, const struct disk_unit *unit) {
    struct plan *plan = arg;
    uint32_t i = 0;
    while (i < plan->count && !same_unit(&plan->units[i], unit)) {
        i++;
    }
    if (i == plan->count) {
        if (plan->count == plan->room) {
            plan->room = plan->room ? plan->room * 2 : 256;
            plan->units = realloc(plan->units, plan->room * sizeof *plan->units);
            plan->choice = realloc(plan->choice, plan->room * sizeof *plan->choice);
            if (!plan->units || !plan->choice) {
                abort();
            }
        }
        plan->units[plan->count++] = *unit;
    }
    if (unit->kind == UNIT_NAMES) {
        return plan->names;
    }
    return unit->kind == UNIT_LENGTH && plan->short_files ? 0 : unit->newest;
}

/* What is asked for depends on the names that are kept (a file without one is no more) and on the
 * lengths. */
static void collect_units(struct state *s) {
    struct plan *plan = &s->plan;
    plan->count = 0;
    uint32_t names = 1;
    for (plan->names = 0; plan->names < names; plan->names++) {
        for (int pass = 0; pass < 2; pass++) {
            plan->short_files = pass;
            struct sim_disk *copy = disk_copy(s->disk);
            disk_settle(copy, true, collect, plan);
            sim_disk_destroy(copy);
        }
        if (plan->count && plan->units[0].kind == UNIT_NAMES) {
            names = plan->units[0].choices;
        }
    }
}

static uint32_t pick_planned(void *arg, const struct disk_unit *unit) {
    struct plan *plan = arg;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t at = (plan->cursor + i) % plan->count;
        if (same_unit(&plan->units[at], unit)) {
            plan->cursor = at + 1;
            return plan->choice[at];
        }
    }
    abort();
}

/* ---- one image ---- */

static bool seen_before(struct state *s, uint64_t sum) {
    sum += !sum;
    uint32_t at = (uint32_t)(sum % SEEN_ROOM);
    for (; s->seen[at]; at = (at + 1) % SEEN_ROOM) {
        if (s->seen[at] == sum) {
            return true;
        }
    }
    if (s->seen_count < SEEN_ROOM / 2) {
        s->seen[at] = sum;
        s->seen_count++;
    }
    return false;
}

static void try_image(struct state *s) {
    struct power_loss *run = s->run;
    if (run->failures >= run->failures_max) {
        return;
    }
    struct sim_disk *image = disk_copy(s->disk);
    s->plan.cursor = 0;
    disk_settle(image, true, pick_planned, &s->plan);
    if (seen_before(s, image->settled)) {
        run->same++;
        sim_disk_destroy(image);
        return;
    }
    run->images++;
    run->torn += image->stats.torn_sectors > 0;
    const char *wrong = run->check(run->arg, image, s->prefix);
    if (wrong && run->failures++ == 0) {
        snprintf(run->first_failure, sizeof run->first_failure,
                 "after %zu operations, image %llu: %s", s->prefix, (unsigned long long)run->images,
                 wrong);
    }
    sim_disk_destroy(image);
}

/* ---- which losses ---- */

static void set_all(struct plan *plan, bool keep) {
    for (uint32_t i = 0; i < plan->count; i++) {
        plan->choice[i] = keep ? plan->units[i].newest : 0;
    }
}

static void try_exhaustively(struct state *s) {
    struct plan *plan = &s->plan;
    set_all(plan, false);
    for (;;) {
        try_image(s);
        uint32_t i = 0;
        while (i < plan->count && ++plan->choice[i] == plan->units[i].choices) {
            plan->choice[i++] = 0;
        }
        if (i == plan->count) {
            return;
        }
    }
}

/* One unit takes each of its choices, all others are kept, or lost. */
static void try_alone(struct state *s) {
    struct plan *plan = &s->plan;
    for (uint32_t i = s->prefix % ALONE_EVERY; i < plan->count; i += ALONE_EVERY) {
        for (uint32_t choice = 0; choice < plan->units[i].choices; choice++) {
            bool torn = choice > plan->units[i].newest;
            if (torn && !s->run->thorough && (i + s->prefix) % TORN_EVERY != 0) {
                continue;
            }
            set_all(plan, true);
            plan->choice[i] = choice;
            try_image(s);
            if (!torn) {
                set_all(plan, false);
                plan->choice[i] = choice;
                try_image(s);
            }
        }
    }
}

static void try_ends(struct state *s) {
    struct plan *plan = &s->plan;
    for (int keep_first = 0; keep_first < 2; keep_first++) {
        set_all(plan, !keep_first);
        for (uint32_t i = 0; i < plan->count; i++) {
            plan->choice[i] = keep_first ? plan->units[i].newest : 0;
            if ((i + s->prefix) % ALONE_EVERY == 0) {
                try_image(s);
            }
        }
    }
}

static void try_mixtures(struct state *s, int count) {
    struct plan *plan = &s->plan;
    for (int n = 0; n < count; n++) {
        /* From "nearly all is kept" to "nearly all is lost". */
        uint64_t kept_of_8 = 1 + disk_draw(&s->dice) % 7;
        for (uint32_t i = 0; i < plan->count; i++) {
            uint64_t dice = disk_draw(&s->dice);
            plan->choice[i] = dice % 8 < kept_of_8 ? plan->units[i].newest
                              : dice % 64 < 48     ? 0
                                               : (uint32_t)((dice >> 8) % plan->units[i].choices);
        }
        try_image(s);
    }
}

static bool few_enough(const struct plan *plan, uint64_t most) {
    uint64_t product = 1;
    for (uint32_t i = 0; i < plan->count && product <= most; i++) {
        product *= plan->units[i].choices;
    }
    return product <= most;
}

/* Before a sync all has gathered that the sync makes durable: what a failure can leave earlier, it
 * can leave there too. */
static void try_prefix(struct state *s, bool all) {
    all = all || s->run->thorough;
    collect_units(s);
    s->run->prefixes++;
    if (few_enough(&s->plan, all ? EXHAUSTIVE_MAX : EXHAUSTIVE_BETWEEN_MAX)) {
        s->run->exhaustive++;
        try_exhaustively(s);
        return;
    }
    set_all(&s->plan, true);
    try_image(s);
    set_all(&s->plan, false);
    try_image(s);
    if (all) {
        try_alone(s);
        try_ends(s);
    }
    try_mixtures(s, all ? MIXTURES : MIXTURES_BETWEEN);
}

/* ---- the walk over the log ---- */

static bool is_deaf(const struct state *s, const struct disk_op *op) {
    if (s->prefix < s->run->deaf_from) {
        return false;
    }
    if (op->kind == OP_SYNC_DIR) {
        return s->run->deaf_dirs;
    }
    return op->kind == OP_SYNC && s->run->deaf &&
           disk_is_called(s->disk, s->files[op->file], s->run->deaf);
}

void power_loss_run(struct power_loss *run) {
    size_t count = disk_record_count(run->recorded);
    struct state s = {.run = run, .dice = 11};
    s.disk = run->base ? disk_copy(run->base) : sim_disk_create(1);
    s.disk->keep_versions = true;
    s.disk->strict_names = run->strict_names;
    s.files = disk_alloc((run->recorded->file_count + 1) * sizeof *s.files);
    for (struct disk_file *file = s.disk->files; file; file = file->next) {
        s.files[file->id] = file;
        file->opens++; /* it may be written to after its name is gone */
    }
    s.seen = disk_alloc(SEEN_ROOM * sizeof *s.seen);
    run->failures_max = run->failures_max ? run->failures_max : 1;
    for (s.prefix = 0; s.prefix <= count && run->failures < run->failures_max; s.prefix++) {
        const struct disk_op *op =
            s.prefix < count ? disk_record_at(run->recorded, s.prefix) : NULL;
        bool sync = op && (op->kind == OP_SYNC || op->kind == OP_SYNC_DIR);
        if (s.prefix >= run->from) {
            try_prefix(&s, sync || !op);
        }
        if (sync) {
            memset(s.seen, 0, SEEN_ROOM * sizeof *s.seen);
            s.seen_count = 0;
        }
        if (op && !is_deaf(&s, op)) {
            disk_replay(s.disk, s.files, op);
        }
    }
    sim_disk_destroy(s.disk);
    free(s.files);
    free(s.seen);
    free(s.plan.units);
    free(s.plan.choice);
}

void power_loss_print(const struct power_loss *run, const char *name) {
    printf("%s: %llu prefixes (%llu of them exhaustively), %llu images opened (%llu with a torn "
           "sector), %llu the same again, %llu failures\n",
           name, (unsigned long long)run->prefixes, (unsigned long long)run->exhaustive,
           (unsigned long long)run->images, (unsigned long long)run->torn,
           (unsigned long long)run->same, (unsigned long long)run->failures);
    if (run->failures) {
        printf("  first: %s\n", run->first_failure);
    }
}

bool power_loss_long(void) {
    const char *wish = getenv("SLUICE_POWER_LOSS");
    return wish && strcmp(wish, "long") == 0;
}
