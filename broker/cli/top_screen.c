/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/cli/top.h"

#define ROWS_MAX 100000

/* ---- lines ---- */

/* Cuts after `width` characters, at a whole one. */
static void put(struct sl_top_screen *screen, uint32_t width, enum sl_top_tone tone,
                const char *text) {
    if (screen->count == SL_TOP_LINES_MAX) {
        return;
    }
    size_t n = 0;
    uint32_t columns = 0;
    const char *from = text ? text : "";
    for (; from[n]; n++) {
        bool begins = ((unsigned char)from[n] & 0xC0) != 0x80;
        if (begins && columns++ == width) {
            break;
        }
    }
    while (n > 0 && from[n - 1] == ' ') {
        n--;
    }
    char *copy = strndup(from, n);
    screen->lines[screen->count].text = copy;
    screen->lines[screen->count].tone = tone;
    screen->count += copy != NULL;
}

void sl_top_screen_fini(struct sl_top_screen *screen) {
    for (uint32_t i = 0; i < screen->count; i++) {
        free(screen->lines[i].text);
    }
    screen->count = 0;
}

/* Appends the value padded or cut to `width` columns and two spaces. */
static void cell(struct sl_buf *line, const char *text, uint32_t width, bool right) {
    uint32_t columns = 0;
    size_t n = 0;
    for (; text[n]; n++) {
        if (((unsigned char)text[n] & 0xC0) != 0x80 && columns++ == width) {
            columns = width;
            break;
        }
    }
    uint32_t pad = width - columns;
    sl_buf_printf(line, "%*s%.*s%*s  ", right ? (int)pad : 0, "", (int)n, text,
                  right ? 0 : (int)pad, "");
}

struct column {
    const char *title;
    const char *path;
    enum sl_cli_format format;
    uint32_t width;
    bool right;
};

static void row_text(const json_t *row, const struct column *columns, struct sl_buf *line) {
    for (; columns->title; columns++) {
        SL_AUTO_BUF struct sl_buf value = {0};
        sl_cli_value(row, columns->path, columns->format, &value);
        cell(line, value.data ? value.data : "", columns->width, columns->right);
    }
}

static void heading(const struct column *columns, struct sl_buf *line) {
    for (; columns->title; columns++) {
        cell(line, columns->title, columns->width, columns->right);
    }
}

static void append(struct sl_buf *line, const char *before, const json_t *object, const char *path,
                   enum sl_cli_format format, const char *after) {
    sl_buf_printf(line, "%s", before);
    sl_cli_value(object, path, format, line);
    sl_buf_printf(line, "%s", after);
}

/* ---- the head: the whole site ---- */

static void draw_title(const struct sl_top_data *data, const struct sl_top_view *view,
                       struct sl_top_screen *screen) {
    SL_AUTO_BUF struct sl_buf line = {0};
    sl_buf_printf(&line, "sluice top");
    if (data->status) {
        append(&line, "  ", data->status, "now", SL_CLI_TIME, " UTC");
    }
    if (view->paused) {
        sl_buf_printf(&line, "  PAUSED (p goes on)");
    } else if (data->age_ms > 3000) {
        sl_buf_printf(&line, "  from %lld s ago", (long long)(data->age_ms / 1000));
    }
    put(screen, view->width, SL_TOP_TITLE, line.data);
    if (data->trouble[0]) {
        SL_AUTO_BUF struct sl_buf trouble = {0};
        sl_cli_clean(&trouble, data->trouble);
        put(screen, view->width, SL_TOP_BAD, trouble.data);
    }
    if (json_is_true(sl_cli_find(data->status, "stopped"))) {
        put(screen, view->width, SL_TOP_BAD,
            "STOPPED by an operator: no device works until `sluice resume --all`");
    }
}

/* The hashprice that decides; a single source may be out, or speak of another algorithm. */
static void append_hashprice(struct sl_buf *line, const json_t *prices) {
    const json_t *list = sl_cli_find(prices, "prices");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *price = json_array_get(list, i);
        if (strcmp(sl_cli_text(price, "role"), "hashprice") == 0 &&
            json_is_true(sl_cli_find(price, "decides"))) {
            append(line, "   hashprice ", price, "value", SL_CLI_USD_SHORT, " USD/PH/day");
            bool held = strcmp(sl_cli_text(price, "state"), "held") == 0;
            sl_buf_printf(line, "%s", held ? " (HELD: it moves nothing)" : "");
            return;
        }
    }
}

