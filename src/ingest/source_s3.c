/*
 * source_s3.c - objects of S3 as sources: which an argument names, and their bytes at random and in sequence.
 *
 *     s3://b/data/2024.parquet     an object of exactly that name, else
 *     s3://b/data                  all objects below data/ (never data2/...), as those of a directory
 *     s3://b/data/ (or s3://b)     the same
 *     s3://b/data/y=20[12]?.csv    objects whose key matches; * and ? stop at a slash
 *
 * What is listed is what is read: name, size, time and ETag of an object are those of the listing, and another version is not read.
 */
#include "aws/s3.h"
#include "base/limits.h"
#include "ingest/source_int.h"
#include <assert.h>
#include <stdlib.h>

/* --- patterns ---------------------------------------------------------------------------------------------------------------- */

/* The next letter: a character of UTF-8, or a byte that belongs to none. */
static uint32_t letter(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    size_t more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc0 ? 1 : 0;
    uint32_t value = more != 0 ? at[0] & (0x3fu >> more) : at[0];
    for (size_t i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return ++*text, 0x110000u + at[0];
        value = value << 6 | (at[i] & 0x3fu);
    }
    *text += more + 1;
    return value;
}

/* A set like [a-z0-9] or [!.]; `*pattern` is after its '['. False: it is none, and '[' is a letter. */
static bool match_set(const char **pattern, uint32_t c, bool *out_hit)
{
    const char *at = *pattern;
    bool is_negated = *at == '!' || *at == '^';
    bool hit = false;
    at += is_negated;
    for (bool is_first = true; *at != ']' || is_first; is_first = false) {
        if (*at == '\0')
            return false;
        uint32_t low = letter(&at);
        uint32_t high = low;
        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            at++;
            high = letter(&at);
        }
        hit = hit || (c >= low && c <= high);
    }
    *pattern = at + 1;
    *out_hit = hit != is_negated;
    return true;
}

/* One letter of the pattern against the text; both go on. */
static bool match_one(const char **pattern, const char **text)
{
    uint32_t c = letter(text);
    bool hit;
    if (**pattern == '?')
        return ++*pattern, c != '/';
    if (**pattern == '[') {
        const char *inside = *pattern + 1;
        if (match_set(&inside, c, &hit))
            return *pattern = inside, hit && c != '/';
    } else if (**pattern == '\\' && (*pattern)[1] != '\0') {
        ++*pattern;
    }
    return letter(pattern) == c;
}

bool af_source_matches(const char *pattern, const char *text)
{
    const char *star = NULL; /* the last one, and where in the text it may end */
    const char *star_text = NULL;
    while (*text != '\0' || *pattern != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            star_text = text;
            continue;
        }
        if (*text != '\0' && *pattern != '\0' && match_one(&pattern, &text))
            continue;
        if (star == NULL || *star_text == '\0' || *star_text == '/')
            return false;
        pattern = star;
        text = ++star_text;
    }
    return true;
}

/* --- listing ----------------------------------------------------------------------------------------------------------------- */

enum kind { EXACT, BELOW, PATTERN };

struct listing {
    struct af_source_collector *c;
    struct af_s3 *s3;
    const struct af_s3_name *name;
    enum kind kind;
    bool found;   /* EXACT: the object */
    bool is_over; /* EXACT: the first key told all */
};

/* As with directories: Spark's _SUCCESS and _temporary, .crc files, and objects that stand for folders. */
static bool is_passed_over(const char *key, size_t below)
{
    size_t len = strlen(key);
    if (len == 0 || key[len - 1] == '/')
        return true;
    for (size_t at = below; at < len; at++)
        if ((at == below || key[at - 1] == '/') && (key[at] == '.' || key[at] == '_'))
            return true;
    return false;
}

static enum af_status format_of_object(const struct listing *l, const struct af_s3_object *object, enum af_source_format *out,
                                       struct af_error *err)
{
    struct af_reader *reader;
    char head[4] = { 0 };
    AF_TRY(af_s3_reader_open(l->s3, l->name->bucket, object->key, object, &reader, err));
    enum af_status status = af_reader_read(reader, 0, head, object->bytes < sizeof head ? (size_t)object->bytes : sizeof head, err);
    af_reader_close(reader);
    *out = af_source_format_by_bytes(head);
    return status;
}

