/* SPDX-License-Identifier: Apache-2.0
 * Names of everything that the simulator does to a site (faults, first) and of the rare paths that
 * must be walked by somebody (paths, behind them). Every run counts each; a set of seeds in which
 * one of them never fired proves less than it says, so run.sh fails then. */
#ifndef SLUICE_TESTS_SIM_FAULTS_H
#define SLUICE_TESTS_SIM_FAULTS_H

#include <stdint.h>

/* X(enum, name, what it is) */
#define SIM_FAULT_MAP(X)                                                                           \
    X(NET_LOSS, "net-loss", "a message is lost")                                                   \
    X(NET_DUPLICATE, "net-duplicate", "a message arrives twice")                                   \
    X(NET_REORDER, "net-reorder", "a message overtakes others")                                    \
    X(NET_DELAY, "net-delay", "a message takes up to seconds")                                     \
    X(PARTITION, "partition", "an agent and the broker hear nothing of each other")                \
    X(PARTITION_UP, "partition-up", "the broker hears nothing of an agent")                        \
    X(PARTITION_DOWN, "partition-down", "an agent hears nothing of the broker")                    \
    X(LINK_RESET, "link-reset", "a connection ends, what was under way is lost")                   \
    X(AGENT_KILL, "agent-kill", "kill -9 of an agent")                                             \
    X(AGENT_POWER, "agent-power", "power failure of a node")                                       \
    X(AGENT_IO_DEATH, "agent-io-death", "an agent dies in the middle of a disk operation")         \
    X(AGENT_PAUSE, "agent-pause", "SIGSTOP of an agent, longer than a ttl")                        \
    X(BROKER_KILL, "broker-kill", "kill -9 of the broker")                                         \
    X(BROKER_POWER, "broker-power", "power failure of the broker's host")                          \
    X(BROKER_IO_DEATH, "broker-io-death", "the broker dies in the middle of a disk operation")     \
    X(BROKER_CUT, "broker-cut", "the broker dies between two commands of one step")                \
    X(BROKER_PAUSE, "broker-pause", "SIGSTOP of the broker, longer than a ttl")                    \
    X(BROKER_STOP, "broker-stop", "SIGTERM of the broker, and a new start")                        \
    X(AGENT_STOP, "agent-stop", "SIGTERM of an agent, and a new start")                            \
    X(DISK_TEAR, "disk-tear", "a power failure leaves half a sector")                              \
    X(DISK_WRITE_ERROR, "disk-write-error", "a write fails")                                       \
    X(DISK_SYNC_ERROR, "disk-sync-error", "a sync fails")                                          \
    X(DISK_FULL, "disk-full", "no room on a disk for a while")                                     \
    X(DISK_SLOW, "disk-slow", "a sync takes seconds")                                              \
    X(RESTORE_BACKUP, "restore-backup", "the broker goes on from an older backup")                 \
    X(CLOCK_STEP, "clock-step", "a host's wall clock jumps")                                       \
    X(CLOCK_DRIFT, "clock-drift", "a host's clocks run fast or slow")                              \
    X(DEVICE_HANG, "device-hang", "a launch never ends")                                           \
    X(DEVICE_SLOW, "device-slow", "halts take seconds")                                            \
    X(DEVICE_LOST, "device-lost", "a device is gone until its agent starts again")                 \
    X(DEVICE_BAD_VECTOR, "device-bad-vector", "a device computes nonsense")                        \
    X(FEED_LIE, "feed-lie", "a price source says what cannot be")                                  \
    X(FEED_STALE, "feed-stale", "a price source says nothing new")                                 \
    X(FEED_JUMP, "feed-jump", "a price is ten times as high or low")                               \
    X(FEED_FUTURE, "feed-future", "a price is dated in the future")                                \
    X(POOL_DOWN, "pool-down", "a pool refuses connections")                                        \
    X(POOL_DROP, "pool-drop", "a pool ends a connection")                                          \
    X(POOL_SILENT, "pool-silent", "a pool answers nothing")                                        \
    X(POOL_GARBAGE, "pool-garbage", "a pool sends what is no Stratum")                             \
    X(POOL_REJECT, "pool-reject", "a pool rejects good shares")                                    \
    X(POOL_STORM, "pool-storm", "new blocks in a row")                                             \
    X(POOL_DIFFICULTY, "pool-difficulty", "a pool changes the difficulty")                         \
    X(TENANT_RESUBMIT, "tenant-resubmit", "a tenant asks again for what it had no answer to")      \
    X(TENANT_SLOW, "tenant-slow", "a tenant reads its results late")                               \
    X(TENANT_BID, "tenant-bid", "a tenant changes its bid")                                        \
    X(TENANT_CANCEL, "tenant-cancel", "a tenant cancels a batch")                                  \
    X(OPERATOR_ORDER, "operator-order", "a person drains, pins or stops, and resumes")             \
    X(NET_UNIT_LOST, "net-unit-lost", "a work unit is lost, and its connection lives on")          \
    X(SENSOR_ABSURD, "sensor-absurd", "a sensor says watts that no device can draw")               \
    X(SENSOR_SILENT, "sensor-silent", "a device's sensors say nothing")                            \
    X(DRIVER_ERROR, "driver-error", "a GPU's driver reports a critical error")                     \
    X(DEVICE_WRONG, "device-wrong", "a device computes wrongly and says nothing")

