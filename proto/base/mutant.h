/* SPDX-License-Identifier: Apache-2.0
 * Bugs on purpose, to prove the simulator: what nobody has seen it catch, it may not catch.
 *
 * `SL_MUTANT(name)` stands in the one line of the product that the bug of this name would change.
 * In an ordinary build it is a constant expression of value 0: no branch, no code, no data; a name
 * that is not in the list does not compile. With the CMake option SLUICE_MUTANTS it is true while
 * the environment variable SLUICE_MUTANT has that name. A build with mutants is for tests/sim only:
 * it cannot be installed.
 *
 * Thread: any, but for sl_mutant_choose, which comes before other threads. */
#ifndef SLUICE_PROTO_BASE_MUTANT_H
#define SLUICE_PROTO_BASE_MUTANT_H

/* Each must be a bug whose damage somebody outside can see; what a later layer makes harmless is
 * not worth a line here. By the folder in which it stands. */
#define SL_MUTANTS_BROKER(X)                                                                       \
    X(directive_before_durable, "a directive leaves before its row is durable")                    \
    X(unit_before_durable, "a work unit leaves before its row is durable")                         \
    X(result_ack_before_durable, "a result is acknowledged before it is durable")                  \
    X(share_ack_before_durable, "a share is acknowledged before it is durable")                    \
    X(batch_reply_before_durable, "a tenant is told of its batch before that is durable")          \
    X(order_reply_before_durable, "an operator's order is confirmed before it is durable")         \
    X(quarantine_ignored, "a quarantined device is offered work")                                  \
    X(quarantine_ends_by_itself, "re-tests that pass end a quarantine without any person")         \
    X(ids_for_old_agents, "token ids are sent to an agent whose version cannot read them")         \
    X(absurd_watts_posted, "power that no device can draw is taken for measured and posted")       \
    X(failed_device_granted, "a device that reports a fault is offered work")                      \
    X(resend_credited, "a result that comes again is taken again")                                 \
    X(part_acknowledged, "a part of a result is acknowledged as if it were all of it")             \
    X(parts_mixed, "parts of two results are put together")                                        \
    X(late_result_dropped, "a result of a closed unit is acknowledged and thrown away")            \
    X(cancel_drops_results, "results after a cancel are acknowledged and thrown away")             \
    X(result_without_posting, "a finished line is recorded without its transfer")                  \
    X(posting_without_result, "a finished line is billed without its record")                      \
    X(price_of_present_bid, "a line costs the bid of now, not the price of its grant")             \
    X(line_remainder_lost, "the fraction of a nano-dollar of each line is dropped")                \
    X(share_remainder_lost, "a restart drops the fraction of a nano-dollar of the shares")         \
    X(bad_vector_billed, "a vector that is no number is taken and billed")                         \
    X(share_credited_again, "a share that comes again is taken again")                             \
    X(share_at_present_price, "a share that comes late is worth the price of now")                 \
    X(share_floor_too_high, "after a restart, shares below the highest known count as known")      \
    X(share_booked_to_wrong_pool, "a share is booked under the first pool of all")                 \
    X(pool_split_ignored, "all devices hash for the first pool in place of a split")               \
    X(reserved_budget_spent, "what open units may cost is not held against the budget")            \
    X(budget_anew_at_restart, "after a restart, what tenants have spent is forgotten")             \
    X(reservation_kept, "a closed unit goes on holding a part of the budget")                      \
    X(power_posted_again, "energy that was posted stays and is posted again")                      \
    X(stale_feed_used, "a price beyond its age limit moves devices")                               \
    X(wrong_feed_used, "a source whose last word was no price still counts as fresh")              \
    X(highest_feed_used, "the highest source counts, not the median")                              \
    X(future_price_taken, "a price dated in the future is taken")                                  \
    X(median_of_two, "of two sources that differ the lower counts, in place of a hold")            \
    X(outlier_counted, "a source far from the median has its vote in the price")                   \
    X(disagreement_ignored, "a price counts though most of its sources are far from it")           \
    X(jump_not_confirmed, "one source alone may jump as far as it likes, at once")                 \
    X(lost_lines_kept, "the lines of a unit that was closed wait for its result for ever")         \
    X(lost_unit_unnoticed, "a unit that was lost on the way is never missed")                      \
    X(done_lines_forgotten, "after a restart, finished lines are issued again")                    \
    X(units_forgotten, "after a restart, issued units are unknown")                                \
    X(batch_done_early, "a batch is completed while its last line is open")                        \
    X(cancelled_batch_issued, "a cancelled batch still gets units")                                \
    X(deadline_ignored, "a batch does not end at its deadline")                                    \
    X(refused_lines_counted_again, "a restart counts the lines refused at validation again")       \
    X(ending_batch_forgotten, "a restart leaves a batch that was ending where it is")              \
    X(order_forgotten, "a restart forgets the orders of people")                                   \
    X(store_unsynced, "a commit of the store does not wait for the disk")                          \
    X(store_goes_on, "after a commit that failed, the store goes on with the next one")            \
    X(transaction_torn, "a transfer and what belongs to it are two transactions")                  \
    X(drain_ignored, "a drained device is moved by prices")                                        \
    X(known_terms_filtered, "the known price of power is smoothed like a quote")                   \
    X(band_without_cost, "a move need not pay for the switch")                                     \
    X(regret_not_reset, "a device takes its regret along into the next mode")                      \
    X(state_recorded_late, "a decision is recorded with the state that it led to")                 \
    X(cap_checked_after_growing, "devices grow before others have shrunk")                         \
    X(shed_most_margin_first, "a cap sheds the most margin per watt first")                        \
    X(strike_ignored_when_stale, "a strike price does not act while hash prices are stale")        \
    X(resume_without_window, "what was curtailed comes back at the first low price")               \
    X(token_used_twice, "a token lets in a second key")                                            \
    X(revoked_still_heard, "what a revoked agent says still counts")                               \
    X(foreign_device_accepted, "a node may speak for another node's device")

