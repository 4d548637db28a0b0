/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/store_sample.h"

#include "broker/core/core.h"
#include "broker/store/store.h"
#include "tests/fuzz/fuzz.h"

static struct store_sample sample;

const struct store_sample *store_sample_get(void) {
    return &sample;
}

void store_sample_core(struct sl_core_config *config) {
    config->lease_ttl_ms = 3000;
    config->report_ms = 1000;
    config->session_lost_ms = 5000;
    config->safe_mode = SL_MODE_IDLE;
    config->threshold_ppm = 20000;
    config->switch_horizon_ms = 60000;
    config->power_nusd_per_kwh = 70000000;
    config->batch_life_ms = 86400000;
    config->unit_lines = 8;
    config->units_ahead = 2;
    config->tenant_count = 1;
    config->tenants[0] = (struct sl_core_tenant){"acme", 1000000, -1};
}

static void on_fatal(void *arg, const char *reason) {
    (void)arg;
    fuzz_broken(reason, "the sample store", 0);
}

static void commit(struct sl_store *store, const struct sl_op *ops, size_t count) {
    struct sl_txn *txn = NULL;
    fuzz_check(sl_txn_create(&txn, NULL) == SL_OK);
    for (size_t i = 0; i < count; i++) {
        fuzz_check(sl_txn_add(txn, &ops[i], NULL) == SL_OK);
    }
    fuzz_check(sl_store_submit(store, txn) == SL_OK);
    while (sl_store_commit(store)) {}
}

static const struct sl_wall at = {INT64_C(1770000000000)};

static void commit_work(struct sl_store *store) {
    uint8_t *vectors = calloc(3, 4);
    struct sl_batch_row *batch = calloc(1, sizeof *batch);
    fuzz_check(vectors && batch);
    *batch = (struct sl_batch_row){.id = "b1",
                                   .tenant = "acme",
                                   .input_file = "f1",
                                   .model = "m",
                                   .endpoint = "/v1/embeddings",
                                   .state = SL_BATCH_IN_PROGRESS,
                                   .bid_nusd_per_mtok = 1000000,
                                   .created = at,
                                   .in_progress = at,
                                   .deadline = {at.ms + 86400000},
                                   .lines_total = 20,
                                   .lines_completed = 1,
                                   .tokens = 7,
                                   .billed_nusd = 7};
    batch->accrual.rem = 12345;
    batch->metadata = strdup("{\"a\":\"b\"}");
    const struct sl_op ops[] = {
        {.kind = SL_OP_BATCH, .batch = batch},
        {.kind = SL_OP_UNIT,
         .unit = {.unit_id = 1,
                  .node_key = "k",
                  .device = "n/0",
                  .epoch = 3,
                  .batch = "b1",
                  .price_nusd_per_mtok = 1000000,
                  .reserved_nusd = 500,
                  .line_count = 3,
                  .lines = {0, 1, 2}}},
        {.kind = SL_OP_RESULT,
         .result = {.batch = "b1",
                    .line = 0,
                    .unit_id = 1,
                    .status = SL_LINE_OK,
                    .tokens = 7,
                    .vector_count = 1,
                    .dim = 3,
                    .vectors = vectors,
                    .amount_nusd = 7,
                    .at = at}},
        {.kind = SL_OP_TRANSFER,
         .transfer = {.id = 1,
                      .kind = SL_TRANSFER_LINE,
                      .debit = "tenant:acme",
                      .credit = "revenue:lease",
                      .amount = {7},
                      .ref = "b1/0",
                      .at = at}},
    };
    commit(store, ops, sizeof ops / sizeof ops[0]);
}

static void commit_site(struct sl_store *store) {
    const struct sl_op ops[] = {
        {.kind = SL_OP_DEVICE,
         .device = {.key = "n/0", .node = "n", .node_key = "k", .epoch_max = 2, .first_seen = at}},
        {.kind = SL_OP_DIRECTIVE,
         .directive = {.device = "n/0",
                       .epoch = 3,
                       .mode = SL_MODE_INFER,
                       .batch = "b1",
                       .price_nusd_per_mtok = 1000000,
                       .rule = "threshold",
                       .why = "because",
                       .at = at}},
        {.kind = SL_OP_FILE,
         .file = {.id = "f1", .tenant = "acme", .filename = "in", .purpose = "batch", .bytes = 9}},
        {.kind = SL_OP_KEY,
         .key = {.id = "key_1", .hash = {1}, .role = SL_ROLE_TENANT, .tenant = "acme"}},
        {.kind = SL_OP_OVERRIDE,
         .override_ = {.subject = "n/0",
                       .kind = SL_OVERRIDE_PIN,
                       .mode = SL_MODE_HASH,
                       .actor = "key_1",
                       .at = at}},
        {.kind = SL_OP_AUDIT, .audit = {"key_1", "pin", "n/0", "hash", at, 0}},
        {.kind = SL_OP_PRICE, .price = {"hashprice", 5, at, at}},
        {.kind = SL_OP_META, .meta = {"counters", "1 0 0 0 1 7 2 0"}},
        {.kind = SL_OP_META, .meta = {"rem.hash", "17"}},
        {.kind = SL_OP_META, .meta = {"rem.power", "18"}},
    };
    commit(store, ops, sizeof ops / sizeof ops[0]);
}

