/* SPDX-License-Identifier: Apache-2.0
 * The broker's process: core, store on the simulated disk, the server's end of the link. What the
 * shell does with threads and sockets happens here in virtual time. */
#include <stdlib.h>
#include <string.h>

#include "broker/shell/restore.h"
#include "broker/store/backup.h"
#include "tests/sim/internal.h"

static void on_durable(struct sim *sim) {
    uint64_t ticket = 0;
    while (sim->broker.durable && sl_mailbox_take(sim->broker.durable, &ticket)) {
        sim_model_durable(sim, ticket);
        struct sl_core_event event = {.kind = SL_CEV_DURABLE, .ticket = ticket};
        sim_broker_step(sim, &event);
    }
}

static void on_fatal(void *arg, const char *reason) {
    struct sim *sim = arg;
    sim->broker.failed = true;
    sim_check_text(sim, SIM_BROKER, "store.fatal", reason);
    sim_story(sim, "broker: the store failed: %s", reason);
    if (sim_host_hurt(sim, SIM_BROKER) == sim->broker.hurt &&
        !sim_disk_is_dead(sim->hosts[SIM_BROKER].disk)) {
        sim_break(sim, "alive", "the broker ends by itself: %s", reason);
    }
}

static int open_store(struct sim *sim, struct sl_error *err) {
    struct sim_broker *broker = &sim->broker;
    struct sl_store_config config = {
        .path = SIM_STORE, .vfs = SIM_VFS, .threadless = true, .fatal = on_fatal, .fatal_arg = sim};
    int rc = SL_OK;
    if (broker->restored) { /* as sluice-broker restore does */
        rc = sl_restore_mark(SIM_STORE, SIM_VFS, broker->backup_wall, broker->restored_wall, err);
    }
    rc = rc ? rc : sl_store_open(&config, &broker->store, err);
    SL_AUTO(sl_reader) reader = NULL;
    SL_AUTO(sl_reader) second = NULL;
    rc = rc ? rc : sl_reader_open(SIM_STORE, SIM_VFS, &reader, err);
    rc = rc ? rc : sl_reader_open(SIM_STORE, SIM_VFS, &second, err);
    rc = rc ? rc : sl_broker_core_create(sim->broker_config, &broker->core, err);
    rc = rc ? rc : sl_broker_restore(broker->core, reader, second, err);
    rc = rc ? rc : sl_mem_server_create(sim->hub, &broker->link, err);
    return rc ? rc : sl_mailbox_create(sizeof(uint64_t), 65536, &broker->durable, err);
}

static void fill_config(struct sim *sim) {
    struct sl_core_config *c = calloc(1, sizeof *c);
    sl_assert(c);
    struct sim_rng rng = sim_rng_of(sim->options.seed, 5);
    c->lease_ttl_ms = SIM_TTL_MS;
    c->report_ms = 1000;
    c->session_lost_ms = 5000;
    c->safe_mode = sim_chance(&rng, 800000) ? SL_MODE_HASH : SL_MODE_IDLE;
    c->safe_mode_max_ms = sim_chance(&rng, 500000) ? 20000 : INT64_C(6) * 3600 * 1000;
    c->threshold_ppm = sim_range(&rng, 0, 50000);
    c->dwell_min_ms = sim_chance(&rng, 500000) ? 0 : sim_range(&rng, 1000, 20000);
    /* Often far above all else; sometimes near the price of its power. */
    sim->near_parity = sim_chance(&rng, 200000);
    c->hash_factor_milli = sim->near_parity ? sim_range(&rng, 40000000, 90000000) : 10000000000;
    /* Every policy in turn, with short steps: an hour has to show what a week does. */
    sl_policy_document_default(&c->policy);
    c->policy.policy = sim_chance(&rng, 400000) ? SL_POLICY_THRESHOLD : sim_range(&rng, 1, 5);
    c->policy.step_ms = sim_range(&rng, 1, 20) * 500;
    c->policy.switching.minimum_ms = sim_range(&rng, 1, 20) * 1000;
    c->policy.against_ms = sim_range(&rng, 5, 120) * 1000;
    if (sim_retest_ms(sim) == 0) { /* what only re-tests end would last for ever */
        c->policy.health.hung = SL_HEALTH_OK;
    }
    c->power_nusd_per_kwh = -1;
    c->unit_lines = (uint32_t)sim_range(&rng, 1, 32);
    c->units_ahead = (uint32_t)sim_range(&rng, 1, 3);
    c->quote = (struct sl_quote_limits){.outlier_ppm = 250000,
                                        .disagree_ppm = 100000,
                                        .jump_ppm = 2000000,
                                        .confirm_ms = 40000,
                                        .floor_nano = 10000000};
    c->feed_count = SIM_FEEDS;
    for (uint32_t i = 0; i < SIM_FEEDS; i++) {
        snprintf(c->feeds[i].id, sizeof c->feeds[i].id, "feed%u", i);
        c->feeds[i].role = i < SIM_HASH_FEEDS ? SL_FEED_HASHPRICE : SL_FEED_POWER;
        c->feeds[i].age_max_ms = sim->feeds[i].age_max_ms;
    }
    c->tenant_count = SIM_TENANTS;
    for (uint32_t i = 0; i < SIM_TENANTS; i++) {
        snprintf(c->tenants[i].id, sizeof c->tenants[i].id, "tenant%u", i);
        c->tenants[i].default_bid_nusd_per_mtok = INT64_C(400000000);
        c->tenants[i].budget_nusd = i == 1 ? sim_range(&rng, 100000, 3000000) : -1;
    }
    c->model_count = 1;
    sl_text_copy(c->models[0], sizeof c->models[0], SIM_MODEL);
    sim_power_draw(sim, c);
    sim_pools_draw(sim, c);
    sim->broker_config = c;
}