static enum af_status add_object(struct listing *l, const struct af_s3_object *object, bool any_format, struct af_error *err)
{
    struct af_source source = { .bytes = object->bytes, .mtime_ns = object->mtime_ns, .s3 = l->s3 };
    if (!af_source_format_by_name(object->key, &source.format)) {
        if (!any_format)
            return AF_OK;
        AF_TRY(format_of_object(l, object, &source.format, err));
    }
    source.path = af_arena_printf(&l->c->list->arena, "s3://%s/%s", l->name->bucket, object->key);
    if (source.path == NULL)
        return af_fail_nomem(err, "the list of sources");
    memcpy(source.etag, object->etag, sizeof source.etag);
    return af_source_append(l->c, &source, err);
}

/* Keys ascend: if the object is there it is the first. */
static enum af_status look_at_first(struct listing *l, const struct af_s3_object *object, struct af_error *err)
{
    if (strcmp(object->key, l->name->key) == 0) {
        AF_TRY(add_object(l, object, true, err));
        l->found = true;
    }
    l->is_over = true;
    return AF_ECANCELED; /* a walk ends by a failure */
}

static enum af_status each(void *ctx, const struct af_s3_object *object, struct af_error *err)
{
    struct listing *l = ctx;
    switch (l->kind) {
    case EXACT:
        return look_at_first(l, object, err);
    case BELOW:
        return is_passed_over(object->key, strlen(l->name->key)) ? AF_OK : add_object(l, object, false, err);
    case PATTERN:
        break;
    }
    bool is_it = strcmp(object->key, l->name->key) == 0 || af_source_matches(l->name->key, object->key);
    return is_it ? add_object(l, object, true, err) : AF_OK;
}

static enum af_status walk(struct listing *l, const char *prefix, struct af_error *err)
{
    return af_s3_list(l->s3, l->name->bucket, prefix, l->c->from->cancel, each, l, err);
}

/* Who may read an object but not list its bucket can still name it. */
static enum af_status add_known(struct listing *l, struct af_error *err)
{
    struct af_s3_object object;
    AF_TRY(af_s3_head(l->s3, l->name->bucket, l->name->key, NULL, &object, err));
    return add_object(l, &object, true, err);
}

static enum af_status add_exact(struct listing *l, struct af_error *err)
{
    struct af_error why = { 0 };
    l->kind = EXACT;
    enum af_status status = walk(l, l->name->key, &why);
    if (status == AF_EDENIED && add_known(l, NULL) == AF_OK)
        return l->found = true, AF_OK;
    if (l->is_over || status == AF_OK)
        return AF_OK;
    if (err != NULL)
        *err = why;
    return status;
}

static enum af_status add_below(struct listing *l, struct af_error *err)
{
    struct af_s3_name below = *l->name;
    size_t len = strlen(below.key);
    if (len != 0 && below.key[len - 1] != '/') {
        if (len + 1 >= sizeof below.key)
            return AF_OK;
        memcpy(below.key + len, "/", 2);
    }
    struct listing inside = { .c = l->c, .s3 = l->s3, .name = &below, .kind = BELOW };
    return walk(&inside, below.key, err);
}

static enum af_status add_matching(struct listing *l, struct af_error *err)
{
    char prefix[sizeof l->name->key];
    size_t len = strcspn(l->name->key, "*?[\\");
    memcpy(prefix, l->name->key, len);
    prefix[len] = '\0';
    l->kind = PATTERN;
    return walk(l, prefix, err);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct af_source *)a)->path, ((const struct af_source *)b)->path);
}

/* S3 lists in bytewise order, and not every service that speaks like it does. */
static void sort_from(struct af_source_list *list, size_t first)
{
    if (list->count - first > 1)
        qsort(list->items + first, list->count - first, sizeof *list->items, compare_paths);
}