#define SIM_PATH_MAP(X)                                                                            \
    X(LEASE_RAN_OUT, "lease-ran-out", "an agent ended a lease that was not renewed")               \
    X(SAFE_RESTED, "safe-rested", "a safe mode's time was used up")                                \
    X(DIRECTIVE_REFUSED, "directive-refused", "an agent refused a directive")                      \
    X(OLD_EPOCH, "old-epoch", "a directive with an epoch that was overtaken came late")            \
    X(MESSAGE_STALE, "message-stale", "a message of a session that is over")                       \
    X(SESSION_TAKEN, "session-taken", "a hello superseded a session that was live")                \
    X(SESSION_LOST, "session-lost", "an agent fell silent")                                        \
    X(RESULT_AGAIN, "result-again", "a result was sent again")                                     \
    X(RESULT_IN_PARTS, "result-in-parts", "a line's vectors came in several messages")             \
    X(RESULT_LATE, "result-late", "a result came after its unit was closed")                       \
    X(RESULT_TOO_LATE, "result-too-late", "a result came after its batch was sealed")              \
    X(UNIT_LOST, "unit-lost", "a unit was closed because its agent was away")                      \
    X(UNIT_HELD, "unit-held", "an agent came back with units that it held")                        \
    X(SHARE_UNKNOWN, "share-unknown", "a share's answer was never seen")                           \
    X(SHARE_STALE, "share-stale", "a share came after its block")                                  \
    X(SHARE_AGAIN, "share-again", "a share was reported again")                                    \
    X(JOURNAL_CUT, "journal-cut", "an unfinished last batch was cut")                              \
    X(JOURNAL_COMPACTED, "journal-compacted", "a journal was compacted")                           \
    X(JOURNAL_FAILED, "journal-failed", "an agent stopped because its disk failed")                \
    X(STORE_CHECKPOINT, "store-checkpoint", "the store's log was written back")                    \
    X(STORE_FAILED, "store-failed", "the broker stopped because its disk failed")                  \
    X(STORE_RECOVERED, "store-recovered", "a store was opened after its process had died")         \
    X(COMMIT_LOST, "commit-lost", "a crash took transactions that nobody had been told of")        \
    X(FEED_HELD, "feed-held", "a device was held because no price was to be trusted")              \
    X(BATCH_EXPIRED, "batch-expired", "a batch met its deadline")                                  \
    X(BATCH_CANCELLED, "batch-cancelled", "a batch was cancelled with lines done")                 \
    X(LINE_TOO_LONG, "line-too-long", "a line that no model takes")                                \
    X(LINE_FAILED, "line-failed", "a line that failed on every device")                            \
    X(BUDGET_HIT, "budget-hit", "a tenant's budget held a batch back")                             \
    X(ORDER_SURVIVED, "order-survived", "a person's order outlived a restart")                     \
    X(MOVED, "moved", "a device changed its mode because of prices")                               \
    X(AGENT_JOINED, "agent-joined", "a token let a node in")                                       \
    X(AGENT_ROTATED, "agent-rotated", "a node got a new key")                                      \
    X(AGENT_REVOKED, "agent-revoked", "a node was revoked")                                        \
    X(POWER_CURTAILED, "power-curtailed", "a strike price set a device to idle")                   \
    X(POWER_SHED, "power-shed", "a cap set a device to idle")                                      \
    X(POWER_WAITED, "power-waited", "a device waited until others had made room under a cap")      \
    X(ADDRESS_CHANGED, "address-changed", "work went on at another address of a pool")             \
    X(ADDRESS_RETURNED, "address-returned", "work returned to a better address of a pool")         \
    X(IMPOSTOR_MET, "impostor-met", "a pool showed another key than the pinned one")               \
    X(SENT_AWAY, "sent-away", "a pool wanted to send its miners to a foreign host")                \
    X(IDS_SENT, "ids-sent", "a unit of token ids went to an agent")                                \
    X(AGENT_OLD, "agent-old", "an agent of the version before token ids started")                  \
    X(QUARANTINED, "quarantined", "a device was quarantined for what its driver reported")         \
    X(RETEST_FAILED, "retest-failed", "a re-test told that a device computes wrongly")             \
    X(HEALTH_SURVIVED, "health-survived", "a quarantine outlived a restart of the broker")

enum sim_fault {
#define SIM_ENUM(id, name, text) SIM_##id,
    SIM_FAULT_MAP(SIM_ENUM) SIM_FAULTS,
    SIM_BEFORE_PATHS = SIM_FAULTS - 1,
    SIM_PATH_MAP(SIM_ENUM) SIM_COUNTS
#undef SIM_ENUM
};

#define SIM_ALL_FAULTS ((UINT64_C(1) << SIM_FAULTS) - 1)

const char *sim_fault_name(enum sim_fault fault);
const char *sim_fault_text(enum sim_fault fault);
/* A fault by its name; SIM_FAULTS: there is none. */
enum sim_fault sim_fault_find(const char *name);

#endif
