/* SPDX-License-Identifier: Apache-2.0
 * The files of a batch that ends, whatever became of its spool in the meantime. */
#include <stdlib.h>
#include <string.h>

#include "broker/batch/batch.h"

static const char results_lost[] =
    "[{\"code\":\"results_lost\",\"message\":\"The lines of this batch could not be read again "
    "when its results were to be written: submit it again. The operator knows what was billed "
    "for it.\",\"param\":null,\"line\":null}]";

/* Without models on offer: nothing is run any more, so that the texts and their prefix do not
 * matter, and a model may have left the catalogue since. */
static int rebuild(const char *data_dir, const struct sl_batch_row *batch, struct sl_error *err) {
    struct sl_batch_validation validation = {0};
    int rc = sl_batch_validate(data_dir, batch->id, batch->input_file, batch->endpoint, NULL, 0,
                               &validation, err);
    if (rc == SL_OK && validation.lines.count != batch->lines_total) {
        rc = sl_fail(err, SL_BADSTATE,
                     "the spool of %s is missing or damaged, and its input file %s does not give "
                     "its %u lines again",
                     batch->id, batch->input_file, batch->lines_total);
    }
    sl_batch_validation_fini(&validation);
    return rc;
}

int sl_batch_finalize(const char *data_dir, struct sl_reader *reader,
                      const struct sl_batch_row *batch, struct sl_wall now,
                      struct sl_file_row *ret_output, struct sl_file_row *ret_error,
                      char **ret_errors, struct sl_error *err) {
    int rc = sl_batch_write_outputs(data_dir, reader, batch, now, ret_output, ret_error, err);
    if (rc == -SL_NOTFOUND || rc == -SL_CORRUPT) {
        rc = rebuild(data_dir, batch, err);
        /* Damage that is still there is the store's. */
        rc = rc ? rc
                : sl_batch_write_outputs(data_dir, reader, batch, now, ret_output, ret_error, err);
    }
    if (rc != -SL_BADSTATE) {
        return rc;
    }
    *ret_errors = strdup(results_lost);
    return *ret_errors ? SL_OK : sl_fail(err, SL_NOMEM, "ending a batch");
}