static void draw_site(const struct sl_top_data *data, const struct sl_top_view *view,
                      struct sl_top_screen *screen) {
    const json_t *s = data->status;
    if (!s) {
        put(screen, view->width, SL_TOP_DIM, data->trouble[0] ? "" : "asking the broker ...");
        return;
    }
    SL_AUTO_BUF struct sl_buf fleet = {0};
    append(&fleet, "agents ", s, "sessions_live", SL_CLI_NUMBER, "   devices ");
    append(&fleet, "", s, "devices_total", SL_CLI_NUMBER, ": ");
    append(&fleet, "", s, "devices_by_mode.hash", SL_CLI_NUMBER, " hash, ");
    append(&fleet, "", s, "devices_by_mode.infer", SL_CLI_NUMBER, " infer, ");
    append(&fleet, "", s, "devices_by_mode.idle", SL_CLI_NUMBER, " idle");
    append(&fleet, "   drawn ", s, "power.drawn_w", SL_CLI_NUMBER, " W");
    if (json_integer_value(sl_cli_find(s, "power.devices_unknown")) > 0) {
        append(&fleet, " and what ", s, "power.devices_unknown", SL_CLI_NUMBER, " unknown draw");
    }
    put(screen, view->width, SL_TOP_PLAIN, fleet.data);
    SL_AUTO_BUF struct sl_buf hash = {0};
    append(&hash, "hashing ", s, "hashrate_hs", SL_CLI_RATE_HS, "   shares ");
    append(&hash, "", s, "shares.accepted", SL_CLI_NUMBER, " accepted, ");
    append(&hash, "", s, "shares.stale", SL_CLI_NUMBER, " stale, ");
    append(&hash, "", s, "shares.rejected", SL_CLI_NUMBER, " rejected");
    append_hashprice(&hash, data->prices);
    put(screen, view->width, SL_TOP_PLAIN, hash.data);
    SL_AUTO_BUF struct sl_buf money = {0};
    append(&money, "earned USD: hashing ", s, "revenue_usd.hash", SL_CLI_USD_SHORT, ", leases ");
    append(&money, "", s, "revenue_usd.lease", SL_CLI_USD_SHORT, ", power -");
    append(&money, "", s, "revenue_usd.power", SL_CLI_USD_SHORT,
           json_is_false(sl_cli_find(s, "power_complete")) ? " (not complete)" : "");
    append(&money, "   power at ", s, "power.price_usd_per_kwh", SL_CLI_USD_SHORT, " USD/kWh");
    put(screen, view->width, SL_TOP_PLAIN, money.data);
    SL_AUTO_BUF struct sl_buf queue = {0};
    append(&queue, "queue: ", s, "batches_open", SL_CLI_NUMBER, " batches, lines ");
    append(&queue, "", s, "lines_waiting", SL_CLI_NUMBER, " waiting, ");
    append(&queue, "", s, "lines_issued", SL_CLI_NUMBER, " at work, ");
    append(&queue, "", s, "lines_done", SL_CLI_NUMBER, " done");
    put(screen, view->width, SL_TOP_PLAIN, queue.data);
}

/* Of a large site the list, and what is looked for in it, is a part: that is said. */
static void append_part(struct sl_buf *line, const json_t *devices) {
    json_int_t total = json_integer_value(sl_cli_find(devices, "total"));
    size_t shown = json_array_size(sl_cli_find(devices, "devices"));
    if (total > (json_int_t)shown) {
        sl_buf_printf(line, "   the first %zu of %lld", shown, (long long)total);
    }
}

