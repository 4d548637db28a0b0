/* SPDX-License-Identifier: Apache-2.0
 * A stored decision in the hands of the command line: read from the broker's JSON or a log's line,
 * made again, put into words. Asks nobody. One thread. */
#ifndef SLUICE_BROKER_CLI_DECISION_H
#define SLUICE_BROKER_CLI_DECISION_H

#include "broker/cli/cli.h"
#include "schedulers/decision.h"

struct sl_cli_decision {
    const struct sl_policy *policy;
    int64_t words[SL_DECISION_WORDS];
    struct sl_decision decision;
};

/* From an object with `policy` and `record`. -SL_UNSUPPORTED: it has no record; -SL_INVALID. */
int sl_cli_decision_read(const json_t *object, struct sl_cli_decision *ret_decision,
                         struct sl_error *err);
/* SL_OK when it comes out as it is stored; else -SL_CORRUPT, and what differs. */
int sl_cli_decision_again(const struct sl_cli_decision *decision, struct sl_error *err);
/* SL_OK when the mode and the rule that stand beside the record, which people are shown, are those
 * of it; else -SL_CORRUPT. A log of steps has neither. */
int sl_cli_decision_shown(const json_t *object, const struct sl_cli_decision *decision,
                          struct sl_error *err);
/* What each mode would have earned, what a switch cost, what decided: for people, to stdout. */
void sl_cli_decision_print(const struct sl_cli *cli, const struct sl_cli_decision *decision);
/* What a rule means to the person who asks; "" for an unknown one. */
const char *sl_cli_rule_words(const char *rule);

#endif
