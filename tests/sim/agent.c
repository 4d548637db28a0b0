/* SPDX-License-Identifier: Apache-2.0
 * An agent's process: core, journal on the simulated disk, scripted devices, its end of the link.
 * A device belongs to the node: what is wrong with it outlives a process only where it would. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/internal.h"

#define SHARE_EVERY_US 5000000

static void fill_script(struct sim *sim, uint32_t i, uint32_t device, struct sl_fake_script *s) {
    struct sim_rng rng = sim_rng_of(sim->options.seed, 300 + i * SIM_DEVICES_MAX + device);
    memset(s, 0, sizeof *s);
    snprintf(s->info.key, sizeof s->info.key, "%s/fake/%u", sim->agents[i].node, device);
    snprintf(s->info.name, sizeof s->info.name, "fake %u", device);
    snprintf(s->info.driver, sizeof s->info.driver, "1");
    s->info.compute_units = 1;
    s->info.memory_bytes = 1 << 20;
    s->hash_rate_hs = (uint64_t)sim_range(&rng, 90000000, 110000000);
    s->ready_us = (uint64_t)sim_range(&rng, 1000, 3000000);
    s->halt_us = (uint64_t)sim_range(&rng, 100, 2000);
    s->start_us = (uint64_t)sim_range(&rng, 100, 2000);
    s->launch_us = (uint64_t)sim_range(&rng, 500, 50000);
    s->hang_ms = 8000;
    s->dim = SIM_DIM;
    s->candidate_every_us = SHARE_EVERY_US;
    s->model_count = 1;
    snprintf(s->models[0].id, sizeof s->models[0].id, SIM_MODEL);
    s->models[0].tokens_per_s_milli = (uint64_t)sim_range(&rng, 300000, 2000000);
    s->models[0].max_tokens = SIM_MODEL_TOKENS;
    /* Some agents know how fast they are by length of text: shorter ones are slower. */
    for (uint32_t class_ = 0; class_ < 4 && sim_range(&rng, 0, 2) > 0; class_++) {
        uint64_t milli = s->models[0].tokens_per_s_milli;
        s->models[0].length_rates_milli[class_] =
            milli * (uint64_t)sim_range(&rng, 300, 400 + 200 * class_) / 1000;
    }
    s->failure = sim->agents[i].failures[device];
}

static int open_devices(struct sim *sim, uint32_t i, struct sl_agent_device_config *configs,
                        struct sl_error *err) {
    struct sim_agent *agent = &sim->agents[i];
    int rc = sl_mailbox_create(sizeof(struct sl_device_event), 4096, &agent->events, err);
    for (uint32_t k = 0; rc == SL_OK && k < sim->device_count; k++) {
        struct sl_fake_script script;
        fill_script(sim, i, k, &script);
        configs[k].info = script.info;
        configs[k].rated_mw[SL_MODE_HASH] = 200000;
        configs[k].rated_mw[SL_MODE_INFER] = 150000;
        configs[k].rated_mw[SL_MODE_IDLE] = 20000;
        rc = sl_fake_device_create(&script, k, agent->events, sim_host_now(sim, i + 1).mono,
                                   &agent->devices[k], err);
    }
    return rc;
}

struct replay {
    struct sim *sim;
    uint32_t agent;
};

static int replay_record(void *context, enum sl_journal_space space, const void *key,
                         size_t key_size, const void *value, size_t value_size,
                         struct sl_error *err) {
    struct replay *replay = context;
    return sl_agent_replay(replay->sim->agents[replay->agent].core,
                           sim_host_now(replay->sim, replay->agent + 1), space, key, key_size,
                           value, value_size, err);
}

static int open_agent(struct sim *sim, uint32_t i, struct sl_error *err) {
    struct sim_agent *agent = &sim->agents[i];
    struct sl_agent_device_config devices[SIM_DEVICES_MAX] = {0};
    struct sl_agent_model model = {.id = SIM_MODEL, .max_tokens = SIM_MODEL_TOKENS};
    struct sl_journal_config disk = {.dir = "data",
                                     .ops = sim_disk_journal_ops(sim->hosts[i + 1].disk),
                                     .compact_bytes = 64 * 1024,
                                     .grow_bytes = 64 * 1024};
    int rc = sl_journal_open(&disk, &agent->journal, err);
    rc = rc ? rc
            : sl_mailbox_create(sizeof(struct sl_journal_done), 4096, &agent->journal_done, err);
    rc = rc ? rc : sl_mem_client_create(sim->hub, agent->key, &agent->link, err);
    rc = rc ? rc : open_devices(sim, i, devices, err);
    struct sl_agent_config config = {
        .boot_id = sim_next(&agent->boots),
        .seed = sim_next(&agent->boots),
        .canary_ms = sim_retest_ms(sim),
        .safe_mode = SL_MODE_HASH,
        .safe_mode_max_ms = INT64_C(6) * 3600 * 1000,
        .device_count = sim->device_count,
        .devices = devices,
        .model_count = 1,
        .models = &model,
        .message_bytes = SIM_MESSAGE_BYTES,
    };
    sl_text_copy(config.node, sizeof config.node, agent->node);
    rc = rc ? rc : sim_agent_core_create(&config, agent->node, &agent->core, err);
    struct replay replay = {sim, i};
    rc = rc ? rc : sl_journal_replay(agent->journal, replay_record, &replay, err);
    return rc ? rc : sl_journal_start(agent->journal, agent->journal_done, false, err);
}