static void draw_tabs(const struct sl_top_data *data, const struct sl_top_view *view,
                      struct sl_top_screen *screen) {
    static const char *const names[SL_TOP_TABS] = {"devices", "nodes", "queue", "events"};
    static const char *const sorts[SL_TOP_SORTS] = {"name", "earning", "mode"};
    SL_AUTO_BUF struct sl_buf line = {0};
    for (unsigned i = 0; i < SL_TOP_TABS; i++) {
        bool open = i == (unsigned)view->tab;
        sl_buf_printf(&line, "%s%u %s%s  ", open ? "[" : " ", i + 1, names[i], open ? "]" : " ");
    }
    if (view->tab == SL_TOP_DEVICES) {
        sl_buf_printf(&line, "   by %s", sorts[view->sort]);
        append_part(&line, data->devices);
    }
    if (view->finding || view->find[0]) {
        sl_buf_printf(&line, "   find: %s%s", view->find, view->finding ? "_" : "");
    }
    put(screen, view->width, SL_TOP_TITLE, line.data);
}

/* ---- the lists ---- */

#define DEVICE_COLUMNS 10
static const struct column device_columns[DEVICE_COLUMNS] = {
    {"device", "top_key", SL_CLI_TEXT, 24, false}, /* wider where there is room */
    {"mode", "mode", SL_CLI_TEXT, 5, false},
    {"since", "since_ms", SL_CLI_MS, 11, true},
    {"hash rate", "hashrate_hs", SL_CLI_RATE_ZERO, 10, true},
    {"tokens/s", "top_tokens", SL_CLI_TEXT, 8, true},
    {"power", "top_watts", SL_CLI_TEXT, 13, true},
    {"temp", "top_temp", SL_CLI_TEXT, 7, true},
    {"USD/h", "top_usd", SL_CLI_TEXT, 9, true},
    {"why", "top_why", SL_CLI_TEXT, 40, false},
    {NULL, NULL, SL_CLI_TEXT, 0, false},
};
static const struct column node_columns[] = {
    {"node", "node", SL_CLI_TEXT, 20, false},
    {"state", "state", SL_CLI_TEXT, 10, false},
    {"heard", "report_age_ms", SL_CLI_MS, 11, true},
    {"devices", "devices", SL_CLI_NUMBER, 7, true},
    {"to send", "results_spooled", SL_CLI_NUMBER, 7, true},
    {"pool", "pool.url", SL_CLI_TEXT, 40, false},
    {"", "pool.state", SL_CLI_TEXT, 40, false},
    {NULL, NULL, SL_CLI_TEXT, 0, false},
};
static const struct column queue_columns[] = {
    {"batch", "id", SL_CLI_TEXT, 24, false},
    {"tenant", "tenant", SL_CLI_TEXT, 16, false},
    {"status", "status", SL_CLI_TEXT, 12, false},
    {"bid USD/Mtok", "bid_usd_per_mtok", SL_CLI_USD, 12, true},
    {"waiting", "waiting", SL_CLI_NUMBER, 8, true},
    {"at work", "issued", SL_CLI_NUMBER, 8, true},
    {"done", "done", SL_CLI_NUMBER, 8, true},
    {"failed", "failed", SL_CLI_NUMBER, 8, true},
    {NULL, NULL, SL_CLI_TEXT, 0, false},
};
static const struct column event_columns[] = {
    {"at (UTC)", "at", SL_CLI_TIME, 19, false}, {"", "severity", SL_CLI_TEXT, 5, false},
    {"what", "kind", SL_CLI_TEXT, 20, false},   {"where", "top_where", SL_CLI_TEXT, 24, false},
    {"", "text", SL_CLI_TEXT, 120, false},      {NULL, NULL, SL_CLI_TEXT, 0, false},
};

static void set_text(json_t *row, const char *key, const char *text) {
    json_object_set_new(row, key, json_string(text));
}

static bool is_trusted(const json_t *device) {
    const char *health = sl_cli_text(device, "health");
    return health[0] == '\0' || strcmp(health, "ok") == 0;
}

/* Its trouble, else why it is not trusted, else the rule that decided. */
static void add_why(json_t *device) {
    const char *trouble = sl_cli_text(device, "trouble");
    SL_AUTO_BUF struct sl_buf why = {0};
    if (trouble[0] || is_trusted(device)) {
        sl_buf_printf(&why, "%s", trouble[0] ? trouble : sl_cli_text(device, "rule"));
    } else {
        sl_buf_printf(&why, "%s: %s", sl_cli_text(device, "health"),
                      sl_cli_text(device, "health_reason"));
    }
    set_text(device, "top_why", why.data ? why.data : "");
}