static enum af_status list_name(struct af_source_collector *c, const char *arg, const struct af_s3_name *name, struct af_error *err)
{
    struct listing l = { .c = c, .s3 = c->s3, .name = name };
    size_t before = c->list->count;
    size_t len = strlen(name->key);
    bool is_pattern = strpbrk(name->key, "*?[") != NULL;
    enum af_status status = AF_OK;
    if (is_pattern)
        status = add_matching(&l, err);
    else if (len != 0 && name->key[len - 1] != '/')
        status = add_exact(&l, err);
    if (status == AF_OK && !is_pattern && !l.found)
        status = add_below(&l, err);
    if (status == AF_EINVAL) { /* the service's word, not that of the command line */
        status = AF_EUNSUPPORTED;
        if (err != NULL)
            err->status = status;
    }
    AF_TRY(status);
    sort_from(c->list, before);
    if (c->list->count != before)
        return AF_OK;
    if (is_pattern)
        return af_fail(err, AF_ENOTFOUND, "%s: no object matches", arg);
    return af_fail(err, AF_ENOTFOUND, "%s: no such object, and no .parquet, .csv or .lp object below it", arg);
}

enum af_status af_source_add_s3(struct af_source_collector *c, const char *arg, struct af_error *err)
{
    struct af_s3_name name;
    AF_TRY(af_s3_name_parse(arg, &name, err));
    if (c->from == NULL || c->from->s3 == NULL)
        return af_fail(err, AF_EUNSUPPORTED, "%s: objects of S3 cannot be read here", arg);
    if (c->s3 == NULL)
        AF_TRY(c->from->s3(c->from->ctx, &c->s3, err));
    return list_name(c, arg, &name, err);
}

/* --- bytes ------------------------------------------------------------------------------------------------------------------- */

enum af_status af_source_s3_reader(const struct af_source *source, struct af_reader **out, struct af_error *err)
{
    struct af_s3_name name;
    AF_TRY(af_s3_name_parse(source->path, &name, err));
    struct af_s3_object known = { .key = name.key, .bytes = source->bytes, .mtime_ns = source->mtime_ns };
    memcpy(known.etag, source->etag, sizeof known.etag);
    return af_s3_reader_open(source->s3, name.bucket, name.key, &known, out, err);
}

/* --- ahead ------------------------------------------------------------------------------------------------------------------- */

/* What opening reads first: the end and the beginning of Parquet, the beginning of text. A small object comes whole. */
static void announce_first(const struct af_source *source, struct af_reader *reader)
{
    enum { FOOTER = 64 << 10, MARK = 4, TEXT = 1 << 20 };
    const uint64_t size = reader->size;
    const struct af_range text = { 0, TEXT };
    const struct af_range ends[] = { { size < FOOTER ? 0 : size - FOOTER, FOOTER }, { 0, MARK } };
    if (source->format == AF_SOURCE_PARQUET)
        af_reader_will_need(reader, ends, 2);
    else
        af_reader_will_need(reader, &text, 1);
}

void af_source_ahead_look(struct af_source_ahead *ahead, const struct af_source_list *list, size_t now)
{
    if (ahead->next < now)
        ahead->next = now;
    for (; ahead->next < list->count && ahead->next - now < AF_SOURCES_AHEAD; ahead->next++) {
        const struct af_source *source = &list->items[ahead->next];
        struct af_reader **place = &ahead->readers[ahead->next % AF_SOURCES_AHEAD];
        af_reader_close(*place); /* of one that failed before it was taken */
        if (source->s3 == NULL || source->bytes == 0 || af_source_s3_reader(source, place, NULL) != AF_OK)
            *place = NULL; /* its turn comes, and tells */
        else
            announce_first(source, *place);
    }
}

struct af_reader *af_source_ahead_take(struct af_source_ahead *ahead, size_t index)
{
    struct af_reader **place = &ahead->readers[index % AF_SOURCES_AHEAD];
    struct af_reader *reader = *place;
    *place = NULL;
    return reader;
}

void af_source_ahead_done(struct af_source_ahead *ahead)
{
    for (size_t i = 0; i < AF_SOURCES_AHEAD; i++) {
        af_reader_close(ahead->readers[i]);
        ahead->readers[i] = NULL;
    }
}
