/* SPDX-License-Identifier: Apache-2.0
 * `sluice top`: the terminal. One thread asks the broker, this one draws and reads keys, so that a
 * broker that is slow or away does not hold up a key. */
#include <curses.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "broker/cli/top.h"
#include "proto/base/clock.h"

#define KEY_WAIT_MS 100
#define DEVICES_SHOWN 1000

struct top {
    struct sl_cli *cli;
    int64_t interval_ms;
    int quit[2];          /* a pipe: closing it wakes the other thread */
    pthread_mutex_t lock; /* of what follows */
    struct sl_top_data data;
    struct sl_mono read; /* of the answers; ns 0: there are none */
    uint64_t turn;       /* rises with each reading */
    bool paused;         /* nothing is asked */
    atomic_bool stopping;
};

static void data_fini(struct sl_top_data *data) {
    json_decref(data->status);
    json_decref(data->nodes);
    json_decref(data->devices);
    json_decref(data->market);
    json_decref(data->prices);
    json_decref(data->events);
}

static int ask(const struct sl_cli *cli, const char *path, json_t **ret_json,
               struct sl_error *err) {
    SL_CLI_AUTO_ANSWER struct sl_cli_answer answer = {0};
    int rc = sl_cli_get(cli, path, &answer, err);
    if (rc == SL_OK && !answer.json) {
        rc = sl_fail(err, SL_INVALID, "%s answered without JSON: is that a broker's address?",
                     cli->url);
    }
    if (rc == SL_OK) {
        *ret_json = json_incref(answer.json);
    }
    return rc;
}

static int ask_all(const struct sl_cli *cli, struct sl_top_data *data, struct sl_error *err) {
    char devices[64];
    snprintf(devices, sizeof devices, "/api/v1/devices?limit=%d", DEVICES_SHOWN);
    int rc = ask(cli, "/api/v1/status", &data->status, err);
    rc = rc ? rc : ask(cli, "/api/v1/nodes", &data->nodes, err);
    rc = rc ? rc : ask(cli, devices, &data->devices, err);
    rc = rc ? rc : ask(cli, "/api/v1/market", &data->market, err);
    rc = rc ? rc : ask(cli, "/api/v1/market/feeds", &data->prices, err);
    return rc ? rc : ask(cli, "/api/v1/events?limit=200", &data->events, err);
}

static void take(struct top *top, struct sl_top_data *fresh, const char *trouble) {
    pthread_mutex_lock(&top->lock);
    if (trouble) { /* what was known stays, and is said to be old */
        sl_text_copy(top->data.trouble, sizeof top->data.trouble, trouble);
    } else {
        struct sl_top_data old = top->data;
        top->data = *fresh;
        *fresh = old;
        top->read = sl_clock_mono();
    }
    top->turn++;
    pthread_mutex_unlock(&top->lock);
    data_fini(fresh);
}

/* Until the time is over, or the other end of the pipe is closed. */
static void wait_interval(struct top *top) {
    struct pollfd fd = {.fd = top->quit[0], .events = POLLIN};
    poll(&fd, 1, (int)top->interval_ms);
}

static bool is_stopping(struct top *top, bool *ret_paused) {
    pthread_mutex_lock(&top->lock);
    *ret_paused = top->paused;
    pthread_mutex_unlock(&top->lock);
    return atomic_load(&top->stopping);
}

static void *fetch(void *arg) {
    struct top *top = arg;
    for (bool paused = false; !is_stopping(top, &paused); wait_interval(top)) {
        struct sl_top_data fresh = {0};
        struct sl_error err = {0};
        if (!paused) {
            int rc = ask_all(top->cli, &fresh, &err);
            take(top, &fresh, rc ? err.text : NULL);
        }
    }
    return NULL;
}

/* ---- the terminal ---- */

static void paint_line(int row, const char *text, enum sl_top_tone tone) {
    static const short pairs[] = {0, 0, 0, 1, 2, 3};
    attr_t attributes = tone == SL_TOP_TITLE ? A_REVERSE : tone == SL_TOP_DIM ? A_DIM : A_NORMAL;
    attributes |= tone == SL_TOP_BAD ? A_BOLD : A_NORMAL;
    attributes |= has_colors() ? (attr_t)COLOR_PAIR(pairs[tone]) : A_NORMAL;
    attrset(attributes);
    mvaddstr(row, 0, text);
    if (tone == SL_TOP_TITLE) { /* the bar goes on to the edge */
        for (int x = getcurx(stdscr); getcury(stdscr) == row && x < COLS; x++) {
            mvaddch(row, x, ' ');
        }
    }
}

