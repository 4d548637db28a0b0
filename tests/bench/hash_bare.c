/* SPDX-License-Identifier: Apache-2.0
 * The bare kernel loop: the hash kernel that the agent would use, two launches queued, nothing
 * else.
 *
 *   hash_bare [--seconds S] [--split N] [--launch-ms L] [--no-cpu] [--headers N]
 *             [--cache DIR] [--json]
 *
 * --headers: no more at a time, as for a pool that leaves few version bits (1: none). --cache keeps
 * programs and what was tuned. Prints nonces over wall time, all devices at once, one thread each.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/cl_open.h"
#include "agent/device/discover_internal.h"
#include "agent/executors/hash_internal.h"

#define AHEAD 2

struct options {
    double seconds;
    double launch_ms;
    uint32_t split;
    bool cpu;
    bool json;
    uint32_t headers;
    const char *cache;
};

struct loop {
    const struct options *options;
    const struct sl_discovered *found;
    struct sl_cl cl;
    struct sl_hash_choice choice;
    struct sl_hash_shape shape; /* the best of them for so many headers */
    uint32_t headers;
    struct sl_hash_kernel kernel;
    pthread_barrier_t *start;
    pthread_t thread;
    uint64_t hashes;
    double seconds;
    uint64_t gap_ns;
    uint64_t busy_ns;
    int status;
    struct sl_error err;
};

/* Device time of one group, from a short launch; the first pays for what drivers put off. */
static int size_launch(struct loop *loop, const struct sl_hash_input *input, uint32_t *ret_groups) {
    struct sl_hash_found found;
    uint32_t groups = loop->cl.compute_units * 8;
    int64_t ns = 1;
    for (int i = 0; i < 6; i++) {
        int rc = sl_hash_run(&loop->kernel, input, 0, groups, &found, &ns, &loop->err);
        if (rc != SL_OK) {
            return rc;
        }
        double wanted = (double)groups * loop->options->launch_ms * 1e6 / (double)(ns > 0 ? ns : 1);
        double most = 4294967296.0 / sl_hash_nonces_per_group(&loop->kernel);
        wanted = wanted > groups * 32.0 ? groups * 32.0 : wanted;
        groups = (uint32_t)(wanted > most ? most : wanted < 1.0 ? 1.0 : wanted);
    }
    *ret_groups = groups;
    return SL_OK;
}

static int enqueue(struct loop *loop, const struct sl_hash_input *input, uint32_t groups,
                   uint32_t *base, struct sl_hash_launch *launch) {
    int rc = sl_hash_kernel_enqueue(&loop->kernel, input, *base, groups, launch, &loop->err);
    *base += groups * sl_hash_nonces_per_group(&loop->kernel);
    clFlush(loop->cl.queue);
    return rc;
}

static int collect(struct loop *loop, struct sl_hash_launch *launch, int64_t *last_end_ns) {
    struct sl_hash_found found;
    int64_t start = 0;
    int64_t end = 0;
    clWaitForEvents(1, &launch->kernel);
    int rc = sl_cl_event_times(&loop->cl, launch->kernel, &start, &end, &loop->err);
    int done = sl_hash_kernel_collect(&loop->kernel, launch, &found, &loop->err);
    if (rc != SL_OK || done != SL_OK) {
        return rc != SL_OK ? rc : done;
    }
    loop->busy_ns += (uint64_t)(end - start);
    loop->gap_ns += *last_end_ns && start > *last_end_ns ? (uint64_t)(start - *last_end_ns) : 0;
    *last_end_ns = end;
    loop->hashes +=
        (uint64_t)found.groups_ran * sl_hash_nonces_per_group(&loop->kernel) * loop->headers;
    return SL_OK;
}

static int run(struct loop *loop, const struct sl_hash_input *input, uint32_t groups) {
    struct sl_hash_launch launches[AHEAD];
    uint32_t base = 0;
    int64_t last_end_ns = 0;
    int64_t begin = sl_clock_mono().ns;
    int64_t until = begin + (int64_t)(loop->options->seconds * 1e9);
    int rc = enqueue(loop, input, groups, &base, &launches[0]);
    for (uint32_t i = 0; rc == SL_OK && sl_clock_mono().ns < until; i++) {
        rc = enqueue(loop, input, groups, &base, &launches[(i + 1) % AHEAD]);
        rc = rc == SL_OK ? collect(loop, &launches[i % AHEAD], &last_end_ns) : rc;
        if (sl_clock_mono().ns >= until && rc == SL_OK) {
            rc = collect(loop, &launches[(i + 1) % AHEAD], &last_end_ns);
        }
    }
    loop->seconds = (double)(sl_clock_mono().ns - begin) / 1e9;
    return rc;
}

/* The shape that the agent would take, and how many headers it would give it. */
static int choose(struct loop *loop) {
    int rc = sl_hash_choose(&loop->cl, &loop->choice, &loop->err);
    if (rc == SL_OK) {
        const struct sl_hash_shape *best = &loop->choice.shapes[loop->choice.count - 1];
        uint32_t least = sl_hash_shape_takes_fewer(best) ? 2 : best->mids;
        bool several = loop->options->headers >= least;
        loop->shape = several ? *best : loop->choice.shapes[0];
        loop->headers = several && loop->options->headers < best->mids ? loop->options->headers
                                                                       : loop->shape.mids;
    }
    return rc;
}

