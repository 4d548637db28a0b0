/* SPDX-License-Identifier: Apache-2.0
 * Batches as files: reading and checking a tenant's JSONL, the spool of its texts, and the writing
 * of output and error files. Runs on worker threads; the spool's reader runs on the loop.
 *
 * Layout under the data directory: files/FILE_ID (uploads and outputs), lines/BATCH_ID (spool: one
 * record a line with custom_id and texts, CRC, offsets; rebuilt from the input file if it is
 * missing or damaged). Limits are OpenAI's: 50,000 lines, 200 MB, and ours: 1 MiB a line. */
#ifndef SLUICE_BROKER_BATCH_BATCH_H
#define SLUICE_BROKER_BATCH_BATCH_H

#include "broker/core/core.h"
#include "broker/core/types.h"
#include "broker/store/store.h"

#define SL_BATCH_FILE_BYTES_MAX (INT64_C(200) * 1024 * 1024)
#define SL_BATCH_LINE_BYTES_MAX (1024 * 1024) /* without its line end */
#define SL_BATCH_INPUTS_TOTAL_MAX 50000       /* texts of a whole batch */
#define SL_BATCH_ERRORS_MAX 1000              /* entries of errors.data[] */
#define SL_BATCH_PATH_MAX 1024
#define SL_BATCH_FILES_DIR "files"
#define SL_BATCH_SPOOL_DIR "lines"

/* "DATA_DIR/FOLDER/ID" into path[SL_BATCH_PATH_MAX]. Refuses an id that is not made of letters,
 * digits, '-' and '_', so that no request can name another path. */
int sl_batch_path(const char *data_dir, const char *folder, const char *id, char *path,
                  struct sl_error *err);
/* Makes DATA_DIR/FOLDER (0700) if it is missing. */
int sl_batch_make_dir(const char *data_dir, const char *folder, struct sl_error *err);
/* fsync of the folder itself: a rename is durable only after it. */
int sl_batch_sync_dir(const char *data_dir, const char *folder, struct sl_error *err);

/* ---- room.c (any thread) ---- */
/* Whose bytes go to a disk. A sixteenth of it, 2 GiB at most, is for the store and for results of
 * what was accepted; a quarter of that is for the store alone, without which the broker ends,
 * whoever filled the disk. */
enum sl_batch_room_for { SL_ROOM_TENANTS, SL_ROOM_RESULTS };
/* Whether `bytes` more may go to a disk of `total` bytes with `left` of them free. total 0: not
 * known, and then yes. */
bool sl_batch_room_is_enough(enum sl_batch_room_for whose, uint64_t total, uint64_t left,
                             uint64_t bytes);
/* The same of the disk that holds `path`; -SL_IO with the text of ENOSPC: no. */
int sl_batch_room(enum sl_batch_room_for whose, const char *path, int64_t bytes,
                  struct sl_error *err);
/* Whether it was a full disk, after which there may be room again. */
bool sl_batch_is_full(const struct sl_error *err);

/* ---- validate.c (worker) ---- */
/* A model on offer. input_prefix (NULL: none) goes before every text that is not given as ids: some
 * models were trained with one. It counts in usage, as the text's own words do. */
struct sl_batch_model {
    const char *id;
    const char *input_prefix;
};
struct sl_batch_validation {
    struct sl_core_lines lines; /* count 0: refused */
    char model[SL_MSG_NAME_MAX];
    char *errors; /* JSON array of {code, message, param, line}, malloc'ed; NULL when accepted */
};
/* Reads files/INPUT, checks every line (JSON, custom_id unique, method, url, model offered, input
 * form), writes lines/BATCH durably. models: on offer; model_count 0: there is no catalogue, so
 * that any one model is accepted, without a prefix. A spool that is there and whole already is used
 * as it is (after a restart; the input file may be gone by then). A negative status is our trouble
 * (disk), not the tenant's: theirs ends in errors. Lines with a body of their own fault (unknown
 * parameter, wrong encoding_format ...) are accepted and answered with a 400 of their own: the
 * spool marks them. */
int sl_batch_validate(const char *data_dir, const char *batch_id, const char *input_file_id,
                      const char *endpoint, const struct sl_batch_model *models,
                      uint32_t model_count, struct sl_batch_validation *ret_validation,
                      struct sl_error *err);
void sl_batch_validation_fini(struct sl_batch_validation *validation);

/* ---- spool.c (any one thread per reader) ---- */
struct sl_spool; /* constant after open but for a note of which records were checked */
int sl_spool_open(const char *data_dir, const char *batch_id, struct sl_spool **ret_spool,
                  struct sl_error *err);
void sl_spool_close(struct sl_spool *spool);
SL_DEFINE_AUTO(sl_spool, sl_spool_close)
uint32_t sl_spool_count(const struct sl_spool *spool);
struct sl_spool_line {
    const char *custom_id; /* JSON-escaped text without quotes, ready to be written */
    uint32_t custom_id_bytes;
    bool base64;         /* encoding_format */
    bool single;         /* input was one text or one array of ids, not an array of them */
    bool tokens;         /* inputs are token ids */
    const char *refusal; /* JSON of the 4xx body for a line at fault, else NULL */
    uint32_t refusal_bytes;
    uint32_t input_count;
    uint32_t worst_tokens;
};
/* -SL_NOTFOUND past the end, -SL_CORRUPT when the record is damaged. Pointers live with the spool.
 */
int sl_spool_line(struct sl_spool *spool, uint32_t line, struct sl_spool_line *ret_line,
                  struct sl_error *err);
/* Texts or token ids of a line into ret_inputs[line.input_count] (at most max). */
int sl_spool_inputs(struct sl_spool *spool, uint32_t line, struct sl_msg_input *ret_inputs,
                    uint32_t max, struct sl_error *err);
void sl_spool_delete(const char *data_dir, const char *batch_id);

/* ---- output.c (worker) ---- */
/* Writes the output and error file of a batch from its stored results and spool: tmp, fsync,
 * rename, directory fsync. Rows are filled; an id stays empty where no line belongs in that file.
 * The ids are derived from the batch id, so that a repeat after a crash gives the same files. */
int sl_batch_write_outputs(const char *data_dir, struct sl_reader *reader,
                           const struct sl_batch_row *batch, struct sl_wall now,
                           struct sl_file_row *ret_output, struct sl_file_row *ret_error,
                           struct sl_error *err);

/* ---- finalize.c (worker) ---- */
/* The same, whatever became of the spool: missing or damaged, it is built anew from the input file.
 * Where the results still cannot be written (the input is gone, too, or a line that must have one
 * has no result) that is SL_OK without files: err says why, and *ret_errors what the tenant reads
 * (JSON array, malloc'ed). -SL_IO is about the batch's own files; other failures are the store's.
 */
int sl_batch_finalize(const char *data_dir, struct sl_reader *reader,
                      const struct sl_batch_row *batch, struct sl_wall now,
                      struct sl_file_row *ret_output, struct sl_file_row *ret_error,
                      char **ret_errors, struct sl_error *err);

#endif
