/* SPDX-License-Identifier: Apache-2.0
 * What strikes the site: faults that are allowed in this run, at random moments, for random spans;
 * then the healing of everything. */
#include <string.h>

#include "tests/sim/internal.h"

const char *sim_fault_name(enum sim_fault fault) {
    static const char *const names[SIM_COUNTS] = {
#define SIM_NAME(id, name, text) [SIM_##id] = name,
        SIM_FAULT_MAP(SIM_NAME) SIM_PATH_MAP(SIM_NAME)
#undef SIM_NAME
    };
    return fault < SIM_COUNTS ? names[fault] : "?";
}

const char *sim_fault_text(enum sim_fault fault) {
    static const char *const texts[SIM_COUNTS] = {
#define SIM_TEXT(id, name, text) [SIM_##id] = text,
        SIM_FAULT_MAP(SIM_TEXT) SIM_PATH_MAP(SIM_TEXT)
#undef SIM_TEXT
    };
    return fault < SIM_COUNTS ? texts[fault] : "?";
}

enum sim_fault sim_fault_find(const char *name) {
    for (int i = 0; i < SIM_FAULTS; i++) {
        if (strcmp(sim_fault_name((enum sim_fault)i), name) == 0) {
            return (enum sim_fault)i;
        }
    }
    return SIM_FAULTS;
}

/* ---- by kind ---- */

static void strike_net(struct sim *sim, enum sim_fault fault, uint32_t i, int64_t until_ns) {
    struct sim_net_side *sides[] = {&sim->agents[i].up, &sim->agents[i].down};
    for (int k = 0; k < 2; k++) {
        bool hit = fault == SIM_PARTITION_UP ? k == 0 : fault == SIM_PARTITION_DOWN ? k == 1 : true;
        struct sim_net_side *side = sides[k];
        int64_t *until = fault == SIM_NET_LOSS        ? &side->lossy_until_ns
                         : fault == SIM_NET_DUPLICATE ? &side->doubling_until_ns
                         : fault == SIM_NET_REORDER   ? &side->shuffling_until_ns
                         : fault == SIM_NET_DELAY     ? &side->slow_until_ns
                                                      : &side->cut_until_ns;
        if (hit) {
            *until = until_ns;
        }
    }
    if (fault == SIM_PARTITION || fault == SIM_PARTITION_UP || fault == SIM_PARTITION_DOWN) {
        sim_count(sim, fault);
    }
}

static void reset_line(struct sim *sim, uint32_t i) {
    sim_count(sim, SIM_LINK_RESET);
    sl_mem_hub_cut(sim->hub, sim->agents[i].key, 1);
    sl_mem_hub_cut(sim->hub, sim->agents[i].key, 0);
}

static void strike_agent(struct sim *sim, enum sim_fault fault, uint32_t i, int64_t until_ns) {
    struct sim_host *host = &sim->hosts[i + 1];
    struct sim_agent *agent = &sim->agents[i];
    if (!host->up || host->paused_until_ns > sim->now_ns) {
        return;
    }
    switch ((int)fault) { /* the others are not for here */
    case SIM_AGENT_KILL:
    case SIM_AGENT_POWER:
        sim_count(sim, fault);
        sim_agent_crash(sim, i, fault == SIM_AGENT_POWER, false);
        sim_agent_restart_soon(sim, i, (until_ns - sim->now_ns) / SL_NS_PER_MS);
        break;
    case SIM_DISK_TEAR:
        sim_count(sim, fault);
        sim_agent_crash(sim, i, true, true);
        sim_agent_restart_soon(sim, i, sim_range(&sim->rng, 100, 3000));
        break;
    case SIM_AGENT_IO_DEATH:
        sim_count(sim, fault);
        sim_disk_die_at(host->disk, (uint64_t)sim_span(&sim->rng, 1, 200));
        break;
    case SIM_AGENT_PAUSE:
        sim_count(sim, fault);
        host->paused_until_ns =
            sim->now_ns + sim_range(&sim->rng, SIM_TTL_MS, 4 * SIM_TTL_MS) * SL_NS_PER_MS;
        break;
    default: /* SIM_AGENT_STOP */
        sim_count(sim, SIM_AGENT_STOP);
        sl_agent_stop(agent->core, sim_host_now(sim, i + 1), 0, "asked to stop");
        sim_agent_commands(sim, i);
        sim_agent_schedule(sim, i);
        break;
    }
}