static void *loop_main(void *arg) {
    struct loop *loop = arg;
    static const uint32_t midstate[8] = {0};
    static const uint8_t tail[12] = {0};
    static const struct sl_u256 target = {{0}};
    struct sl_hash_input input;
    uint32_t groups = 0;
    const struct sl_cl_spec spec = {.platform = loop->found->platform,
                                    .device = loop->found->device,
                                    .cache_dir = loop->options->cache,
                                    .figures = loop->found->info.key,
                                    .launch_ms = (uint32_t)loop->options->launch_ms};
    loop->status = sl_cl_open(&loop->cl, &spec, &loop->err);
    bool open = loop->status == SL_OK;
    if (open) {
        loop->status = choose(loop);
    }
    if (loop->status == SL_OK) {
        loop->status = sl_hash_kernel_open(&loop->cl, &loop->shape, &loop->kernel, &loop->err);
    }
    bool ready = loop->status == SL_OK;
    if (ready) {
        sl_hash_input_make(midstate, tail, &target, &input);
        while (input.mid_count < loop->headers) {
            sl_hash_input_add(&input, midstate);
        }
        loop->status = size_launch(loop, &input, &groups);
    }
    pthread_barrier_wait(loop->start);
    if (loop->status == SL_OK) {
        loop->status = run(loop, &input, groups);
    }
    if (ready) {
        sl_hash_kernel_save(&loop->kernel);
        sl_hash_kernel_close(&loop->kernel);
        (void)sl_tuning_save(loop->cl.tuning, &loop->err);
    }
    if (open) {
        sl_cl_close(&loop->cl);
    }
    return NULL;
}

static bool read_options(int argc, char **argv, struct options *o) {
    *o = (struct options){.seconds = 5, .launch_ms = 50, .cpu = true, .headers = SL_HASH_MIDS_MAX};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--json") == 0) {
            o->json = true;
        } else if (strcmp(argv[i], "--no-cpu") == 0) {
            o->cpu = false;
        } else if (more && strcmp(argv[i], "--seconds") == 0) {
            o->seconds = strtod(argv[++i], NULL);
        } else if (more && strcmp(argv[i], "--launch-ms") == 0) {
            o->launch_ms = strtod(argv[++i], NULL);
        } else if (more && strcmp(argv[i], "--split") == 0) {
            o->split = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--headers") == 0) {
            o->headers = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (more && strcmp(argv[i], "--cache") == 0) {
            o->cache = argv[++i];
        } else {
            return false;
        }
    }
    return o->seconds > 0 && o->launch_ms > 0;
}

static int print(const struct options *o, const struct loop *loops, uint32_t count) {
    double total = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (loops[i].status != SL_OK) {
            fprintf(stderr, "hash_bare: %s: %s\n", loops[i].found->info.key, loops[i].err.text);
            return 1;
        }
        total += (double)loops[i].hashes / loops[i].seconds;
    }
    if (o->json) {
        printf("{\"hash_rate_hs\":%.0f,\"seconds\":%.3f,\"devices\":[", total, loops[0].seconds);
    } else {
        printf("%.2f MH/s\n", total / 1e6);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct loop *l = &loops[i];
        double rate = (double)l->hashes / l->seconds;
        double gap = l->busy_ns ? (double)l->gap_ns / (double)l->busy_ns : 0;
        printf(o->json ? "%s{\"key\":\"%s\",\"hash_rate_hs\":%.0f,\"width\":%u,\"local\":%u,"
                         "\"rounds\":%u,\"headers\":%u,\"idle_gap_share\":%.6f}"
                       : "%s%s  %.0f H/s  width %u  work-group %u  rounds %u  headers %u  "
                         "idle gaps %.6f\n",
               o->json && i ? "," : "", l->found->info.key, rate, l->shape.width, l->shape.local,
               l->shape.rounds, l->headers, gap);
    }
    if (o->json) {
        printf("]}\n");
    }
    return 0;
}

int main(int argc, char **argv) {
    struct options options;
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    pthread_barrier_t start;
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: hash_bare [--seconds S] [--split N] [--launch-ms L] [--no-cpu] "
                        "[--headers N] [--cache DIR] [--json]\n");
        return 2;
    }
    const struct sl_discover_config config = {.node = "bench",
                                              .cache_dir = options.cache,
                                              .cpu =
                                                  options.cpu ? SL_CPU_USE_AUTO : SL_CPU_USE_NEVER,
                                              .gpus = true,
                                              .split_cpu = options.split};
    if (sl_discover(&config, &found, &err) != SL_OK) {
        fprintf(stderr, "hash_bare: %s\n", err.text);
        return 1;
    }
    uint32_t count = sl_discovery_count(found);
    struct loop *loops = calloc(count, sizeof *loops);
    if (!loops) {
        return 1;
    }
    pthread_barrier_init(&start, NULL, count);
    for (uint32_t i = 0; i < count; i++) {
        loops[i].options = &options;
        loops[i].found = &found->devices[i];
        loops[i].start = &start;
        if (pthread_create(&loops[i].thread, NULL, loop_main, &loops[i]) != 0) {
            fprintf(stderr, "hash_bare: cannot start a thread\n");
            return 1;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(loops[i].thread, NULL);
    }
    int rc = print(&options, loops, count);
    pthread_barrier_destroy(&start);
    free(loops);
    sl_discovery_destroy(found);
    return rc;
}