/* The texts that join several of a device's figures. */
static void add_device_cells(json_t *device) {
    const char *mode = sl_cli_text(device, "mode");
    const json_t *models = sl_cli_find(device, "models");
    char path[64], tokens[24] = "";
    double best = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        double rate = json_number_value(sl_cli_find(json_array_get(models, i), "tokens_per_s"));
        best = rate > best ? rate : best;
    }
    snprintf(tokens, sizeof tokens, best > 0 ? "%.0f" : "unknown", best);
    set_text(device, "top_tokens", tokens);
    SL_AUTO_BUF struct sl_buf watts = {0};
    snprintf(path, sizeof path, "watts.%.16s", mode);
    sl_cli_watts(sl_cli_find(device, path), &watts);
    set_text(device, "top_watts", watts.data ? watts.data : "");
    SL_AUTO_BUF struct sl_buf heat = {0};
    sl_cli_hottest(device, &heat);
    set_text(device, "top_temp", heat.data ? heat.data : "");
    SL_AUTO_BUF struct sl_buf usd = {0};
    snprintf(path, sizeof path, "offers.%.16s.net_usd_per_hour", mode);
    sl_cli_value(device, path, SL_CLI_USD_SHORT, &usd);
    set_text(device, "top_usd", mode[0] && usd.data ? usd.data : "-");
    add_why(device);
}

static enum sl_top_tone tone_of(enum sl_top_tab tab, const json_t *row) {
    static const struct {
        const char *word;
        enum sl_top_tone tone;
    } words[] = {{"lost", SL_TOP_BAD},   {"faulty", SL_TOP_BAD}, {"alert", SL_TOP_BAD},
                 {"error", SL_TOP_BAD},  {"warn", SL_TOP_WARN},  {"silent", SL_TOP_WARN},
                 {"infer", SL_TOP_GOOD}, {"idle", SL_TOP_DIM}};
    const char *said[] = {sl_cli_text(row, tab == SL_TOP_EVENTS ? "severity" : "state"),
                          tab == SL_TOP_DEVICES ? sl_cli_text(row, "mode") : ""};
    if (tab == SL_TOP_DEVICES && (sl_cli_text(row, "trouble")[0] || !is_trusted(row))) {
        bool warns = strcmp(sl_cli_text(row, "health"), "warn") == 0;
        return warns && !sl_cli_text(row, "trouble")[0] ? SL_TOP_WARN : SL_TOP_BAD;
    }
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (strcmp(said[k], words[i].word) == 0) {
                return words[i].tone;
            }
        }
    }
    return SL_TOP_PLAIN;
}

static bool contains(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; *text; text++) {
        if (strncasecmp(text, part, n) == 0) {
            return true;
        }
    }
    return n == 0;
}

static double number(const json_t *row, const char *path) {
    const json_t *value = sl_cli_find(row, path);
    return json_is_string(value) ? strtod(json_string_value(value), NULL)
                                 : json_number_value(value);
}

static int by_name(const void *a, const void *b) {
    return strcmp(sl_cli_text(*(json_t *const *)a, "key"), sl_cli_text(*(json_t *const *)b, "key"));
}

static int by_earning(const void *a, const void *b) {
    double left = number(*(json_t *const *)a, "top_usd");
    double right = number(*(json_t *const *)b, "top_usd");
    return left != right ? (left < right ? 1 : -1) : by_name(a, b);
}

static int by_mode(const void *a, const void *b) {
    int order =
        strcmp(sl_cli_text(*(json_t *const *)a, "mode"), sl_cli_text(*(json_t *const *)b, "mode"));
    return order ? order : by_name(a, b);
}

static void sort_devices(json_t **rows, size_t count, enum sl_top_sort sort) {
    static int (*const orders[SL_TOP_SORTS])(const void *, const void *) = {by_name, by_earning,
                                                                            by_mode};
    if (count > 1) {
        qsort(rows, count, sizeof *rows, orders[sort]);
    }
}

static const json_t *list_of(const struct sl_top_data *data, enum sl_top_tab tab,
                             const struct column **ret_columns) {
    switch (tab) {
    case SL_TOP_NODES:
        *ret_columns = node_columns;
        return sl_cli_find(data->nodes, "nodes");
    case SL_TOP_QUEUE:
        *ret_columns = queue_columns;
        return sl_cli_find(data->market, "batches");
    case SL_TOP_EVENTS:
        *ret_columns = event_columns;
        return sl_cli_find(data->events, "events");
    case SL_TOP_DEVICES:
    case SL_TOP_TABS:
        break;
    }
    *ret_columns = device_columns;
    return sl_cli_find(data->devices, "devices");
}