static void start_again(struct sim *sim, struct sim_event *event) {
    if (!sim->hosts[SIM_BROKER].up && sim->hosts[SIM_BROKER].life == event->a) {
        sim_broker_start(sim);
    }
}

void sim_broker_restart_soon(struct sim *sim, int64_t after_ms) {
    sim_at(sim, sim->now_ns + after_ms * SL_NS_PER_MS, start_again, SIM_NOBODY,
           sim->hosts[SIM_BROKER].life, 0);
}

void sim_broker_start(struct sim *sim) {
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    struct sl_error err = {0};
    bool again = host->life > 0;
    if (!sim->broker_config) {
        fill_config(sim);
    }
    host->life++;
    host->up = true;
    host->doomed = false;
    sim->broker.failed = false;
    sim->broker.hurt = sim_host_hurt(sim, SIM_BROKER);
    sim->broker.started_ns = sim->now_ns;
    sim->broker.priced_ns = INT64_MAX;
    sim->broker.commit_due = false;
    sim->broker.cut_in = -1;
    sim_disk_set_wall_ms(host->disk, sim_host_now(sim, SIM_BROKER).wall.ms);
    int rc = open_store(sim, &err);
    if (rc && (sim_disk_is_dead(host->disk) || sim_host_hurt(sim, SIM_BROKER) > sim->broker.hurt)) {
        /* A disk that fails at the start: the process says why and is started again later. */
        sim_story(sim, "broker: cannot start: %s", err.text);
        sim_check_text(sim, SIM_BROKER, "broker.start", err.text);
        sim_broker_crash(sim, false, false);
        sim_broker_restart_soon(sim, 2000);
        return;
    }
    if (rc) {
        sim_break(sim, "durability", "the broker cannot open its store: %s", err.text);
        return;
    }
    sim_story(sim, "broker: starts (process %u)", host->life);
    sim_feeds_forget(sim);
    if (again) {
        sim_count(sim, SIM_STORE_RECOVERED);
        sim_model_check_store(sim, sim->broker.restored);
        sim_joining_check(sim, sim->broker.restored);
        sim->broker.restored = false;
    }
    sim->broker.due_ns = sim->now_ns;
}

/* Frees what the process had; closing the store must not write any more when it died. */
void sim_broker_down(struct sim *sim) {
    struct sim_broker *broker = &sim->broker;
    sl_broker_core_destroy(broker->core);
    sl_store_close(broker->store);
    sl_link_destroy(broker->link);
    sl_mailbox_destroy(broker->durable);
    broker->core = NULL;
    broker->store = NULL;
    broker->link = NULL;
    broker->durable = NULL;
    broker->due_ns = INT64_MAX;
    sim->hosts[SIM_BROKER].up = false;
}

void sim_broker_restored(struct sim *sim) {
    sim->broker.restored = true;
    sim->restored_once = true;
}

void sim_broker_crash(struct sim *sim, bool power, bool tear) {
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (!sim_disk_is_dead(host->disk)) {
        sim_disk_die_at(host->disk, 1);
    }
    sim_broker_down(sim);
    if (power) {
        sim_disk_power_failed(host->disk, tear);
        sim_host_reboot_clock(sim, SIM_BROKER);
    } else {
        sim_disk_killed(host->disk);
    }
    sim_model_crashed(sim);
    host->paused_until_ns = 0;
    host->doomed = false;
}

