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

/* A set like [a-z0-9] or [!.]; `*pattern` is after its '['. False: it is none, and '[' is a letter. */
static bool match_set(const char **pattern, unsigned char c, bool *out_hit)
{
    const char *at = *pattern;
    bool is_negated = *at == '!' || *at == '^';
    bool hit = false;
    at += is_negated;
    for (bool is_first = true; *at != ']' || is_first; is_first = false) {
        if (*at == '\0')
            return false;
        unsigned char low = (unsigned char)*at++;
        unsigned char high = low;
        if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
            high = (unsigned char)at[1];
            at += 2;
        }
        hit = hit || (c >= low && c <= high);
    }
    *pattern = at + 1;
    *out_hit = hit != is_negated;
    return true;
}

static size_t character(const char *text) /* of UTF-8, as far as it is that */
{
    size_t n = 1;
    while (((unsigned char)text[0] & 0xc0) == 0xc0 && ((unsigned char)text[n] & 0xc0) == 0x80 && n < 4)
        n++;
    return n;
}

/* One letter of the pattern against the text; both go on. */
static bool match_one(const char **pattern, const char **text)
{
    char p = *(*pattern)++;
    char c = **text;
    bool hit;
    if (p == '?' || p == '[') {
        size_t n = p == '?' ? character(*text) : 1;
        if (p == '[' && !match_set(pattern, (unsigned char)c, &hit))
            hit = c == '[';
        else if (p == '?')
            hit = true;
        *text += n;
        return hit && c != '/';
    }
    if (p == '\\' && **pattern != '\0')
        p = *(*pattern)++;
    ++*text;
    return p == c;
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
    bool found; /* EXACT: the object, and the walk is over */
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

/* Its status, which the caller knows how to read, ends a walk that has found what it looked for. */
static enum af_status stop_walk(struct listing *l)
{
    l->found = true;
    return AF_ECANCELED;
}

static enum af_status each(void *ctx, const struct af_s3_object *object, struct af_error *err)
{
    struct listing *l = ctx;
    bool is_it = strcmp(object->key, l->name->key) == 0;
    switch (l->kind) {
    case EXACT: /* keys ascend: if it is there it is the first */
        if (is_it)
            AF_TRY(add_object(l, object, true, err));
        return is_it ? stop_walk(l) : AF_ECANCELED;
    case BELOW:
        return is_passed_over(object->key, strlen(l->name->key)) ? AF_OK : add_object(l, object, false, err);
    case PATTERN:
        break;
    }
    return !is_it && !af_source_matches(l->name->key, object->key) ? AF_OK : add_object(l, object, true, err);
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
    if (l->found || status == AF_OK)
        return AF_OK;
    if (status == AF_ECANCELED && why.status == AF_OK) /* each, at the first key that was another */
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
