/* SPDX-License-Identifier: Apache-2.0
 * The second half of core_internal.h: work, money, prices and decisions. Include that one. */
#ifndef SLUICE_BROKER_CORE_CORE_WORK_H
#define SLUICE_BROKER_CORE_CORE_WORK_H

struct sl_broker_core;

/* lease.c */
struct sl_core_grant {
    enum sl_mode mode;
    struct sl_core_batch *batch;
    const char *rule;
    char why[SL_WHY_MAX];
    uint8_t digest[32];
    int64_t record[SL_DECISION_WORDS];
    bool by_price; /* starts the minimum dwell */
};
/* A rule's name in a byte, and back; 0: "invalid", none. */
uint8_t sl_core_rule_code(const char *rule);
const char *sl_core_rule_text(uint8_t code);
void sl_core_lease_grant(struct sl_broker_core *core, uint32_t dev, const struct sl_core_grant *g);
void sl_core_lease_clear(struct sl_broker_core *core, uint32_t dev);
void sl_core_lease_left(struct sl_broker_core *core, const struct sl_core_item *item);
void sl_core_lease_resend(struct sl_broker_core *core, uint32_t dev);
/* When its newest directive last left; 0: none did. */
int64_t sl_core_lease_sent_ns(const struct sl_broker_core *core, uint32_t dev);
/* A person drained or stopped the device after it was told to work, or its batch is over: what it
 * was told is neither sent again nor renewed. */
bool sl_core_lease_called_off(const struct sl_broker_core *core, uint32_t dev);
void sl_core_lease_sweep(struct sl_broker_core *core);
void sl_core_lease_ack(struct sl_broker_core *core, uint32_t node, const struct sl_msg_ack *ack);
bool sl_core_lease_valid(const struct sl_broker_core *core, uint32_t dev);

/* units.c */
struct sl_core_unit *sl_core_unit_find(const struct sl_broker_core *core, uint64_t id);
struct sl_core_unit *sl_core_unit_add(struct sl_broker_core *core, const struct sl_unit_row *row,
                                      struct sl_core_batch *batch, uint32_t dev, uint32_t node);
/* Gives the device units of the batch that it serves until it has enough; the number issued. */
uint32_t sl_core_unit_top_up(struct sl_broker_core *core, uint32_t dev);
/* Lines without a result wait again; the reservation is lifted. */
void sl_core_unit_close(struct sl_broker_core *core, struct sl_core_unit *unit);
void sl_core_unit_close_device(struct sl_broker_core *core, uint32_t dev);
/* Called back and closed at once: its device must not go on with it. */
void sl_core_unit_call_back(struct sl_broker_core *core, struct sl_core_unit *unit);
void sl_core_unit_drop_all(struct sl_broker_core *core, struct sl_core_batch *batch);
void sl_core_unit_sweep(struct sl_broker_core *core);
/* Worst cost of a line at a price, rounded up. */
int64_t sl_core_unit_cost(uint32_t worst_tokens, int64_t price_nusd_per_mtok);

/* results.c, shares.c */
void sl_core_result(struct sl_broker_core *core, uint32_t node, const struct sl_msg_result *result);
/* halves.c: results that come in parts. The whole one, valid until it is dropped or the next part
 * comes, once this was its last; else NULL. */
const struct sl_msg_result *sl_core_half_join(struct sl_broker_core *core, uint32_t node,
                                              const struct sl_msg_result *part);
/* The result was answered: what there is of it is of no more use. */
void sl_core_half_done(struct sl_broker_core *core, uint32_t node, uint64_t result_id);
void sl_core_half_drop(struct sl_broker_core *core, uint32_t node);
/* Gives up what has not grown for long. */
void sl_core_half_sweep(struct sl_broker_core *core, uint32_t node);
void sl_core_shares(struct sl_broker_core *core, uint32_t node, const struct sl_msg_shares *shares);
bool sl_core_share_seen(struct sl_core_node *node, uint64_t id, bool mark);
void sl_core_share_windows_fini(struct sl_core_node *node);