static void start_again(struct sim *sim, struct sim_event *event) {
    if (!sim->hosts[event->a + 1].up && sim->hosts[event->a + 1].life == event->b) {
        sim_agent_start(sim, (uint32_t)event->a);
    }
}

void sim_agent_restart_soon(struct sim *sim, uint32_t i, int64_t after_ms) {
    sim_at(sim, sim->now_ns + after_ms * SL_NS_PER_MS, start_again, SIM_NOBODY, i,
           sim->hosts[i + 1].life);
}

void sim_agent_start(struct sim *sim, uint32_t i) {
    struct sim_host *host = &sim->hosts[i + 1];
    struct sim_agent *agent = &sim->agents[i];
    struct sl_error err = {0};
    host->life++;
    host->up = true;
    host->doomed = false;
    agent->commit_due = false;
    agent->leaves = false;
    uint64_t hurt = sim_host_hurt(sim, i + 1);
    int rc = open_agent(sim, i, &err);
    if (rc && (sim_disk_is_dead(host->disk) || sim_host_hurt(sim, i + 1) > hurt)) {
        sim_story(sim, "%s: cannot start: %s", agent->node, err.text);
        sim_check_text(sim, i + 1, "agent.start", err.text);
        sim_agent_crash(sim, i, false, false);
        sim_agent_restart_soon(sim, i, 2000);
        return;
    }
    if (rc) {
        sim_break(sim, "durability", "%s cannot start from its journal: %s", agent->node, err.text);
        return;
    }
    struct sl_journal_stats stats;
    sl_journal_get_stats(agent->journal, &stats);
    if (stats.cut_bytes > 0) {
        sim_count(sim, SIM_JOURNAL_CUT);
    }
    sim_story(sim, "%s: starts (process %u)", agent->node, host->life);
    sim_check_agent_started(sim, i);
    if (agent->old) {
        sim_count(sim, SIM_AGENT_OLD);
    }
    sl_agent_start(agent->core, sim_host_now(sim, i + 1));
    sim_agent_commands(sim, i);
    sim_agent_schedule(sim, i);
}

void sim_agent_down(struct sim *sim, uint32_t i) {
    struct sim_agent *agent = &sim->agents[i];
    struct sl_device_event event;
    struct sl_journal_stats stats = {0};
    if (agent->journal) {
        sl_journal_get_stats(agent->journal, &stats);
        sim->result->counts[SIM_JOURNAL_COMPACTED] += stats.compactions;
    }
    sl_agent_core_destroy(agent->core);
    sl_journal_close(agent->journal);
    for (uint32_t k = 0; k < SIM_DEVICES_MAX; k++) {
        sl_device_destroy(agent->devices[k]);
        agent->devices[k] = NULL;
    }
    while (agent->events && sl_mailbox_take(agent->events, &event)) {
        sl_device_event_fini(&event);
    }
    sl_mailbox_destroy(agent->events);
    sl_mailbox_destroy(agent->journal_done);
    sl_link_destroy(agent->link);
    sim_pools_hung_up(sim, i);
    agent->core = NULL;
    agent->journal = NULL;
    agent->events = NULL;
    agent->journal_done = NULL;
    agent->link = NULL;
    agent->due_ns = INT64_MAX;
    sim->hosts[i + 1].up = false;
}

void sim_agent_crash(struct sim *sim, uint32_t i, bool power, bool tear) {
    struct sim_host *host = &sim->hosts[i + 1];
    if (!sim_disk_is_dead(host->disk)) {
        sim_disk_die_at(host->disk, 1);
    }
    sim_agent_down(sim, i);
    if (power) {
        sim_disk_power_failed(host->disk, tear);
        sim_host_reboot_clock(sim, i + 1);
    } else {
        sim_disk_killed(host->disk);
    }
    for (uint32_t k = 0; k < SIM_DEVICES_MAX; k++) {
        struct sim_agent *agent = &sim->agents[i];
        bool chronic = agent->failures[k] == SL_FAKE_SLOW_HALT;
        agent->failures[k] = chronic && !power ? agent->failures[k] : SL_FAKE_OK;
    }
    host->paused_until_ns = 0;
    host->doomed = false;
}