static void commit_shares(struct sl_store *store) {
    for (uint64_t i = 1; i <= 3; i++) {
        char ref[32];
        struct sl_op ops[2] = {{.kind = SL_OP_SHARE,
                                .share = {.node_key = "k",
                                          .share_id = i,
                                          .device = "n/0",
                                          .outcome = SL_SHARE_ACCEPTED,
                                          .work_hashes = 1000,
                                          .difficulty_nano = 1000000,
                                          .amount_nusd = 2,
                                          .at = at}},
                               {.kind = SL_OP_TRANSFER,
                                .transfer = {.id = 1 + i,
                                             .kind = SL_TRANSFER_SHARE,
                                             .debit = "receivable:pool",
                                             .credit = "revenue:hash",
                                             .amount = {2},
                                             .at = at}}};
        snprintf(ref, sizeof ref, "k/%d", (int)i);
        strcpy(ops[1].transfer.ref, ref);
        commit(store, ops, 2);
    }
}

static uint8_t *slurp(const char *path, size_t *ret_size) {
    FILE *file = fopen(path, "rbe");
    fuzz_check(file && fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    uint8_t *bytes = malloc(size + 1);
    rewind(file);
    fuzz_check(bytes && fread(bytes, 1, size, file) == size);
    fclose(file);
    *ret_size = size;
    return bytes;
}

static struct sl_store *open_store(const char *path) {
    struct sl_store *store = NULL;
    struct sl_error err = {0};
    const struct sl_store_config config = {
        .path = path, .fatal = on_fatal, .vfs = "unix", .threadless = true};
    int rc = sl_store_open(&config, &store, &err);
    if (rc != SL_OK) {
        fuzz_broken(err.text, "the sample store", 0);
    }
    return store;
}

void store_sample_make(const char *path) {
    char log[128];
    struct sl_store *store = open_store(path);
    commit_site(store);
    commit_work(store);
    sl_store_close(store); /* everything is in the file now */
    sample.file = slurp(path, &sample.file_bytes);
    store = open_store(path);
    commit_shares(store);
    snprintf(log, sizeof log, "%s-wal", path);
    sample.log = slurp(log, &sample.log_bytes);
    sl_store_close(store);
    fuzz_check(sample.file_bytes > 4096 && sample.log_bytes > 1024);
}

static uint32_t get_be(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_be(uint8_t *bytes, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

/* The sum of SQLite's file format, 4.1: over pairs of words, in the order that the magic says. */
static void add_sum(bool big, const uint8_t *bytes, size_t n, uint32_t sum[2]) {
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint32_t a = get_be(bytes + i);
        uint32_t b = get_be(bytes + i + 4);
        sum[0] += (big ? a : __builtin_bswap32(a)) + sum[1];
        sum[1] += (big ? b : __builtin_bswap32(b)) + sum[0];
    }
}

void store_sample_fix_log(uint8_t *log, size_t size) {
    enum { HEAD = 32, FRAME = 24 };
    uint32_t sum[2] = {0, 0};
    bool big = get_be(log) & 1;
    size_t page = get_be(log + 8);
    add_sum(big, log, 24, sum);
    put_be(log + 24, sum[0]);
    put_be(log + 28, sum[1]);
    for (size_t from = HEAD; page % 8 == 0 && page > 0 && from + FRAME + page <= size;
         from += FRAME + page) {
        memcpy(log + from + 8, log + 16, 8); /* the salts */
        add_sum(big, log + from, 8, sum);
        add_sum(big, log + from + FRAME, page, sum);
        put_be(log + from + 16, sum[0]);
        put_be(log + from + 20, sum[1]);
    }
}
