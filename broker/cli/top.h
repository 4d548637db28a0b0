/* SPDX-License-Identifier: Apache-2.0
 * `sluice top`: what stands on the screen (top_screen.c, pure), apart from the terminal (top.c). */
#ifndef SLUICE_BROKER_CLI_TOP_H
#define SLUICE_BROKER_CLI_TOP_H

#include "broker/cli/cli.h"

/* The broker's answers, as they came; NULL: not asked yet. Owned by whoever fetched them. */
struct sl_top_data {
    json_t *status, *nodes, *devices, *market, *prices, *events;
    char trouble[SL_ERROR_TEXT_MAX]; /* why there is nothing newer; empty: all is well */
    int64_t age_ms;                  /* of the answers */
};

enum sl_top_tab { SL_TOP_DEVICES = 0, SL_TOP_NODES, SL_TOP_QUEUE, SL_TOP_EVENTS, SL_TOP_TABS };
enum sl_top_sort { SL_TOP_BY_NAME = 0, SL_TOP_BY_EARNING, SL_TOP_BY_MODE, SL_TOP_SORTS };

struct sl_top_view {
    uint32_t width, height; /* of the terminal, at least 40 x 10; less is drawn cut off */
    enum sl_top_tab tab;
    enum sl_top_sort sort; /* of devices */
    uint32_t first;        /* row that the list begins with; corrected to what there is */
    bool paused;
    bool finding;  /* `find` is being typed */
    char find[40]; /* rows that contain it, any case; empty: all */
};

enum sl_top_tone {
    SL_TOP_PLAIN = 0,
    SL_TOP_TITLE,
    SL_TOP_DIM,
    SL_TOP_GOOD,
    SL_TOP_WARN,
    SL_TOP_BAD
};

#define SL_TOP_LINES_MAX 1040 /* all devices that are asked for, and the head */
struct sl_top_screen {
    uint32_t count;
    struct {
        char *text; /* UTF-8, at most `width` columns, without control characters */
        enum sl_top_tone tone;
    } lines[SL_TOP_LINES_MAX];
};

/* height 0: as many lines as there are rows, and no help line. */
void sl_top_draw(const struct sl_top_data *data, struct sl_top_view *view,
                 struct sl_top_screen *ret_screen);
void sl_top_screen_fini(struct sl_top_screen *screen);

/* One pressed key, as a character, or a SL_TOP_KEY_*. False: the view ends. */
enum {
    SL_TOP_KEY_UP = 0x110000,
    SL_TOP_KEY_DOWN,
    SL_TOP_KEY_PAGE_UP,
    SL_TOP_KEY_PAGE_DOWN,
    SL_TOP_KEY_HOME,
    SL_TOP_KEY_TAB,
    SL_TOP_KEY_BACK,
    SL_TOP_KEY_ESCAPE,
    SL_TOP_KEY_ENTER
};
bool sl_top_press(struct sl_top_view *view, int key);

#endif