static void stop_broker(struct sim *sim) {
    struct sl_core_event event = {.kind = SL_CEV_SHUTDOWN};
    sim_broker_step(sim, &event);
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (host->up && !host->doomed) {
        while (sl_store_commit(sim->broker.store) && !sim->broker.failed) {}
        bool dead = sim_disk_is_dead(host->disk);
        sim_broker_down(sim);
        sim_disk_killed(host->disk);
        sim_model_crashed(sim);
        sim_broker_restart_soon(sim, dead ? 2000 : sim_range(&sim->rng, 100, 3000));
    }
}

static void back_up(struct sim *sim) {
    if (sim->hosts[SIM_BROKER].up && !sim_disk_is_dead(sim->hosts[SIM_BROKER].disk)) {
        sim_disk_snapshot_free(sim->broker.backup);
        sim->broker.backup = sim_disk_snapshot(sim->hosts[SIM_BROKER].disk);
        sim->broker.backup_ns = sim->now_ns;
        sim->broker.backup_wall = sim_host_now(sim, SIM_BROKER).wall;
    }
}

static void restore_backup(struct sim *sim) {
    if (!sim->broker.backup || sim->now_ns == sim->broker.backup_ns) {
        back_up(sim);
        return;
    }
    struct sl_wall wall = sim_host_now(sim, SIM_BROKER).wall;
    if (wall.ms <= sim->broker.backup_wall.ms || wall.ms <= sim->broker.restored_wall.ms) {
        sim_story(sim, "broker: is not put back: its clock says that this was earlier");
        return; /* as sl_restore refuses it */
    }
    sim_count(sim, SIM_RESTORE_BACKUP);
    sim_story(sim, "broker: is put back to its backup of %.3f s",
              (double)sim->broker.backup_ns / 1e9);
    sim->broker.restored_wall = wall;
    if (sim->hosts[SIM_BROKER].up) {
        sim_broker_crash(sim, false, false);
    }
    sim_disk_restore(sim->hosts[SIM_BROKER].disk, sim->broker.backup);
    sim_broker_restored(sim);
    sim_broker_restart_soon(sim, sim_range(&sim->rng, 100, 3000));
}

static void strike_broker(struct sim *sim, enum sim_fault fault, int64_t until_ns) {
    struct sim_host *host = &sim->hosts[SIM_BROKER];
    if (fault == SIM_RESTORE_BACKUP) {
        restore_backup(sim);
        return;
    }
    if (!host->up || host->paused_until_ns > sim->now_ns) {
        return;
    }
    switch ((int)fault) { /* the others are not for here */
    case SIM_BROKER_KILL:
    case SIM_BROKER_POWER:
        sim_count(sim, fault);
        sim_broker_crash(sim, fault == SIM_BROKER_POWER, false);
        sim_broker_restart_soon(sim, (until_ns - sim->now_ns) / SL_NS_PER_MS);
        break;
    case SIM_DISK_TEAR:
        sim_count(sim, fault);
        sim_broker_crash(sim, true, true);
        sim_broker_restart_soon(sim, sim_range(&sim->rng, 100, 3000));
        break;
    case SIM_BROKER_IO_DEATH:
        sim_count(sim, fault);
        sim_disk_die_at(host->disk, (uint64_t)sim_span(&sim->rng, 1, 400));
        break;
    case SIM_BROKER_CUT:
        sim->broker.cut_in = sim_span(&sim->rng, 1, 200);
        break;
    case SIM_BROKER_PAUSE:
        sim_count(sim, fault);
        host->paused_until_ns =
            sim->now_ns + sim_range(&sim->rng, SIM_TTL_MS, 3 * SIM_TTL_MS) * SL_NS_PER_MS;
        break;
    default: /* SIM_BROKER_STOP */
        sim_count(sim, SIM_BROKER_STOP);
        stop_broker(sim);
        break;
    }
}

static void room_again(struct sim *sim, struct sim_event *event) {
    sim_disk_set_room(sim->hosts[event->a].disk, 0);
}