#define SL_MUTANTS_AGENT(X)                                                                        \
    X(lower_epoch_accepted, "the agent takes a directive of a lower epoch")                        \
    X(directive_obeyed_again, "a directive of the present epoch revives a lease that has expired") \
    X(lease_never_expires, "the agent does not count a lease's ttl")                               \
    X(ttl_on_wall_clock, "the ttl is counted on a clock that people set")                          \
    X(epoch_not_durable, "a mode starts before its epoch is durable")                              \
    X(epoch_not_stored, "the journal gets the epoch before the one that runs")                     \
    X(stay_idle_forgotten, "a device that was stopped works when its broker is away")              \
    X(safe_mode_for_ever, "the safe mode goes on however long the broker is away")                 \
    X(results_not_resent, "a new session does not get the results that wait")                      \
    X(shares_not_resent, "a new session does not get the shares that wait")                        \
    X(ids_used_again, "a restart gives the ids of results and shares again")                       \
    X(share_before_durable, "a share is submitted before its record is durable")                   \
    X(unknown_share_accepted, "after a restart, an unanswered share counts as accepted")           \
    X(unknown_share_stale, "after a restart, an unanswered share counts as stale")                 \
    X(unanswered_share_stale, "when the pool goes, an unanswered share counts as stale")           \
    X(stale_share_accepted, "a share that the pool calls stale counts as accepted")                \
    X(other_share_forgotten, "an acknowledgement makes the agent forget another share")            \
    X(new_difficulty_ignored, "a later difficulty of the pool is not taken up")                    \
    X(retired_job_submitted, "shares of a job that clean_jobs ended are submitted")                \
    X(extranonce2_shared, "all devices of a node search the same extranonce2")                     \
    X(pool_pin_ignored, "a pool with another key than the pinned one is trusted")                  \
    X(silence_trusted,                                                                             \
      "an address that answers nothing any more is hashed for until it is closed")                 \
    X(refusals_borne, "an address that refuses every share is hashed for on and on")               \
    X(primary_never_again, "work never returns from a backup address to the primary")              \
    X(foreign_reconnect_obeyed, "a pool may send its miners to any host")                          \
    X(backoff_reset_early, "a pool that only accepts connections resets the back-off")             \
    X(prompt_in_log, "a tenant's text goes into the log")                                          \
    X(password_in_log, "the pool's password goes into the log")                                    \
    X(journal_unsynced, "the journal says durable without a sync")                                 \
    X(journal_sync_failure_ignored, "a failed sync of the journal is passed over")                 \
    X(journal_sum_unchecked, "the sum of a journal's batch is not checked")                        \
    X(last_id_lost, "the last token id of an input is left out")                                   \
    X(retest_not_heeded, "a device that gives a wrong answer to a re-test counts as passed")       \
    X(retest_in_doubt, "a re-test that passes counts as failed now and then")                      \
    X(compaction_loses_newest, "compaction leaves out the newest record")

#define SL_MUTANTS(X)                                                                              \
    SL_MUTANTS_BROKER(X)                                                                           \
    SL_MUTANTS_AGENT(X)

enum sl_mutant {
    SL_MUTANT_none = 0,
#define SL_MUTANT_ENUM(name, text) SL_MUTANT_##name,
    SL_MUTANTS(SL_MUTANT_ENUM)
#undef SL_MUTANT_ENUM
        SL_MUTANT_COUNT
};

#ifdef SLUICE_MUTANTS

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_error;

#define SL_MUTANT(name) sl_mutant_is(SL_MUTANT_##name)

bool sl_mutant_is(enum sl_mutant mutant);

/* "" and NULL: none. -SL_NOTFOUND: there is none of this name. Before main, the one that
 * SLUICE_MUTANT names is chosen; a misspelt one ends the process with 2 and the list of all. */
int sl_mutant_choose(const char *name, struct sl_error *err);

/* For lists; id from 1 below SL_MUTANT_COUNT. */
const char *sl_mutant_name(enum sl_mutant mutant);
const char *sl_mutant_text(enum sl_mutant mutant);

/* How often the chosen one has been true: 0 tells that a run never came to its line. */
uint64_t sl_mutant_hits(void);

#else

/* Always false, and the name is checked. */
#define SL_MUTANT(name) (SL_MUTANT_##name == SL_MUTANT_COUNT)

#endif

#endif
