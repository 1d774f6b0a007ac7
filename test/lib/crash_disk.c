/*
 * crash_disk.c - see crash_disk.h.
 *
 * Events are kept as they came. A state is made by replaying them into a small model of a file system: nodes (files, directories) that know
 * their durable content and what happened to them since; then chance decides what of the rest is there, and the durable tree is written
 * out.
 */
#include "test/lib/crash_disk.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/prng.h"
#include "os/file.h"
#include "os/observe.h"
#include "os/thread.h"
#include "os/tree.h"
#include <stdio.h>
#include <stdlib.h>

struct event {
    enum af_os_change change;
    char *path, *other;      /* below the root, without it; "" is the root itself */
    uint64_t offset;
    char *bytes;
    size_t len;
};

struct crash_disk {
    char *root;
    struct af_mutex lock;
    struct event *events;
    size_t count, cap;
};

static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static char *copy(const void *bytes, size_t len)
{
    char *out = must(malloc(len + 1));
    if (len != 0)
        memcpy(out, bytes, len);
    out[len] = '\0';
    return out;
}

/* The path below the root, or NULL: it is elsewhere. */
static char *below(const struct crash_disk *disk, const char *path)
{
    size_t len = strlen(disk->root);
    if (path == NULL || strncmp(path, disk->root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    path += len;
    while (*path == '/')
        path++;
    return copy(path, strlen(path));
}

static void observe(void *ctx, const struct af_os_event *e)
{
    struct crash_disk *disk = ctx;
    char *path = below(disk, e->path);
    if (path == NULL)
        return;
    af_mutex_lock(&disk->lock);
    if (disk->count == disk->cap) {
        disk->cap = disk->cap == 0 ? 1024 : disk->cap * 2;
        disk->events = must(realloc(disk->events, disk->cap * sizeof *disk->events));
    }
    disk->events[disk->count++] = (struct event){ .change = e->change, .path = path, .other = below(disk, e->other), .offset = e->offset,
                                                  .bytes = copy(e->bytes.ptr, e->bytes.len), .len = e->bytes.len };
    af_mutex_unlock(&disk->lock);
}

struct crash_disk *crash_disk_new(const char *root)
{
    struct crash_disk *disk = must(calloc(1, sizeof *disk));
    disk->root = copy(root, strlen(root));
    af_mutex_init(&disk->lock);
    af_os_observe(observe, disk);
    return disk;
}

void crash_disk_stop(struct crash_disk *disk)
{
    (void)disk;
    af_os_observe(NULL, NULL);
}

void crash_disk_free(struct crash_disk *disk)
{
    crash_disk_stop(disk);
    for (size_t i = 0; i < disk->count; i++) {
        free(disk->events[i].path);
        free(disk->events[i].other);
        free(disk->events[i].bytes);
    }
    free(disk->events);
    af_mutex_done(&disk->lock);
    free(disk->root);
    free(disk);
}

size_t crash_disk_moment(const struct crash_disk *disk)
{
    return disk->count;
}

/* --- the model ------------------------------------------------------------------------------------------------------------------ */

struct pending {          /* a change that is not durable yet */
    const struct event *event; /* of a file: WROTE, CUT */
    char *name;           /* of a directory: the name that changes */
    struct node *child;   /* what it then means; NULL: nothing */
    size_t group;         /* changes of one group survive together: both names of a rename within a directory */
};
struct node {
    bool is_dir;
    struct af_buf durable;      /* a file's bytes */
    struct entry {
        char *name;
        struct node *child;
    } *names, *durable_names;   /* a directory's: as the program sees them, as a crash may show them */
    size_t name_count, durable_count;
    struct pending *pending;
    size_t pending_count;
    struct node *next;          /* of all nodes */
    bool is_built;              /* a directory: written out (a node that two names mean is written twice) */
};
struct world {
    struct node *all;
    struct node *root;
    size_t groups;
};

static struct node *node_new(struct world *world, bool is_dir)
{
    struct node *node = must(calloc(1, sizeof *node));
    node->is_dir = is_dir;
    af_buf_init(&node->durable, SIZE_MAX / 2);
    node->next = world->all;
    world->all = node;
    return node;
}

static void world_free(struct world *world)
{
    for (struct node *node = world->all, *next; node != NULL; node = next) {
        next = node->next;
        for (size_t i = 0; i < node->name_count; i++)
            free(node->names[i].name);
        for (size_t i = 0; i < node->durable_count; i++)
            free(node->durable_names[i].name);
        for (size_t i = 0; i < node->pending_count; i++)
            free(node->pending[i].name);
        free(node->names);
        free(node->durable_names);
        free(node->pending);
        af_buf_done(&node->durable);
        free(node);
    }
}

static struct entry *find_name(struct entry *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}

/* Make `name` mean `child` (NULL: nothing) in one of the two lists. */
static void set_name(struct entry **names, size_t *count, const char *name, struct node *child)
{
    struct entry *found = find_name(*names, *count, name);
    if (found != NULL && child != NULL) {
        found->child = child;
    } else if (found != NULL) {
        free(found->name);
        *found = (*names)[--*count];
    } else if (child != NULL) {
        *names = must(realloc(*names, (*count + 1) * sizeof **names));
        (*names)[(*count)++] = (struct entry){ copy(name, strlen(name)), child };
    }
}

static void add_pending(struct node *node, struct pending pending)
{
    node->pending = must(realloc(node->pending, (node->pending_count + 1) * sizeof *node->pending));
    node->pending[node->pending_count++] = pending;
}

static void change_name(struct node *dir, const char *name, struct node *child, size_t group)
{
    set_name(&dir->names, &dir->name_count, name, child);
    add_pending(dir, (struct pending){ .name = copy(name, strlen(name)), .child = child, .group = group });
}

/* The directory that holds `path`, and its last part. */
static struct node *parent_of(struct world *world, const char *path, const char **out_name)
{
    struct node *dir = world->root;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char *part = copy(path, (size_t)(slash - path));
        struct entry *found = find_name(dir->names, dir->name_count, part);
        free(part);
        if (found == NULL || !found->child->is_dir)
            return NULL;
        dir = found->child;
    }
    *out_name = path;
    return dir;
}

static struct node *find(struct world *world, const char *path)
{
    if (*path == '\0')
        return world->root;
    const char *name;
    struct node *dir = parent_of(world, path, &name);
    struct entry *found = dir != NULL ? find_name(dir->names, dir->name_count, name) : NULL;
    return found != NULL ? found->child : NULL;
}

static void apply_bytes(struct af_buf *bytes, const struct event *e, size_t from, size_t to)
{
    if (e->change == AF_OS_CUT) {
        if (bytes->len > e->offset)
            bytes->len = (size_t)e->offset;
        else
            while (bytes->len < e->offset)
                af_buf_append_char(bytes, '\0');
        return;
    }
    if (from >= to)
        return;
    while (bytes->len < e->offset + from)
        af_buf_append_char(bytes, '\0');
    size_t end = (size_t)e->offset + to;
    size_t over = bytes->len < end ? bytes->len - (size_t)(e->offset + from) : to - from;
    if (over != 0)
        memcpy(bytes->ptr + e->offset + from, e->bytes + from, over);
    af_buf_append(bytes, e->bytes + from + over, to - from - over);
}

static void sync_node(struct node *node)
{
    for (size_t i = 0; i < node->pending_count; i++) {
        struct pending *p = &node->pending[i];
        if (node->is_dir)
            set_name(&node->durable_names, &node->durable_count, p->name, p->child);
        else
            apply_bytes(&node->durable, p->event, 0, p->event->len);
        free(p->name);
    }
    node->pending_count = 0;
}

static void moved(struct world *world, const struct event *e)
{
    const char *from_name, *to_name;
    struct node *from = parent_of(world, e->path, &from_name);
    struct node *to = e->other != NULL ? parent_of(world, e->other, &to_name) : NULL;
    struct node *child = find(world, e->path);
    if (from == NULL || to == NULL || child == NULL)
        abort(); /* something changed a file under a name that it does not have any more */
    size_t group = ++world->groups;
    change_name(to, to_name, child, group);
    if (e->change == AF_OS_RENAMED)
        change_name(from, from_name, NULL, group);
}

static void made(struct world *world, const struct event *e, bool is_dir)
{
    const char *name;
    if (*e->path == '\0' || find(world, e->path) != NULL)
        return;
    struct node *dir = parent_of(world, e->path, &name);
    if (dir != NULL)
        change_name(dir, name, node_new(world, is_dir), ++world->groups);
}

static void replay(struct world *world, const struct event *e)
{
    const char *name;
    struct node *node = find(world, e->path);
    switch (e->change) {
    case AF_OS_OPENED: made(world, e, false); break;
    case AF_OS_MADE_DIR: made(world, e, true); break;
    case AF_OS_WROTE:
    case AF_OS_CUT:
        if (node == NULL)
            abort();
        add_pending(node, (struct pending){ .event = e });
        break;
    case AF_OS_SYNCED:
    case AF_OS_SYNCED_DIR:
        if (node != NULL)
            sync_node(node);
        break;
    case AF_OS_RENAMED:
    case AF_OS_LINKED: moved(world, e); break;
    case AF_OS_REMOVED: {
        struct node *dir = *e->path != '\0' ? parent_of(world, e->path, &name) : NULL;
        if (dir != NULL)
            change_name(dir, name, NULL, ++world->groups);
        break;
    }
    }
}

/* --- chance ----------------------------------------------------------------------------------------------------------------------- */

enum { SECTOR = 512 };

static void some_bytes(struct node *node, const struct event *e, struct af_prng *prng, unsigned permille)
{
    if (af_prng_below(prng, 1000) >= permille)
        return;
    if (e->change == AF_OS_CUT || af_prng_below(prng, 4) != 0) {
        apply_bytes(&node->durable, e, 0, e->len);
        return;
    }
    for (size_t at = 0; at < e->len;) { /* torn: sector by sector, where the disk has its borders */
        size_t step = SECTOR - (size_t)((e->offset + at) % SECTOR);
        size_t end = at + step < e->len ? at + step : e->len;
        if (af_prng_below(prng, 2) != 0)
            apply_bytes(&node->durable, e, at, end);
        at = end;
    }
}

static bool group_survives(uint64_t seed, size_t group, unsigned permille)
{
    struct af_prng prng = { seed ^ (group * UINT64_C(0x9E3779B97F4A7C15)) };
    return af_prng_below(&prng, 1000) < permille;
}

static void crash_node(struct node *node, struct af_prng *prng, uint64_t seed, unsigned permille)
{
    for (size_t i = 0; i < node->pending_count; i++) {
        struct pending *p = &node->pending[i];
        if (!node->is_dir)
            some_bytes(node, p->event, prng, permille);
        else if (group_survives(seed, p->group, permille))
            set_name(&node->durable_names, &node->durable_count, p->name, p->child);
        free(p->name);
    }
    node->pending_count = 0;
}

/* --- writing it out ------------------------------------------------------------------------------------------------------------------ */

static void write_file(const char *path, const struct af_buf *bytes)
{
    FILE *file = must(fopen(path, "wb"));
    if (bytes->len != 0 && fwrite(bytes->ptr, 1, bytes->len, file) != bytes->len)
        abort();
    (void)fclose(file);
}

static void write_dir(const struct node *dir, const char *path)
{
    if (af_dir_make(path, NULL) != AF_OK)
        abort();
    for (size_t i = 0; i < dir->durable_count; i++) {
        const struct entry *e = &dir->durable_names[i];
        size_t len = strlen(path) + strlen(e->name) + 2;
        char *name = must(malloc(len));
        (void)snprintf(name, len, "%s/%s", path, e->name);
        if (e->child->is_dir)
            write_dir(e->child, name);
        else
            write_file(name, &e->child->durable);
        free(name);
    }
}

void crash_disk_build(const struct crash_disk *disk, size_t moment, uint64_t seed, const char *to)
{
    static const unsigned chances[] = { 0, 300, 700, 950, 1000 };
    struct world world = { 0 };
    struct af_prng prng = { seed };
    unsigned permille = chances[af_prng_below(&prng, sizeof chances / sizeof chances[0])];
    world.root = node_new(&world, true);
    for (size_t i = 0; i < moment && i < disk->count; i++)
        replay(&world, &disk->events[i]);
    for (struct node *node = world.all; node != NULL; node = node->next)
        crash_node(node, &prng, seed, permille);
    if (af_dir_remove(to, NULL) != AF_OK)
        abort();
    write_dir(world.root, to);
    world_free(&world);
}