static void strike_disk(struct sim *sim, enum sim_fault fault, uint32_t host, int64_t until_ns) {
    struct sim_disk *disk = sim->hosts[host].disk;
    switch ((int)fault) { /* the others are not for here */
    case SIM_DISK_WRITE_ERROR:
        sim_count(sim, fault);
        sim_disk_fail_writes(disk, 1);
        break;
    case SIM_DISK_SYNC_ERROR:
        sim_count(sim, fault);
        sim_disk_fail_syncs(disk, 1);
        break;
    case SIM_DISK_FULL:
        sim_count(sim, fault);
        sim_disk_set_room(disk, sim_disk_used(disk) + (uint64_t)sim_range(&sim->rng, 0, 8192));
        sim_at(sim, until_ns, room_again, SIM_NOBODY, host, 0);
        break;
    default: /* SIM_DISK_SLOW */
        sim->hosts[host].sync_slow_until_ns = until_ns;
        break;
    }
}

static void strike_clock(struct sim *sim, uint32_t host) {
    sim_count(sim, SIM_CLOCK_STEP);
    sim->broker.clock_stepped = sim->broker.clock_stepped || host == SIM_BROKER;
    int64_t step_ms = sim_span(&sim->rng, 100, 4000000);
    sim->hosts[host].clock.wall_off_ms += sim_chance(&sim->rng, 500000) ? step_ms : -step_ms;
}

static void strike_device(struct sim *sim, enum sim_fault fault, uint32_t i) {
    struct sim_agent *agent = &sim->agents[i];
    uint32_t k = (uint32_t)sim_range(&sim->rng, 0, sim->device_count - 1);
    bool mute = sim_chance(&sim->rng, 500000); /* says that it failed, or gives what is no number */
    enum sl_fake_failure failure = fault == SIM_DEVICE_HANG    ? SL_FAKE_HANG
                                   : fault == SIM_DEVICE_SLOW  ? SL_FAKE_SLOW_HALT
                                   : fault == SIM_DEVICE_LOST  ? SL_FAKE_LOST
                                   : fault == SIM_DEVICE_WRONG ? SL_FAKE_WRONG
                                   : mute                      ? SL_FAKE_BAD_VECTOR
                                                               : SL_FAKE_NAN_VECTOR;
    /* Who works under a cap is checked by those that are there. */
    bool off = failure == SL_FAKE_WRONG && (sim->power.cap || sim->power.strike);
    if (off || !sim->hosts[i + 1].up || agent->failures[k] != SL_FAKE_OK) {
        return;
    }
    sim_count(sim, fault);
    agent->failures[k] = failure;
    sl_fake_device_advance(agent->devices[k], sim_host_now(sim, i + 1).mono);
    sl_fake_device_fail(agent->devices[k], failure);
    sim_agent_live(sim, i);
}

static void strike_one(struct sim *sim, enum sim_fault fault, int64_t until_ns) {
    uint32_t agent = (uint32_t)sim_range(&sim->rng, 0, sim->agent_count - 1);
    uint32_t host = (uint32_t)sim_range(&sim->rng, 0, sim->agent_count);
    sim_story(sim, "strike: %s (agent %u, host %u, %.1f s)", sim_fault_name(fault), agent, host,
              (double)(until_ns - sim->now_ns) / 1e9);
    if (fault <= SIM_NET_DELAY && sim_chance(&sim->rng, 500000)) { /* a bad switch, say */
        for (uint32_t i = 0; i < sim->agent_count; i++) {
            strike_net(sim, fault, i, until_ns);
        }
    } else if (fault <= SIM_PARTITION_DOWN) {
        strike_net(sim, fault, agent, until_ns);
    } else if (fault == SIM_NET_UNIT_LOST) {
        sim->agents[agent].loses_unit = true;
    } else if (fault == SIM_LINK_RESET) {
        reset_line(sim, agent);
    } else if ((fault >= SIM_AGENT_KILL && fault <= SIM_AGENT_PAUSE) || fault == SIM_AGENT_STOP ||
               (fault == SIM_DISK_TEAR && host != SIM_BROKER)) {
        strike_agent(sim, fault, agent, until_ns);
    } else if ((fault >= SIM_BROKER_KILL && fault <= SIM_BROKER_STOP) ||
               fault == SIM_RESTORE_BACKUP || fault == SIM_DISK_TEAR) {
        strike_broker(sim, fault, until_ns);
    } else if (fault >= SIM_DISK_WRITE_ERROR && fault <= SIM_DISK_SLOW) {
        strike_disk(sim, fault, host, until_ns);
    } else if (fault == SIM_CLOCK_STEP) {
        strike_clock(sim, host);
    } else if ((fault >= SIM_DEVICE_HANG && fault <= SIM_DEVICE_BAD_VECTOR) ||
               fault == SIM_DEVICE_WRONG) {
        strike_device(sim, fault, agent);
    } else if (fault >= SIM_FEED_LIE && fault <= SIM_FEED_FUTURE) {
        sim_feeds_strike(sim, fault, until_ns);
    } else if (fault >= SIM_POOL_DOWN && fault <= SIM_POOL_DIFFICULTY) {
        sim_pool_strike(sim, fault, until_ns);
    }
}