static void complete_row(enum sl_top_tab tab, json_t *row) {
    if (tab == SL_TOP_DEVICES && !json_object_get(row, "top_usd")) {
        add_device_cells(row);
    } else if (tab == SL_TOP_EVENTS) {
        const char *device = sl_cli_text(row, "device");
        set_text(row, "top_where", device[0] ? device : sl_cli_text(row, "node"));
    }
}

/* How many lines the list may have. */
static uint32_t list_room(const struct sl_top_view *view, const struct sl_top_screen *screen) {
    uint32_t all = view->height ? view->height : SL_TOP_LINES_MAX;
    uint32_t taken = screen->count + (view->height ? 1 : 0); /* the help line */
    return all > taken ? all - taken : 0;
}

/* What a terminal of 80 columns has no room for goes first: earning and heat are to be seen. */
static void fit_columns(const struct sl_top_view *view, struct column ret[DEVICE_COLUMNS]) {
    static const char *const less[] = {"since", "tokens/s"};
    memcpy(ret, device_columns, sizeof device_columns);
    for (size_t drop = 0; drop < sizeof less / sizeof less[0]; drop++) {
        uint32_t width = 0;
        size_t at = 0;
        size_t why = 0;
        for (; strcmp(ret[why].title, "why") != 0; why++) {
            width += ret[why].width + 2;
            at = strcmp(ret[why].title, less[drop]) == 0 ? why : at;
        }
        if (width <= view->width + 2) {
            return;
        }
        memmove(ret + at, ret + at + 1, (DEVICE_COLUMNS - at - 1) * sizeof ret[0]);
    }
}

/* Devices of one node differ at the end of their keys: those are shown whole where the terminal has
 * the room, else without their middle. */
static void fit_keys(const struct sl_top_view *view, const json_t *list, size_t count,
                     struct column *columns) {
    uint32_t others = 0;
    size_t width = columns[0].width;
    for (size_t i = 1; columns[i].title; i++) {
        others += columns[i].width + 2;
    }
    size_t room = view->width > others + 2 ? view->width - others - 2 : 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(sl_cli_text(json_array_get(list, i), "key"));
        n = n < room ? n : room;
        width = n > width ? n : width;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_array_get(list, i);
        const char *key = sl_cli_text(row, "key");
        size_t n = strlen(key);
        size_t tail = width / 2;
        SL_AUTO_BUF struct sl_buf text = {0};
        if (n <= width) {
            sl_buf_printf(&text, "%s", key);
        } else {
            sl_buf_printf(&text, "%.*s~%s", (int)(width - tail - 1), key, key + n - tail);
        }
        set_text(row, "top_key", text.data ? text.data : "");
    }
    columns[0].width = (uint32_t)width;
}

static void draw_rows(struct sl_top_view *view, struct sl_top_screen *screen, json_t **rows,
                      size_t count, const struct column *columns) {
    uint32_t room = list_room(view, screen);
    uint32_t last = count > room ? (uint32_t)(count - room) : 0;
    view->first = view->first > last ? last : view->first;
    for (size_t i = view->first; i < count && i - view->first < room; i++) {
        SL_AUTO_BUF struct sl_buf line = {0};
        row_text(rows[i], columns, &line);
        put(screen, view->width, tone_of(view->tab, rows[i]), line.data);
    }
    if (count == 0 && room > 0) {
        put(screen, view->width, SL_TOP_DIM, view->find[0] ? "nothing contains that" : "none");
    }
}