void sim_agents_update(struct sim *sim) {
    for (uint32_t i = 0; i < sim->agent_count; i++) {
        bool restart = sim->agents[i].old && sim->hosts[i + 1].up;
        sim->agents[i].old = false;
        if (restart) {
            sim_agent_crash(sim, i, false, false);
            sim_agent_restart_soon(sim, i, 1000);
        }
    }
}

/* Between two events: a process that left or whose disk died ends here. */
static void end_if_over(struct sim *sim, uint32_t i) {
    struct sim_host *host = &sim->hosts[i + 1];
    struct sim_agent *agent = &sim->agents[i];
    if (!host->up || !(host->doomed || sim_disk_is_dead(host->disk))) {
        return;
    }
    if (agent->leaves && !sim_disk_is_dead(host->disk)) {
        sim_agent_down(sim, i);
        sim_disk_killed(host->disk);
        host->doomed = false;
    } else {
        bool power = sim_chance(&host->rng, 500000);
        sim_story(sim, "%s: dies (%s)", agent->node, power ? "power" : "process");
        sim_agent_crash(sim, i, power, power && sim_chance(&host->rng, 500000));
    }
    sim_agent_restart_soon(sim, i, sim_range(&host->rng, 100, 5000));
}

void sim_agent_schedule(struct sim *sim, uint32_t i) {
    struct sim_agent *agent = &sim->agents[i];
    end_if_over(sim, i);
    if (!sim->hosts[i + 1].up) {
        return;
    }
    int64_t next = sl_agent_deadline(agent->core).ns;
    for (uint32_t k = 0; k < sim->device_count; k++) {
        int64_t at = sl_fake_device_next_ns(agent->devices[k]);
        next = at < next ? at : next;
    }
    agent->due_ns = sim_host_when(sim, i + 1, next);
}

static void take_device_events(struct sim *sim, uint32_t i, struct sl_now now) {
    struct sim_agent *agent = &sim->agents[i];
    struct sl_device_event event;
    while (!sim->hosts[i + 1].doomed && sl_mailbox_take(agent->events, &event)) {
        sl_agent_device(agent->core, now, &event);
        sim_agent_commands(sim, i);
        sl_device_event_fini(&event);
    }
}

void sim_agent_live(struct sim *sim, uint32_t i) {
    struct sim_agent *agent = &sim->agents[i];
    struct sl_now now = sim_host_now(sim, i + 1);
    for (uint32_t k = 0; k < sim->device_count; k++) {
        sl_fake_device_advance(agent->devices[k], now.mono);
        sim_retests_watch(sim, i, k);
    }
    take_device_events(sim, i, now);
    if (sl_agent_deadline(agent->core).ns <= now.mono.ns) {
        sl_agent_timer(agent->core, now);
        sim_agent_commands(sim, i);
    }
    sim_agent_schedule(sim, i);
    if (!sim->hosts[i + 1].up) {
        return;
    }
    sim_check_lease(sim, i);
    sim_check_applied(sim);
    if (agent->due_ns <= sim->now_ns) {
        agent->due_ns = sim->now_ns + 1000;
    }
}

static void read_later(struct sim *sim, struct sim_event *event) {
    sim_agent_read(sim, (uint32_t)event->a);
}

void sim_agent_read(struct sim *sim, uint32_t i) {
    struct sim_agent *agent = &sim->agents[i];
    struct sim_host *host = &sim->hosts[i + 1];
    if (host->up && host->paused_until_ns > sim->now_ns) {
        sim_at(sim, host->paused_until_ns, read_later, i + 1, i, 0);
        return;
    }
    struct sl_link_peer peer;
    const uint8_t *data = NULL;
    size_t size = 0;
    while (host->up && !host->doomed &&
           sl_link_recv(agent->link, &peer, &data, &size, NULL) == SL_OK) {
        struct sl_msg msg;
        struct sl_error err;
        struct sl_now now = sim_host_now(sim, i + 1);
        if (sl_msg_decode(data, size, agent->arena, &msg, &err) != SL_OK) {
            sim_break(sim, "wire", "the broker's message cannot be decoded: %s", err.text);
            return;
        }
        if (msg.kind == SL_MSG_DIRECTIVE) {
            sim_check_heard(sim, i, &msg);
        } else if (msg.kind == SL_MSG_WELCOME) {
            sim_check_welcomed(sim, i);
        }
        /* Devices have lived up to now, so that what the message asks for happens now. */
        for (uint32_t k = 0; k < sim->device_count; k++) {
            sl_fake_device_advance(agent->devices[k], now.mono);
        }
        sl_agent_message(agent->core, now, now.mono, &msg);
        sim_agent_commands(sim, i);
    }
    if (host->up) {
        sim_agent_schedule(sim, i);
    }
}