/* Those of people and the drift of clocks are no strikes: they happen by themselves. */
static bool can_strike(uint32_t fault) {
    return fault == SIM_NET_UNIT_LOST || fault == SIM_DEVICE_WRONG ||
           (fault != SIM_CLOCK_DRIFT && fault < SIM_TENANT_RESUBMIT);
}

static void strike(struct sim *sim, struct sim_event *event) {
    (void)event;
    uint32_t choices[SIM_FAULTS];
    uint32_t count = 0;
    if (sim->calm) {
        return;
    }
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        if ((sim->options.faults >> i & 1) && can_strike(i)) {
            choices[count++] = i;
        }
    }
    bool more = sim->options.strikes_max == 0 || sim->result->strikes < sim->options.strikes_max;
    if (count > 0 && more) {
        sim->result->strikes++;
        uint32_t which = choices[sim_range(&sim->rng, 0, count - 1)];
        strike_one(sim, (enum sim_fault)which,
                   sim->now_ns + sim_span(&sim->rng, 500, 60000) * SL_NS_PER_MS);
    }
    sim_at(sim, sim->now_ns + sim_span(&sim->rng, 500, 60000) * SL_NS_PER_MS, strike, SIM_NOBODY, 0,
           0);
}

void sim_nemesis_start(struct sim *sim) {
    sim_at(sim, sim_range(&sim->rng, 1000, 10000) * SL_NS_PER_MS, strike, SIM_NOBODY, 0, 0);
}

static void heal_agent(struct sim *sim, uint32_t i) {
    struct sim_host *host = &sim->hosts[i + 1];
    struct sim_agent *agent = &sim->agents[i];
    bool sick = false;
    agent->up = (struct sim_net_side){.last_ns = agent->up.last_ns};
    agent->down = (struct sim_net_side){.last_ns = agent->down.last_ns};
    for (uint32_t k = 0; k < SIM_DEVICES_MAX; k++) {
        sick = sick || agent->failures[k] != SL_FAKE_OK;
        agent->failures[k] = SL_FAKE_OK;
    }
    if (host->up && sick) { /* a device that failed is looked at again when its agent starts */
        sim_agent_crash(sim, i, false, false);
    }
    if (!host->up) {
        sim_agent_start(sim, i);
    }
}

void sim_nemesis_heal(struct sim *sim) {
    for (uint32_t h = 0; h <= sim->agent_count; h++) {
        struct sim_host *host = &sim->hosts[h];
        host->sync_slow_until_ns = 0; /* a pause ends by itself: what waits keeps its order */
        sim_disk_die_at(host->disk, 0);
        sim_disk_fail_writes(host->disk, 0);
        sim_disk_fail_syncs(host->disk, 0);
        sim_disk_set_room(host->disk, 0);
    }
    for (uint32_t i = 0; i < SIM_FEEDS; i++) {
        struct sim_feed *feed = &sim->feeds[i];
        feed->lie_until_ns = feed->stale_until_ns = feed->jump_until_ns = feed->future_until_ns = 0;
    }
    sim_pools_heal(sim);
    sim->broker.cut_in = -1;
    if (!sim->hosts[SIM_BROKER].up) {
        sim_broker_start(sim);
    }
    for (uint32_t i = 0; i < sim->agent_count && !sim->over; i++) {
        heal_agent(sim, i);
        /* The last one to be lost: in a busy site new grants would hide that nobody missed it. */
        sim->agents[i].loses_unit = sim->options.faults >> SIM_NET_UNIT_LOST & 1;
    }
}
