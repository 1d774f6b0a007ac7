/*
 * list.c - which queries run: SHOW QUERIES shows them, KILL QUERY sets the flag that each of them polls.
 *
 *     KILL QUERY ----------------------.
 *     client gone, deadline -- watcher -+--> running->is_stopped <-- polled by exec and, inside of long scans and folds, by stores
 *
 * One lock around the list; entries belong to the thread that runs the query and are unlinked by it. The watcher is a thread that looks
 * WATCH_MS apart while there is something to watch and a little longer, then sleeps until the next query comes.
 */
#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"
#include "query/query_int.h"

enum { WATCH_MS = 50, IDLE_LOOKS = 20 };

struct query_running {
    struct query_running *next;
    uint64_t id;
    char *text, *database, *user;
    int64_t start_mono_ns;
    const bool *gone;                    /* its client is; NULL: nobody tells */
    int64_t deadline_mono_ns;            /* 0: none */
    bool is_killed, is_stopped;          /* atomic access only; killed is stopped too */
};
struct af_query_list {
    struct af_mutex lock;
    struct af_cond wake;                 /* the watcher */
    struct af_thread watcher;
    bool has_watcher, is_watcher_asleep, is_ending;
    struct query_running *first, *last;
    uint64_t next_id;
    unsigned running_max;
    struct af_query_counts counts;
};

struct af_query_list *af_query_list_new(unsigned running_max)
{
    struct af_query_list *list = af_alloc_zero(1, sizeof *list);
    if (list == NULL)
        return NULL;
    af_mutex_init(&list->lock);
    af_cond_init(&list->wake);
    list->next_id = 1;
    list->running_max = running_max;
    return list;
}

void af_query_list_free(struct af_query_list *list)
{
    if (list == NULL)
        return;
    af_mutex_lock(&list->lock);
    list->is_ending = true;
    af_cond_signal(&list->wake);
    af_mutex_unlock(&list->lock);
    af_thread_join(&list->watcher);
    af_cond_done(&list->wake);
    af_mutex_done(&list->lock);
    af_free(list);
}

void af_query_list_counts(struct af_query_list *list, struct af_query_counts *out)
{
    af_mutex_lock(&list->lock);
    *out = list->counts;
    af_mutex_unlock(&list->lock);
}

/* --- the watcher ---------------------------------------------------------------------------------------------------------------------- */

static bool is_watched(const struct query_running *running)
{
    return running->gone != NULL || running->deadline_mono_ns != 0;
}

/* When to look again; *out_any: there is something to watch. */
static int64_t look_locked(struct af_query_list *list, int64_t now_ns, bool *out_any)
{
    int64_t next_ns = now_ns + WATCH_MS * INT64_C(1000000);
    *out_any = false;
    for (struct query_running *r = list->first; r != NULL; r = r->next) {
        if (!is_watched(r) || __atomic_load_n(&r->is_stopped, __ATOMIC_RELAXED))
            continue;
        *out_any = true;
        bool is_late = r->deadline_mono_ns != 0 && now_ns >= r->deadline_mono_ns;
        if (is_late || (r->gone != NULL && __atomic_load_n(r->gone, __ATOMIC_RELAXED)))
            __atomic_store_n(&r->is_stopped, true, __ATOMIC_RELAXED);
        else if (r->deadline_mono_ns != 0 && r->deadline_mono_ns < next_ns)
            next_ns = r->deadline_mono_ns;
    }
    return next_ns;
}

static void watch(void *ctx)
{
    struct af_query_list *list = ctx;
    unsigned idle = 0;
    af_mutex_lock(&list->lock);
    while (!list->is_ending) {
        bool any;
        int64_t next_ns = look_locked(list, af_clock_mono_ns(), &any);
        idle = any ? 0 : idle + 1;
        list->is_watcher_asleep = idle > IDLE_LOOKS;
        if (list->is_watcher_asleep)
            af_cond_wait(&list->wake, &list->lock);
        else
            (void)af_cond_wait_until(&list->wake, &list->lock, next_ns);
    }
    af_mutex_unlock(&list->lock);
}

/* Without a thread for it, a query still looks for itself, between batches. */
static void be_watched_locked(struct af_query_list *list, const struct query_running *running)
{
    if (!is_watched(running))
        return;
    if (!list->has_watcher)
        list->has_watcher = af_thread_start(&list->watcher, "query-watch", watch, list, NULL) == AF_OK;
    else if (list->is_watcher_asleep)
        af_cond_signal(&list->wake);
}

/* --- coming and going ----------------------------------------------------------------------------------------------------------------- */