static void draw_list(const struct sl_top_data *data, struct sl_top_view *view,
                      struct sl_top_screen *screen) {
    const struct column *columns = NULL;
    struct column fitted[DEVICE_COLUMNS];
    const json_t *list = list_of(data, view->tab, &columns);
    size_t all = json_array_size(list);
    all = all < ROWS_MAX ? all : ROWS_MAX;
    if (view->tab == SL_TOP_DEVICES) {
        fit_columns(view, fitted);
        fit_keys(view, list, all, fitted);
        columns = fitted;
    }
    json_t **rows = calloc(all ? all : 1, sizeof(json_t *));
    size_t count = 0;
    SL_AUTO_BUF struct sl_buf title = {0};
    heading(columns, &title);
    put(screen, view->width, SL_TOP_DIM, title.data);
    for (size_t i = 0; rows && i < all; i++) {
        /* The newest event first. */
        json_t *row = json_array_get(list, view->tab == SL_TOP_EVENTS ? all - 1 - i : i);
        complete_row(view->tab, row);
        SL_AUTO_BUF struct sl_buf text = {0};
        row_text(row, columns, &text);
        if (contains(text.data ? text.data : "", view->find) ||
            contains(sl_cli_text(row, "key"), view->find)) { /* cut or not */
            rows[count++] = row;
        }
    }
    if (view->tab == SL_TOP_DEVICES) {
        sort_devices(rows, rows ? count : 0, view->sort);
    }
    draw_rows(view, screen, rows, count, columns);
    free(rows);
}

void sl_top_draw(const struct sl_top_data *data, struct sl_top_view *view,
                 struct sl_top_screen *ret_screen) {
    ret_screen->count = 0;
    draw_title(data, view, ret_screen);
    draw_site(data, view, ret_screen);
    draw_tabs(data, view, ret_screen);
    draw_list(data, view, ret_screen);
    if (view->height) {
        while (ret_screen->count + 1 < view->height && ret_screen->count < SL_TOP_LINES_MAX - 1) {
            put(ret_screen, view->width, SL_TOP_PLAIN, "");
        }
        put(ret_screen, view->width, SL_TOP_DIM,
            view->finding ? "type a part of a row; Enter keeps it, Esc drops it"
                          : "q quit   1-4 Tab lists   arrows scroll   s sort   / find   p pause");
    }
}

/* ---- keys ---- */

static void press_find(struct sl_top_view *view, int key) {
    size_t n = strlen(view->find);
    if (key == SL_TOP_KEY_ESCAPE) {
        view->find[0] = '\0';
        view->finding = false;
    } else if (key == SL_TOP_KEY_ENTER) {
        view->finding = false;
    } else if (key == SL_TOP_KEY_BACK) {
        view->find[n ? n - 1 : 0] = '\0';
    } else if (key >= ' ' && key <= '~' && n + 1 < sizeof view->find) {
        view->find[n] = (char)key;
        view->find[n + 1] = '\0';
    }
    view->first = 0;
}

static void scroll(struct sl_top_view *view, int64_t by) {
    int64_t first = (int64_t)view->first + by;
    view->first = first < 0 ? 0 : (uint32_t)first; /* the end is known when it is drawn */
}

static void open_tab(struct sl_top_view *view, unsigned tab) {
    view->tab = (enum sl_top_tab)(tab % SL_TOP_TABS);
    view->first = 0;
}

bool sl_top_press(struct sl_top_view *view, int key) {
    int64_t page = view->height > 10 ? view->height - 10 : 1;
    if (view->finding) {
        press_find(view, key);
        return true;
    }
    switch (key) {
    case 'q':
        return false;
    case '1':
    case '2':
    case '3':
    case '4':
        open_tab(view, (unsigned)(key - '1'));
        break;
    case SL_TOP_KEY_TAB:
        open_tab(view, (unsigned)view->tab + 1);
        break;
    case 's':
        view->sort = (enum sl_top_sort)((view->sort + 1) % SL_TOP_SORTS);
        break;
    case 'p':
        view->paused = !view->paused;
        break;
    case '/':
        view->finding = true;
        break;
    case SL_TOP_KEY_ESCAPE:
        view->find[0] = '\0';
        break;
    case SL_TOP_KEY_UP:
        scroll(view, -1);
        break;
    case SL_TOP_KEY_DOWN:
        scroll(view, 1);
        break;
    case SL_TOP_KEY_PAGE_UP:
        scroll(view, -page);
        break;
    case SL_TOP_KEY_PAGE_DOWN:
        scroll(view, page);
        break;
    case SL_TOP_KEY_HOME:
        view->first = 0;
        break;
    default:
        break;
    }
    return true;
}