/* Between two events: a process whose disk died, whose store failed or that was told to stop ends
 * here. */
static void end_if_over(struct sim *sim) {
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (!host->up) {
        return;
    }
    if (host->doomed || sim_disk_is_dead(host->disk)) {
        bool power = sim_chance(&host->rng, 500000);
        sim_story(sim, "broker: dies (%s)", power ? "power" : "process");
        sim_broker_crash(sim, power, power && sim_chance(&host->rng, 500000));
        sim_broker_restart_soon(sim, sim_range(&host->rng, 100, 5000));
    } else if (sim->broker.failed) {
        sim_count(sim, SIM_STORE_FAILED);
        sim_story(sim, "broker: ends, its store failed");
        sim_broker_crash(sim, false, false);
        sim_broker_restart_soon(sim, sim_range(&host->rng, 1000, 5000));
    }
}

void sim_broker_step(struct sim *sim, struct sl_core_event *event) {
    struct sim_broker *broker = &sim->broker;
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (!host->up || host->doomed) {
        return;
    }
    struct sl_now now = sim_host_now(sim, SIM_BROKER);
    event->read_ns = event->read_ns ? event->read_ns : now.mono.ns;
    sl_broker_core_step(broker->core, event, now);
    sim_broker_commands(sim);
    end_if_over(sim);
    if (host->up) {
        broker->due_ns = sim_host_when(sim, SIM_BROKER, sl_broker_core_due(broker->core).ns);
    }
}

void sim_broker_timer(struct sim *sim) {
    struct sl_core_event event = {.kind = SL_CEV_TIMER};
    sim_broker_step(sim, &event);
    if (sim->hosts[SIM_BROKER].up && sim->broker.due_ns <= sim->now_ns) {
        sim->broker.due_ns = sim->now_ns + SL_NS_PER_MS;
    }
}

/* A shell reads when it runs: what came while it was stopped waits in its socket. */
static void read_later(struct sim *sim, struct sim_event *event) {
    (void)event;
    sim_broker_read(sim);
}

void sim_broker_read(struct sim *sim) {
    struct sim_broker *broker = &sim->broker;
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (host->up && host->paused_until_ns > sim->now_ns) {
        sim_at(sim, host->paused_until_ns, read_later, SIM_BROKER, 0, 0);
        return;
    }
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    while (host->up && sl_link_recv(broker->link, &peer, &data, &size, NULL) == SL_OK) {
        struct sl_msg msg;
        struct sl_error err;
        if (sl_msg_decode(data, size, broker->arena, &msg, &err) != SL_OK) {
            sim_break(sim, "wire", "an agent's message cannot be decoded: %s", err.text);
            return;
        }
        uint32_t agent = sim_agent_by_key(sim, peer.key);
        if (agent != SIM_NOBODY) {
            sim_check_arrival(sim, agent, &msg);
        }
        struct sl_core_event event = {.kind = SL_CEV_MSG, .peer = peer, .msg = &msg};
        sim_broker_step(sim, &event);
    }
}

static void commit(struct sim *sim, struct sim_event *event) {
    (void)event;
    struct sim_broker *broker = &sim->broker;
    broker->commit_due = false;
    size_t done = 0;
    while (sl_store_commit(broker->store) && !broker->failed) {
        bool wrote_back = sl_mailbox_count(broker->durable) == done;
        done = sl_mailbox_count(broker->durable);
        sim->result->commits += wrote_back ? 0 : 1;
        if (wrote_back) {
            sim_count(sim, SIM_STORE_CHECKPOINT);
        }
    }
    if (!sim_disk_is_dead(sim->hosts[SIM_BROKER].disk)) {
        on_durable(sim);
    }
    end_if_over(sim);
}

void sim_broker_commit_soon(struct sim *sim) {
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (sim->broker.commit_due) {
        return;
    }
    sim->broker.commit_due = true;
    int64_t span_ns = sim_range(&host->rng, 300000, 4000000);
    if (host->sync_slow_until_ns > sim->now_ns) {
        span_ns = sim_range(&host->rng, SL_NS_PER_S / 10, 5 * SL_NS_PER_S);
        sim_count(sim, SIM_DISK_SLOW);
    }
    sim_at(sim, sim->now_ns + span_ns, commit, SIM_BROKER, 0, 0);
}