/* batches.c */
struct sl_core_batch *sl_core_batch_find(const struct sl_broker_core *core, const char *id);
struct sl_core_batch *sl_core_batch_add(struct sl_broker_core *core,
                                        const struct sl_batch_row *row);
void sl_core_batch_lines(struct sl_core_batch *batch, uint32_t count);
void sl_core_batch_create(struct sl_broker_core *core, struct sl_core_event *event);
void sl_core_batch_validated(struct sl_broker_core *core, struct sl_core_event *event);
void sl_core_batch_finalized(struct sl_broker_core *core, const struct sl_core_event *event);
void sl_core_batch_bid(struct sl_broker_core *core, const struct sl_core_event *event);
void sl_core_batch_cancel(struct sl_broker_core *core, const struct sl_core_event *event);
void sl_core_batch_order(struct sl_broker_core *core, const struct sl_core_batch *batch,
                         enum sl_core_command_kind kind, uint64_t ticket);
void sl_core_batch_store(struct sl_broker_core *core, const struct sl_core_batch *batch);
void sl_core_batch_line_back(struct sl_core_batch *batch, uint32_t line);
/* Completes or settles it when nothing is left to do. */
void sl_core_batch_check(struct sl_broker_core *core, struct sl_core_batch *batch);
/* Highest bid, then oldest, then id: the same for every device of a model, whatever its speed. */
bool sl_core_batch_beats(const struct sl_core_batch *a, const struct sl_core_batch *b);
/* By what the tick found a device's hour to earn with it; where that is equal, as above. */
bool sl_core_batch_pays_more(const struct sl_core_batch *a, const struct sl_core_batch *b);
/* Lines wait, and the tenant can pay for the next one. */
bool sl_core_batch_issuable(const struct sl_broker_core *core, const struct sl_core_batch *batch);
/* It would be worked on, but what its tenant has left does not cover the next line. */
bool sl_core_batch_over_budget(const struct sl_broker_core *core,
                               const struct sl_core_batch *batch);
void sl_core_batch_sweep(struct sl_broker_core *core);
void sl_core_batch_free(struct sl_core_batch *batch);
struct sl_core_tenant_state *sl_core_tenant_get(struct sl_broker_core *core, const char *id);

/* ledger.c */
uint32_t sl_core_account(struct sl_broker_core *core, const char *id);
uint32_t sl_core_account_find(const struct sl_broker_core *core, const char *id);
void sl_core_transfer(struct sl_broker_core *core, enum sl_transfer_kind kind, uint32_t debit,
                      uint32_t credit, int64_t amount_nusd, const char *ref);
/* What the tenant may still spend; INT64_MAX for an unlimited one. */
sl_i128 sl_core_tenant_left(const struct sl_broker_core *core,
                            const struct sl_core_tenant_state *tenant);
/* Charges power and shadows from the last metering to now. */
void sl_core_meter(struct sl_broker_core *core, uint32_t dev);
/* Meters and posts what the device has used: at the end of its stay in a mode. */
void sl_core_power_settle(struct sl_broker_core *core, uint32_t dev);
void sl_core_ledger_sweep(struct sl_broker_core *core);
/* The broker stops: what was metered is posted, what is counted is written. */
void sl_core_ledger_shutdown(struct sl_broker_core *core);
/* Counters and remainders that changed go into the step's transaction. */
void sl_core_ledger_metas(struct sl_broker_core *core);

/* feeds.c */
enum sl_core_known { SL_KNOWN_NO = 0, SL_KNOWN_STALE, SL_KNOWN_FRESH };
void sl_core_feed_price(struct sl_broker_core *core, const struct sl_core_event *event);
/* The trusted price (trust.c); STALE: held, the last trusted one, else the newest said. The factor
 * and the calibration by settlements are in it. */