static void paint(struct top *top, struct sl_top_view *view) {
    struct sl_top_screen *screen = calloc(1, sizeof *screen);
    if (!screen) {
        return;
    }
    view->width = (uint32_t)(COLS > 0 ? COLS : 0);
    view->height = (uint32_t)(LINES > 0 ? LINES : 0);
    pthread_mutex_lock(&top->lock);
    if (top->read.ns) {
        top->data.age_ms = (sl_clock_mono().ns - top->read.ns) / SL_NS_PER_MS;
    }
    sl_top_draw(&top->data, view, screen);
    pthread_mutex_unlock(&top->lock);
    erase();
    for (uint32_t i = 0; i < screen->count && (int)i < LINES; i++) {
        paint_line((int)i, screen->lines[i].text, screen->lines[i].tone);
    }
    refresh();
    sl_top_screen_fini(screen);
    free(screen);
}

static int key_of(int key) {
    static const struct {
        int from, to;
    } keys[] = {{KEY_UP, SL_TOP_KEY_UP},         {KEY_DOWN, SL_TOP_KEY_DOWN},
                {KEY_PPAGE, SL_TOP_KEY_PAGE_UP}, {KEY_NPAGE, SL_TOP_KEY_PAGE_DOWN},
                {KEY_HOME, SL_TOP_KEY_HOME},     {KEY_BACKSPACE, SL_TOP_KEY_BACK},
                {127, SL_TOP_KEY_BACK},          {'\b', SL_TOP_KEY_BACK},
                {'\t', SL_TOP_KEY_TAB},          {27, SL_TOP_KEY_ESCAPE},
                {'\r', SL_TOP_KEY_ENTER},        {'\n', SL_TOP_KEY_ENTER}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].from == key) {
            return keys[i].to;
        }
    }
    return key;
}

/* Curses gives the terminal back at TSTP, at QUIT it does not: it comes as a key. */
static void quit_is_a_key(void) {
    struct termios modes;
    if (tcgetattr(STDIN_FILENO, &modes) == 0) {
        modes.c_cc[VQUIT] = _POSIX_VDISABLE;
        tcsetattr(STDIN_FILENO, TCSANOW, &modes);
        def_prog_mode();
    }
}

/* initscr would end the program with a line that does not say what else there is. */
static bool open_terminal(void) {
    setlocale(LC_CTYPE, "");
    if (!newterm(NULL, stdout, stdin)) {
        return false;
    }
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    set_escdelay(50);
    timeout(KEY_WAIT_MS);
    if (has_colors() && !getenv("NO_COLOR")) {
        start_color();
        use_default_colors();
        init_pair(1, COLOR_GREEN, -1);
        init_pair(2, COLOR_YELLOW, -1);
        init_pair(3, COLOR_RED, -1);
    }
    quit_is_a_key();
    return true;
}

/* Then getch returns at once, for ever: the signal that would have ended us may be ignored. */
static bool terminal_is_gone(void) {
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR | POLLNVAL);
}

/* Who leaves a viewer by Ctrl-C or SIGTERM has not failed, but Curses would end with 1 then. So
 * they wait until they are asked for. */
static void hold_signals(sigset_t *ret_ends, sigset_t *ret_before) {
    sigemptyset(ret_ends);
    sigaddset(ret_ends, SIGINT);
    sigaddset(ret_ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, ret_ends, ret_before);
}

static bool told_to_end(const sigset_t *ends) {
    static const struct timespec at_once = {0};
    return sigtimedwait(ends, NULL, &at_once) > 0;
}

/* Draws when something is new, a key was pressed or a second has passed. */
static void look(struct top *top, const sigset_t *ends) {
    struct sl_top_view view = {0};
    uint64_t drawn = UINT64_MAX;
    int64_t drawn_ns = 0;
    bool on = true;
    while (on) {
        pthread_mutex_lock(&top->lock);
        uint64_t turn = top->turn;
        top->paused = view.paused;
        pthread_mutex_unlock(&top->lock);
        int64_t now_ns = sl_clock_mono().ns;
        bool due = (turn != drawn) || now_ns - drawn_ns > SL_NS_PER_S;
        if (due) {
            paint(top, &view);
            drawn = turn;
            drawn_ns = now_ns;
        }
        int key = getch();
        if (key == 3 || key == 28) { /* Ctrl-C in terminals that send it as a key; Ctrl-\ */
            on = false;
        } else if (key == KEY_RESIZE) {
            drawn_ns = 0;
        } else if (key != ERR) {
            on = sl_top_press(&view, key_of(key));
            drawn_ns = 0;
        } else {
            on = !terminal_is_gone();
        }
        on = on && !told_to_end(ends);
    }
}

