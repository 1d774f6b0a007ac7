/*
 * progress.c - how far a long run is.
 *
 *     [=========>          ]  43%  12.3 M rows  1.21 M/s  0:12 left  spooling: connection refused
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "cli/cli.h"
#include "os/clock.h"
#include <stdlib.h>

enum { STDERR = 2, BAR_WIDTH = 24, PLAIN_EVERY_S = 10 };

struct af_progress {
    const char *what;
    const char *unit;
    int64_t start_ns;
    int64_t next_plain_ns;
    bool is_terminal;
    bool has_colour;
    bool has_line;
};

struct af_progress *af_progress_new(const struct af_cli *cli, const char *what, const char *unit)
{
    if (cli->quiet)
        return NULL;
    struct af_progress *p = af_alloc_zero(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->what = what;
    p->unit = unit;
    p->start_ns = af_clock_mono_ns();
    p->next_plain_ns = p->start_ns + PLAIN_EVERY_S * AF_NS_PER_S;
    p->is_terminal = af_tty_is(STDERR);
    p->has_colour = p->is_terminal && getenv("NO_COLOR") == NULL;
    return p;
}

static void print_rate(char *out, size_t cap, double rows)
{
    if (rows >= 1e6)
        (void)snprintf(out, cap, "%.2f M", rows / 1e6);
    else if (rows >= 1e3)
        (void)snprintf(out, cap, "%.1f k", rows / 1e3);
    else
        (void)snprintf(out, cap, "%.0f ", rows);
}

static void print_left(char *out, size_t cap, double seconds)
{
    if (!(seconds >= 0 && seconds < 360000))
        (void)snprintf(out, cap, "-:-- left");
    else if (seconds >= 3600)
        (void)snprintf(out, cap, "%d:%02d:%02d left", (int)seconds / 3600, (int)seconds / 60 % 60, (int)seconds % 60);
    else
        (void)snprintf(out, cap, "%d:%02d left", (int)seconds / 60, (int)seconds % 60);
}

static void print_bar(char *out, double share)
{
    int full = (int)(share * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++)
        out[i] = i < full ? '=' : i == full ? '>' : ' ';
    out[BAR_WIDTH] = '\0';
}

void af_progress_show(struct af_progress *p, uint64_t done, uint64_t all, uint64_t count, const char *note)
{
    if (p == NULL)
        return;
    int64_t now = af_clock_mono_ns();
    if (!p->is_terminal && now < p->next_plain_ns)
        return;
    p->next_plain_ns = now + PLAIN_EVERY_S * AF_NS_PER_S;
    double seconds = (double)(now - p->start_ns) / 1e9;
    double share = all != 0 ? (double)done / (double)all : 0;
    if (share > 1)
        share = 1;
    char total[32], rate[32], left[32], bar[BAR_WIDTH + 1], line[512];
    print_rate(total, sizeof total, (double)count);
    print_rate(rate, sizeof rate, seconds > 0 ? (double)count / seconds : 0);
    print_left(left, sizeof left, share > 0 ? seconds / share - seconds : -1);
    print_bar(bar, share);
    (void)snprintf(line, sizeof line, "%s [%s] %3d%%  %s%s  %s/s  %s%s%.160s", p->what, bar, (int)(share * 100), total, p->unit,
                   rate, left, note != NULL && note[0] != '\0' ? "  " : "", note != NULL ? note : "");
    if (!p->is_terminal) {
        (void)fprintf(stderr, "%s\n", line);
        return;
    }
    line[af_tty_columns(STDERR) < sizeof line ? af_tty_columns(STDERR) - 1 : sizeof line - 1] = '\0';
    (void)fprintf(stderr, "\r%s%s%s\033[K", p->has_colour ? "\033[36m" : "", line, p->has_colour ? "\033[0m" : "");
    (void)fflush(stderr);
    p->has_line = true;
}

void af_progress_free(struct af_progress *progress)
{
    if (progress == NULL)
        return;
    if (progress->has_line)
        (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    af_free(progress);
}