enum sl_core_known sl_core_hashprice(const struct sl_broker_core *core, int64_t *ret_price);
/* Grams of CO2 per kWh x 1e9, of the CARBON feeds. */
enum sl_core_known sl_core_carbon(const struct sl_broker_core *core, int64_t *ret_nano_g);
enum sl_core_known sl_core_tariff(const struct sl_broker_core *core, int64_t *ret_price);
/* The hashprice of `age_ms` ago, else the oldest known after it; false: there never was one. */
bool sl_core_hashprice_at(const struct sl_broker_core *core, uint64_t age_ms, int64_t *ret_price);
/* Of an earlier process: what shares are worth until a feed has spoken. */
int sl_core_hashprice_restore(struct sl_broker_core *core, const char *value);
bool sl_core_feed_stale(const struct sl_broker_core *core, const struct sl_core_feed_state *feed,
                        struct sl_wall now);

/* trust.c: feeds of one thing, by their first. */
struct sl_core_quote {
    uint32_t group; /* index of its first feed */
    uint32_t count;
    uint32_t feed[SL_CORE_FEEDS_MAX];                  /* [count] */
    struct sl_quote_source sources[SL_CORE_FEEDS_MAX]; /* [count] in USD */
    struct sl_quote result;
    bool trusted_before;
};
uint32_t sl_core_group(const struct sl_broker_core *core, uint32_t feed);
/* The one that decides for a role, or SL_CORE_NONE. */
uint32_t sl_core_group_of_role(const struct sl_broker_core *core, enum sl_feed_role role);
void sl_core_quote(const struct sl_broker_core *core, uint32_t group,
                   struct sl_core_quote *ret_quote);
/* After a feed's good word: what was trusted is remembered, a jump's time begins or ends. */
void sl_core_quotes_learn(struct sl_broker_core *core);
/* In USD, for the group that decides. */
enum sl_core_known sl_core_trusted(const struct sl_broker_core *core, enum sl_feed_role role,
                                   int64_t *ret_value);
/* USD for one unit of the currency, x 1e9; false while no such price is trusted. */
bool sl_core_currency(const struct sl_broker_core *core, const char *currency,
                      int64_t *ret_rate_nano);

/* view_market.c: whether a feed counts, and why not. */
void sl_core_view_vote(const struct sl_broker_core *core, uint32_t index,
                       struct sl_view_feed *view);

/* settle.c */
void sl_core_settle(struct sl_broker_core *core, struct sl_core_event *event);
int sl_core_calibration_restore(struct sl_broker_core *core, const char *value);
/* A quoted hashprice with what pools really pay in it. */
int64_t sl_core_calibration_ppm(const struct sl_broker_core *core);
int64_t sl_core_calibrated(const struct sl_broker_core *core, int64_t price);

/* decide.c, explain.c */
struct sl_core_offer {
    uint8_t bits; /* SL_OFFER_* */
    int64_t gross;
    int64_t power;
    enum sl_source power_source;
    const char *missing; /* NULL: nothing */
    struct sl_core_batch *batch;
};
void sl_core_offers(const struct sl_broker_core *core, uint32_t dev,
                    struct sl_core_offer offers[SL_MODE_COUNT]);
void sl_core_tick(struct sl_broker_core *core);
void sl_core_explain(const struct sl_broker_core *core, uint32_t dev, uint32_t row,
                     const struct sl_core_batch *batch, char *out, size_t size);

/* overrides.c */
void sl_core_override(struct sl_broker_core *core, const struct sl_core_event *event);
enum sl_policy_order sl_core_order(const struct sl_broker_core *core, uint32_t dev,
                                   enum sl_mode *ret_pinned);
void sl_core_override_put(struct sl_broker_core *core, const struct sl_override_row *row);

/* switches.c */
/* The device goes from `from` to its present mode because of something that was read then. */
void sl_core_switch_begin(struct sl_core_fleet *fleet, uint32_t dev, uint8_t from,
                          int64_t cause_ns);
void sl_core_switch_forget(struct sl_core_fleet *fleet, uint32_t dev);
void sl_core_switch_note(struct sl_broker_core *core, uint32_t dev, const struct sl_msg_ack *ack);
void sl_core_switch_get(const struct sl_broker_core *core, struct sl_view_switches *ret_view);

#endif