static int run_live(struct top *top, struct sl_error *err) {
    pthread_t thread;
    if (pipe2(top->quit, O_CLOEXEC)) {
        return sl_fail_errno(err, "no pipe could be made");
    }
    sigset_t ends, before;
    hold_signals(&ends, &before); /* in the other thread, too */
    pthread_mutex_init(&top->lock, NULL);
    top->cli->cancel = &top->stopping;
    if (pthread_create(&thread, NULL, fetch, top)) {
        close(top->quit[0]);
        close(top->quit[1]);
        return sl_fail(err, SL_NOMEM, "no thread could be started");
    }
    bool open = open_terminal();
    if (open) {
        look(top, &ends);
        endwin();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL); /* a second one does not wait for an answer */
    atomic_store(&top->stopping, true);
    close(top->quit[1]);
    pthread_join(thread, NULL);
    close(top->quit[0]);
    pthread_mutex_destroy(&top->lock);
    data_fini(&top->data);
    return open
               ? SL_OK
               : sl_fail(err, SL_UNSUPPORTED,
                         "this system does not know a terminal '%.40s' (TERM); `sluice top --once` "
                         "needs none",
                         getenv("TERM"));
}

static int print_once(struct sl_cli *cli, struct sl_error *err) {
    struct sl_top_data data = {0};
    int rc = ask_all(cli, &data, err);
    struct sl_top_screen *screen = rc ? NULL : calloc(1, sizeof *screen);
    for (unsigned tab = 0; screen && tab < SL_TOP_TABS; tab++) {
        struct sl_top_view view = {.width = 200, .tab = (enum sl_top_tab)tab};
        sl_top_draw(&data, &view, screen);
        bool list = tab == 0; /* the head stands once */
        for (uint32_t i = 0; i < screen->count; i++) {
            list = list || screen->lines[i].tone == SL_TOP_DIM;
            if (list && !(screen->lines[i].tone == SL_TOP_TITLE && i > 0)) {
                puts(screen->lines[i].text);
            }
        }
        puts("");
        sl_top_screen_fini(screen);
    }
    free(screen);
    data_fini(&data);
    return rc;
}

static int read_interval(struct sl_cli *cli, const char *text, int64_t *ret_ms,
                         struct sl_error *err) {
    char *end = NULL;
    *ret_ms = 1000;
    if (!text) {
        return SL_OK;
    }
    double value = strtod(text, &end);
    double unit = strcmp(end, "ms") == 0 ? 1 : strcmp(end, "s") == 0 ? 1000 : 0;
    if (end == text || unit <= 0 || !(value * unit >= 100 && value * unit <= 3600000)) {
        return sl_cli_usage(cli, err, "--interval is a span such as 500ms or 2s, 100ms to 3600s");
    }
    *ret_ms = (int64_t)(value * unit);
    return SL_OK;
}

int sl_cli_top(struct sl_cli *cli, struct sl_error *err) {
    const char *interval = NULL;
    bool once = false;
    struct top top = {.cli = cli};
    const struct sl_cli_option options[] = {
        {"--interval", &interval, NULL}, {"--once", NULL, &once}, {NULL, NULL, NULL}};
    int rc = sl_cli_options(cli, options, 0, 0, err);
    rc = rc ? rc : read_interval(cli, interval, &top.interval_ms, err);
    if (rc) {
        return rc;
    }
    if (cli->json) {
        return sl_cli_usage(cli, err, "top has no --json: ask status, nodes, devices and market");
    }
    if (once) {
        return print_once(cli, err);
    }
    const char *term = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || !term || strcmp(term, "dumb") == 0) {
        return sl_cli_usage(cli, err, "top needs a terminal; `sluice top --once` does not");
    }
    struct sl_top_data probe = {0}; /* a wrong key or address is said before the screen is taken */
    rc = ask(cli, "/api/v1/status", &probe.status, err);
    data_fini(&probe);
    return rc ? rc : run_live(&top, err);
}
