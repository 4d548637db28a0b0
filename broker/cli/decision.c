/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/cli/decision.h"

#include <math.h>
#include <string.h>

#include "schedulers/real.h"

/* What each rule of schedulers/ and of the broker's core means to the person who asks. */
const char *sl_cli_rule_words(const char *rule) {
    static const struct {
        const char *rule;
        const char *words;
    } rules[] = {
        {"stop", "An operator stopped the whole site; `sluice resume --all` lifts it."},
        {"drain", "An operator drained it, so it gets no work; `sluice resume` lifts it."},
        {"pin", "An operator pinned it to this mode, whatever prices say; `sluice resume` lifts "
                "it."},
        {"faulty", "It failed or is not trusted, so it gets no work; see `sluice health`."},
        {"hold", "A price that is needed is missing or too old, so prices move nothing: it stays "
                 "where it is, or takes the safe mode."},
        {"start", "It did nothing before; it took the mode that is worth most."},
        {"lease-end", "What it did came to its end (no more lines, or no pool), so it took the "
                      "mode that is worth most now."},
        {"stay", "No other mode earns enough more to pay for a move, so it stays."},
        {"dwell", "Another mode earns more, but it moved a moment ago and waits out the shortest "
                  "stay."},
        {"threshold", "This mode earned more than the one before, by more than the threshold and "
                      "the cost of switching."},
        {"band", "This mode earned more than the one before, by more than the band: what prices "
                 "wobble by, and what a switch costs."},
        {"regret", "This mode earned a little more, for so long that the switch is paid for."},
        {"lease-enter", "What is left of the lease pays more than hashing and the switches there "
                        "and back."},
        {"lease-leave", "What is left of the lease pays less than another mode, switches paid."},
        {"fixed", "The policy names this one mode."},
        {"idle", "Nothing pays for its power, so it stands still."},
        {"curtail",
         "Power costs more than the strike price of such devices, so it stands still; see "
         "`sluice power`."},
        {"cap", "What it would draw does not fit under a cap on power, so it stands still; see "
                "`sluice power`."},
        {"restart", "The broker was restarted and found the device at this work."},
        {"better-bid", "Another batch bids more than the one it served."},
        {"reprice", "It goes on with the same batch, whose bid changed."},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].rule, rule) == 0) {
            return rules[i].words;
        }
    }
    return "";
}

int sl_cli_decision_read(const json_t *object, struct sl_cli_decision *ret_decision,
                         struct sl_error *err) {
    const char *policy = sl_cli_text(object, "policy");
    const char *record = sl_cli_text(object, "record");
    uint8_t bytes[SL_DECISION_BYTES];
    if (record[0] == '\0') {
        return sl_fail(err, SL_UNSUPPORTED,
                       "it has no record: it was made by a release that kept none");
    }
    ret_decision->policy = sl_policy_find(policy);
    if (!ret_decision->policy) {
        return sl_fail(err, SL_UNSUPPORTED, "this program knows no policy '%.30s'", policy);
    }
    if (sl_hex_decode(record, bytes, sizeof bytes) != SL_OK) {
        return sl_fail(err, SL_INVALID, "its record is not %d bytes in hexadecimal",
                       SL_DECISION_BYTES);
    }
    sl_decision_words(bytes, ret_decision->words);
    if (!sl_decision_unpack(ret_decision->words, &ret_decision->decision)) {
        return sl_fail(err, SL_INVALID, "its record holds figures that no decision has");
    }
    return SL_OK;
}

int sl_cli_decision_again(const struct sl_cli_decision *d, struct sl_error *err) {
    struct sl_decision again;
    int64_t words[SL_DECISION_WORDS];
    sl_decision_again(d->policy, &d->decision, &again);
    sl_decision_pack(&again, words);
    for (size_t i = 0; i < SL_DECISION_WORDS; i++) {
        if (words[i] != d->words[i]) {
            return sl_fail(err, SL_CORRUPT,
                           "it comes out as %s by %s and is stored as %s by %s (word %zu is %lld "
                           "instead of %lld)",
                           sl_mode_name((enum sl_mode)again.plan.mode),
                           sl_rule_name((enum sl_rule)again.plan.rule),
                           sl_mode_name((enum sl_mode)d->decision.plan.mode),
                           sl_rule_name((enum sl_rule)d->decision.plan.rule), i,
                           (long long)words[i], (long long)d->words[i]);
        }
    }
    return SL_OK;
}

/* Limits are laid over what the policy said, and another bid gives a directive without a new mode.
 */
static bool has_own_rule(const char *rule) {
    static const char *const others[] = {"curtail", "cap", "better-bid", "reprice"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(rule, others[i]) == 0) {
            return true;
        }
    }
    return false;
}

