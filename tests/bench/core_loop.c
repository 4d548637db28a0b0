/* SPDX-License-Identifier: Apache-2.0
 * What three things cost the broker's loop on a large site with many open batches: a step of the
 * shadows, a tick while the rate card refuses every bid, and the hello of one agent of thousands.
 * No store and no sockets. Medians; the site is made up, and every device measured its own rates.
 *
 *     core_loop [DEVICES] [BATCHES] [UNITS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/core_internal.h"
#include "proto/base/text.h"

#define RUNS 7
#define HELLOS 100
#define A_NODE 20 /* devices */
#define LINES 1000
#define BID INT64_C(1000000)

static double ms_since(struct sl_mono begin) {
    return (double)sl_mono_since_ns(sl_clock_mono(), begin) * 1e-6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static void step(struct sl_broker_core *core, struct sl_core_event *event, struct sl_now now) {
    struct sl_core_command command;
    sl_broker_core_step(core, event, now);
    while (sl_broker_core_next(core, &command)) {
        sl_core_command_fini(&command);
    }
    struct sl_core_event durable = {.kind = SL_CEV_DURABLE, .ticket = core->ticket};
    sl_broker_core_step(core, &durable, now);
    while (sl_broker_core_next(core, &command)) {
        sl_core_command_fini(&command);
    }
}

static struct sl_broker_core *make_core(struct sl_now now) {
    struct sl_core_config config = {.power_nusd_per_kwh = -1, .feed_count = 1, .tenant_count = 1};
    struct sl_broker_core *core = NULL;
    config.feeds[0] =
        (struct sl_core_feed){.id = "hashprice", .role = SL_FEED_HASHPRICE, .age_max_ms = 3600000};
    config.tenants[0] = (struct sl_core_tenant){"acme", BID, -1};
    sl_policy_document_default(&config.policy);
    config.policy.policy = SL_POLICY_THRESHOLD;
    config.policy.rate_count = 1;
    config.policy.rates[0] = (struct sl_rate){"mini", "made*", "*", 1000 * BID};
    if (sl_broker_core_create(&config, &core, NULL)) {
        exit(1);
    }
    struct sl_core_event price = {.kind = SL_CEV_PRICE,
                                  .price_ok = true,
                                  .value_nano = INT64_C(45000000000),
                                  .as_of = now.wall};
    step(core, &price, now);
    return core;
}

static void fill_device(struct sl_msg_device *device, uint32_t node, uint32_t i) {
    uint32_t number = node * A_NODE + i;
    memset(device, 0, sizeof *device);
    snprintf(device->key, sizeof device->key, "device-%u", number);
    sl_text_copy(device->name, sizeof device->name, "made up");
    device->mode = SL_MODE_HASH;
    device->safe = true;
    device->hash_rate_hs = UINT64_C(100000000000000) + number;
    device->model_count = 1;
    sl_text_copy(device->models[0].id, sizeof device->models[0].id, "mini");
    device->models[0].tokens_per_s_milli = 1000000 + number;
    device->models[0].length_rates_milli[0] = 250000 + number;
    device->models[0].length_rates_milli[2] = 1000000 + number;
}

/* The node's hello and its first report. */
static void join(struct sl_broker_core *core, uint32_t node, struct sl_now now) {
    static struct sl_msg_device devices[A_NODE];
    struct sl_msg hello = {.version = SL_WIRE_VERSION, .kind = SL_MSG_HELLO};
    struct sl_core_event event = {.kind = SL_CEV_MSG, .msg = &hello, .peer = {.conn = node + 1}};
    for (uint32_t i = 0; i < A_NODE; i++) {
        fill_device(&devices[i], node, i);
    }
    snprintf(event.peer.key, sizeof event.peer.key, "key-%u", node);
    snprintf(hello.hello.node, sizeof hello.hello.node, "node-%u", node);
    hello.hello.boot_id = 1;
    hello.hello.device_count = A_NODE;
    hello.hello.devices = devices;
    step(core, &event, now);
    struct sl_msg report = {.version = SL_WIRE_VERSION, .kind = SL_MSG_REPORT};
    report.session = core->nodes[sl_core_node_find(core, event.peer.key)].session;
    report.report.device_count = A_NODE;
    report.report.devices = devices;
    report.report.pool.connected = true;
    report.report.pool.has_job = true;
    event.msg = &report;
    step(core, &event, now);
}

static struct sl_core_batch *add_batch(struct sl_broker_core *core, uint32_t i, struct sl_now now) {
    struct sl_batch_row row = {.state = SL_BATCH_IN_PROGRESS, .created = now.wall};
    snprintf(row.id, sizeof row.id, "batch-%u", i);
    sl_text_copy(row.tenant, sizeof row.tenant, "acme");
    sl_text_copy(row.model, sizeof row.model, "mini");
    row.bid_nusd_per_mtok = BID - i;
    row.deadline.ms = now.wall.ms + 86400000;
    struct sl_core_batch *batch = sl_core_batch_add(core, &row);
    sl_core_batch_lines(batch, LINES);
    batch->worst = sl_core_calloc(LINES, sizeof *batch->worst);
    for (uint32_t line = 0; line < LINES; line++) {
        batch->worst[line] = line % 2 ? 4000000 : 100;
        batch->worst_total += (int64_t)batch->worst[line] * 1000;
        sl_core_lengths_line(batch, batch->worst[line], 1);
    }
    batch->lines_known = true;
    return batch;
}

/* Of each node the last A_NODE units are open, the others done long ago. */
static void add_units(struct sl_broker_core *core, uint32_t units) {
    static struct sl_unit_row row = {.line_count = 32};
    for (uint32_t i = 0; i < units; i++) {
        uint32_t node = i % core->node_count;
        uint32_t dev = core->nodes[node].first_device;
        row.unit_id = i + 1;
        row.closed = i + A_NODE * core->node_count < units;
        sl_core_unit_add(core, &row, core->batches[i % core->batch_count], dev, node);
    }
}

static void measure(struct sl_broker_core *core) {
    double shadow[RUNS], tick[RUNS], hello[HELLOS];
    for (int i = 0; i < RUNS; i++) {
        core->now.mono.ns += SL_NS_PER_S;
        struct sl_mono begin = sl_clock_mono();
        sl_core_shadow_advance(core);
        shadow[i] = ms_since(begin);
        begin = sl_clock_mono();
        sl_core_tick(core);
        tick[i] = ms_since(begin);
    }
    for (uint32_t i = 0; i < HELLOS; i++) {
        struct sl_msg_device devices[A_NODE];
        struct sl_msg_hello msg = {.device_count = A_NODE, .devices = devices};
        uint32_t node = i * 7919 % core->node_count;
        for (uint32_t d = 0; d < A_NODE; d++) {
            fill_device(&devices[d], node, d);
        }
        struct sl_mono begin = sl_clock_mono();
        sl_core_fleet_hello(core, node, &msg, false);
        hello[i] = ms_since(begin);
    }
    printf("shadows, a step      %10.3f ms\ntick, all refused    %10.3f ms\n"
           "hello, of %5u      %10.3f ms\n",
           median(shadow, RUNS), median(tick, RUNS), core->node_count, median(hello, HELLOS));
    char sum[48];
    printf("always-lease %s nUSD\n", sl_i128_format(core->shadow_lease, sum));
}

int main(int argc, char **argv) {
    long devices = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
    long batches = argc > 2 ? strtol(argv[2], NULL, 10) : 100;
    long units = argc > 3 ? strtol(argv[3], NULL, 10) : 300000;
    if (devices < A_NODE || devices > 1000000 || batches < 1 || batches > SL_CORE_BATCHES_MAX ||
        units < 0 || units > 10000000) {
        fprintf(stderr, "usage: core_loop [DEVICES] [BATCHES] [UNITS]\n");
        return 2;
    }
    struct sl_now now = {.mono = {1000 * SL_NS_PER_S}, .wall = {INT64_C(1770000000000)}};
    struct sl_broker_core *core = make_core(now);
    for (uint32_t node = 0; node < devices / A_NODE; node++) {
        join(core, node, now);
    }
    for (uint32_t i = 0; i < batches; i++) {
        add_batch(core, i, now);
    }
    sl_core_tick(core);
    add_units(core, (uint32_t)units);
    measure(core);
    sl_broker_core_destroy(core);
    return 0;
}