static char *copy_text(struct af_slice text)
{
    char *copy = af_alloc(text.len + 1);
    if (copy == NULL)
        return NULL;
    if (text.len != 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

static void free_entry(struct query_running *running)
{
    af_free(running->text);
    af_free(running->database);
    af_free(running->user);
    af_free(running);
}

static struct query_running *new_entry(struct af_slice text, const struct af_query_request *request, int64_t deadline_mono_ns)
{
    struct query_running *running = af_alloc_zero(1, sizeof *running);
    if (running == NULL)
        return NULL;
    running->text = copy_text(text);
    running->database = copy_text(af_slice_of(request->database != NULL ? request->database : ""));
    running->user = copy_text(af_slice_of(request->user != NULL ? request->user : ""));
    if (running->text == NULL || running->database == NULL || running->user == NULL) {
        free_entry(running);
        return NULL;
    }
    running->start_mono_ns = af_clock_mono_ns();
    running->gone = request->cancel;
    running->deadline_mono_ns = deadline_mono_ns;
    return running;
}

static bool link_entry(struct af_query_list *list, struct query_running *running)
{
    af_mutex_lock(&list->lock);
    bool fits = list->running_max == 0 || list->counts.running < list->running_max;
    if (fits) {
        running->id = list->next_id++;
        list->counts.running++;
        if (list->last != NULL)
            list->last->next = running;
        else
            list->first = running;
        list->last = running;
        be_watched_locked(list, running);
    } else {
        list->counts.refused++;
    }
    af_mutex_unlock(&list->lock);
    return fits;
}

enum af_status query_list_enter(struct af_query_list *list, struct af_slice text, const struct af_query_request *request,
                                int64_t deadline_mono_ns, struct query_running **out, struct af_error *err)
{
    *out = NULL;
    if (list == NULL)
        return AF_OK;
    struct query_running *running = new_entry(text, request, deadline_mono_ns);
    if (running == NULL)
        return af_fail_nomem(err, "a query");
    if (!link_entry(list, running)) {
        free_entry(running);
        return af_fail(err, AF_EBUSY, "max-concurrent-queries limit exceeded(%u, %u)", list->running_max, list->running_max);
    }
    *out = running;
    return AF_OK;
}

const bool *query_running_stopped(const struct query_running *running)
{
    return running != NULL ? &running->is_stopped : NULL;
}

bool query_running_is_killed(const struct query_running *running)
{
    return running != NULL && __atomic_load_n(&running->is_killed, __ATOMIC_RELAXED);
}

void query_list_leave(struct af_query_list *list, struct query_running *running, bool failed)
{
    struct query_running *before = NULL;
    if (running == NULL)
        return;
    af_mutex_lock(&list->lock);
    for (struct query_running *r = list->first; r != running; r = r->next)
        before = r;
    if (before != NULL)
        before->next = running->next;
    else
        list->first = running->next;
    if (list->last == running)
        list->last = before;
    list->counts.running--;
    if (running->is_killed)
        list->counts.killed++;
    else if (failed)
        list->counts.failed++;
    else
        list->counts.done++;
    af_mutex_unlock(&list->lock);
    free_entry(running);
}

/* --- asking --------------------------------------------------------------------------------------------------------------------------- */

/* As InfluxDB rounds it: to its largest unit. */
static const char *duration_text(struct af_arena *arena, int64_t ns)
{
    static const struct {
        int64_t unit_ns;
        const char *name;
    } units[] = { { 3600 * AF_NS_PER_S, "h" }, { 60 * AF_NS_PER_S, "m" }, { AF_NS_PER_S, "s" }, { 1000000, "ms" }, { 1000, "µs" } };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (ns >= units[i].unit_ns)
            return af_arena_printf(arena, "%lld%s%s", (long long)(ns / units[i].unit_ns), units[i].name, i == 0 ? "0m0s" : i == 1 ? "0s"
                                   : "");
    return af_arena_printf(arena, "%lldns", (long long)ns);
}

static void show_one(struct af_made *made, struct af_arena *arena, const struct query_running *running, int64_t now_ns)
{
    const char *texts[] = { running->text, running->database, duration_text(arena, now_ns - running->start_mono_ns) };
    af_made_cell(made, af_value_i64((int64_t)running->id));
    for (size_t i = 0; i < 3; i++) {
        const char *copy = texts[i] != NULL ? af_arena_copy(arena, af_slice_of(texts[i])) : NULL;
        af_made_cell(made, af_value_text(af_slice_of(copy != NULL ? copy : "")));
    }
    af_made_cell(made, af_value_text(__atomic_load_n(&running->is_killed, __ATOMIC_RELAXED) ? AF_SLICE_LIT("killed")
                                     : AF_SLICE_LIT("running")));
}

enum af_status query_list_show(struct af_query_list *list, struct af_arena *arena, struct af_tables **out, struct af_error *err)
{
    static const char *const columns[] = { "qid", "query", "database", "duration", "status" };
    struct af_made *made = af_made_new(arena);
    int64_t now_ns = af_clock_mono_ns();
    if (made == NULL)
        return af_fail_nomem(err, "a list of queries");
    af_made_begin(made, NULL, 5, columns);
    if (list != NULL) {
        af_mutex_lock(&list->lock);
        for (const struct query_running *r = list->first; r != NULL; r = r->next)
            show_one(made, arena, r, now_ns);
        af_mutex_unlock(&list->lock);
    }
    return af_made_finish(made, out, err);
}

enum af_status query_list_kill(struct af_query_list *list, uint64_t id, struct af_error *err)
{
    bool found = false, was_killed = false;
    if (list != NULL) {
        af_mutex_lock(&list->lock);
        for (struct query_running *r = list->first; r != NULL && !found; r = r->next) {
            if (r->id != id)
                continue;
            found = true;
            was_killed = __atomic_exchange_n(&r->is_killed, true, __ATOMIC_RELAXED);
            __atomic_store_n(&r->is_stopped, true, __ATOMIC_RELAXED);
        }
        af_mutex_unlock(&list->lock);
    }
    if (!found)
        return af_fail(err, AF_ENOTFOUND, "no such query id: %llu", (unsigned long long)id);
    return was_killed ? af_fail(err, AF_ECONFLICT, "query %llu is already killed", (unsigned long long)id) : AF_OK;
}