int sl_cli_decision_shown(const json_t *object, const struct sl_cli_decision *d,
                          struct sl_error *err) {
    const char *mode = sl_cli_text(object, "mode");
    const char *rule = sl_cli_text(object, "rule");
    const char *recorded_mode = sl_mode_name((enum sl_mode)d->decision.plan.mode);
    const char *recorded_rule = sl_rule_name((enum sl_rule)d->decision.plan.rule);
    if (rule[0] == '\0' || has_own_rule(rule) ||
        (strcmp(mode, recorded_mode) == 0 && strcmp(rule, recorded_rule) == 0)) {
        return SL_OK;
    }
    return sl_fail(err, SL_CORRUPT, "it is shown as %.30s by %.30s, but was %s by %s", mode, rule,
                   recorded_mode, recorded_rule);
}

static void set_usd(json_t *row, const char *key, int64_t nusd) {
    char text[64];
    json_object_set_new(row, key, json_string(sl_nusd_format(nusd, text)));
}

static json_t *mode_row(const struct sl_decision *d, enum sl_mode mode) {
    uint8_t offer = d->row.offer[mode];
    json_t *row = json_pack("{s:s}", "mode", sl_mode_name(mode));
    bool possible = offer & SL_OFFER_POSSIBLE;
    json_object_set_new(row, "possible",
                        json_string(!possible                 ? "not possible"
                                    : offer & SL_OFFER_PRICED ? "yes"
                                                              : "its price is not known"));
    set_usd(row, "gross", d->row.gross_nusd_h[mode]);
    if (offer & SL_OFFER_POWER) {
        set_usd(row, "power", d->row.power_nusd_h[mode]);
    }
    if (d->row.present != mode && d->row.switch_us[mode] > 0) {
        json_object_set_new(row, "there_us", json_integer(d->row.switch_us[mode]));
        json_object_set_new(row, "back_us", json_integer(d->row.back_us[mode]));
    }
    return row;
}

static void print_estimate(const struct sl_cli_decision *d) {
    const struct sl_switching_view *view = &d->decision.view;
    char texts[2][64];
    if (strcmp(d->policy->name, "fbf") != 0 || view->step_ms == 0) {
        return;
    }
    int64_t hash = sl_real_round(view->ghat[SL_POLICY_HASH]);
    int64_t error = sl_real_round(sqrt(view->error2[SL_POLICY_HASH]));
    printf("The filter took the hash revenue of its class for %s USD/h, give or take %s.\n",
           sl_nusd_format(hash, texts[0]), sl_nusd_format(error, texts[1]));
}

void sl_cli_decision_print(const struct sl_cli *cli, const struct sl_cli_decision *decision) {
    static const struct sl_cli_column columns[] = {
        {"mode", "mode", SL_CLI_TEXT, false, true},
        {"possible", "possible", SL_CLI_TEXT, false, false},
        {"would earn USD/h", "gross", SL_CLI_USD, true, false},
        {"power USD/h", "power", SL_CLI_USD, true, false},
        {"switch there", "there_us", SL_CLI_US, true, false},
        {"and back", "back_us", SL_CLI_US, true, false},
        {NULL, NULL, SL_CLI_TEXT, false, false},
    };
    const struct sl_decision *d = &decision->decision;
    json_t *rows = json_array();
    for (enum sl_mode mode = SL_MODE_IDLE; mode < SL_MODE_COUNT; mode++) {
        json_array_append_new(rows, mode_row(d, mode));
    }
    sl_cli_heading(cli, "What each mode would have earned then, as quoted");
    sl_cli_table(cli, rows, columns, "");
    json_decref(rows);
    char texts[5][64];
    const char *rule = sl_rule_name((enum sl_rule)d->plan.rule);
    const char *best = sl_mode_name((enum sl_mode)d->plan.best);
    printf("\n");
    print_estimate(decision);
    printf("It was %s, worth %s USD/h; the best other was %s, worth %s USD/h.\n",
           d->row.present ? sl_mode_name((enum sl_mode)d->row.present) : "doing nothing",
           sl_nusd_format(d->plan.present_nusd_h, texts[0]), d->plan.best ? best : "none",
           sl_nusd_format(d->plan.best_nusd_h, texts[1]));
    printf("A move had to earn %s USD/h more; a switch cost %s USD; not moving had cost %s USD.\n",
           sl_nusd_format(d->plan.margin_nusd_h, texts[2]),
           sl_nusd_format(d->plan.switch_nusd_h, texts[3]),
           sl_nusd_format(d->plan.regret_nusd, texts[4]));
    if (d->row.offer[SL_MODE_INFER] & SL_OFFER_POSSIBLE) {
        printf("Of the lease, work for %lld s was left for it.\n",
               (long long)(d->row.lease_left_ms / 1000));
    }
    printf("The policy `%s` chose %s by the rule `%s`. %s\n", decision->policy->name,
           sl_mode_name((enum sl_mode)d->plan.mode), rule, sl_cli_rule_words(rule));
}
