/*
 * index.c - the one pass over a TSM index when a file is opened: everything is checked that searching relies on, and a sample of
 * the keys' places is kept.
 *
 * A sample is taken when STEP bytes of index have gone by since the last one, and 32 times the bytes of its separator: so the text of
 * all samples is at most 1/32 of the index, whatever the keys. In practice a sample costs 12 bytes and a few of text, for about 85 keys:
 * neighbours share long starts, which a group of 64 samples keeps once (close_group).
 */
#include "base/alloc.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"

enum { STEP = 8 << 10, TEXT_SHARE = 32, PIECE = 128 << 10 };

/* What the scan carries from entry to entry. */
struct scan {
    struct af_tsm_file *file;
    struct af_tsm_window window;
    char *key; /* the one in front */
    size_t key_len;
};

static size_t common_length(struct af_slice a, struct af_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    size_t i = 0;
    while (i < n && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

/* --- samples --------------------------------------------------------------------------------------------------------------- */

static size_t text_end(const struct af_tsm_file *file, size_t i)
{
    if (i + 1 == file->sample_count)
        return file->text.len;
    return (i + 1) % AF_TSM_SAMPLE_GROUP == 0 ? file->prefixes[(i + 1) / AF_TSM_SAMPLE_GROUP] : file->samples[i + 1].text;
}

static struct af_slice text_of(const struct af_tsm_file *file, size_t i)
{
    return af_slice_make(file->text.ptr + file->samples[i].text, text_end(file, i) - file->samples[i].text);
}

/* Cut what all separators of the last group begin with: they ascend, so what the first and last share. */
static void close_group(struct af_tsm_file *file)
{
    if (file->sample_count == 0)
        return;
    const size_t first = (file->sample_count - 1) / AF_TSM_SAMPLE_GROUP * AF_TSM_SAMPLE_GROUP;
    const size_t prefix = common_length(text_of(file, first), text_of(file, file->sample_count - 1));
    size_t to = file->samples[first].text;
    if (prefix == 0)
        return;
    for (size_t i = first; i < file->sample_count; i++) {
        struct af_slice text = text_of(file, i);
        size_t keep = text.len - prefix;
        if (i == first)
            to += prefix; /* the first one's own bytes become the prefix */
        memmove(file->text.ptr + to, text.ptr + prefix, keep);
        file->samples[i].text = (uint32_t)to;
        to += keep;
    }
    file->text.len = to;
}

static enum af_status grow_samples(struct af_tsm_file *file, struct af_error *err)
{
    size_t cap = file->sample_cap < 16 ? 16 : file->sample_cap * 2;
    struct af_tsm_sample *samples = af_realloc(file->samples, cap * sizeof *samples);
    if (samples == NULL)
        return af_fail_nomem(err, "the sample of a TSM index");
    file->samples = samples;
    file->sample_cap = cap;
    if (cap / AF_TSM_SAMPLE_GROUP + 1 <= file->prefix_cap)
        return AF_OK;
    uint32_t *prefixes = af_realloc(file->prefixes, (cap / AF_TSM_SAMPLE_GROUP + 1) * sizeof *prefixes);
    if (prefixes == NULL)
        return af_fail_nomem(err, "the sample of a TSM index");
    file->prefixes = prefixes;
    file->prefix_cap = cap / AF_TSM_SAMPLE_GROUP + 1;
    return AF_OK;
}

static enum af_status add_sample(struct af_tsm_file *file, uint64_t at, struct af_slice separator, struct af_error *err)
{
    if (file->sample_count % AF_TSM_SAMPLE_GROUP == 0)
        close_group(file);
    if (file->sample_count == file->sample_cap)
        AF_TRY(grow_samples(file, err));
    if (file->sample_count % AF_TSM_SAMPLE_GROUP == 0)
        file->prefixes[file->sample_count / AF_TSM_SAMPLE_GROUP] = (uint32_t)file->text.len;
    file->samples[file->sample_count++] =
        (struct af_tsm_sample){ (uint32_t)at, (uint32_t)file->info.key_count, (uint32_t)file->text.len };
    af_buf_append_slice(&file->text, separator);
    return af_buf_check(&file->text, "the sample of a TSM index", err);
}

static int compare_sample(const struct af_tsm_file *file, struct af_slice key, size_t i)
{
    const size_t group = i / AF_TSM_SAMPLE_GROUP;
    const size_t from = file->prefixes[group];
    const size_t prefix = file->samples[group * AF_TSM_SAMPLE_GROUP].text - from;
    const size_t n = key.len < prefix ? key.len : prefix;
    const int c = n != 0 ? memcmp(key.ptr, file->text.ptr + from, n) : 0;
    if (c != 0 || key.len < prefix)
        return c != 0 ? c : -1;
    return af_slice_cmp(af_slice_make(key.ptr + prefix, key.len - prefix), text_of(file, i));
}

size_t af_tsm_sample_find(const struct af_tsm_file *file, struct af_slice key)
{
    size_t low = 0; /* the first sample's separator is empty: never behind */
    size_t high = file->sample_count;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (compare_sample(file, key, mid) >= 0)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* --- the pass -------------------------------------------------------------------------------------------------------------- */

static enum af_status bad_ref(const struct scan *s, const struct af_tsm_raw_entry *entry, size_t i, struct af_error *err)
{
    const struct af_tsm_block_ref ref = af_tsm_ref_get(entry->refs + i * AF_TSM_REF_BYTES);
    return af_fail(err, AF_ECORRUPT,
                   "%s: the index entry at offset %llu, block %zu: times %lld to %lld, %u bytes at offset %llu: out of order or outside "
                   "of the blocks, which end at %llu",
                   s->file->info.name, (unsigned long long)s->window.at, i, (long long)ref.min_ns, (long long)ref.max_ns, ref.size,
                   (unsigned long long)ref.offset, (unsigned long long)s->file->info.index_offset);
}

/* Each block inside of the blocks' bytes, times in order, starts ascending. Overlap is left to af_tsm_check. */
static enum af_status scan_refs(struct scan *s, const struct af_tsm_raw_entry *entry, struct af_error *err)
{
    struct af_tsm_file_info *info = &s->file->info;
    int64_t before = 0;
    for (size_t i = 0; i < entry->block_count; i++) {
        const struct af_tsm_block_ref ref = af_tsm_ref_get(entry->refs + i * AF_TSM_REF_BYTES);
        const bool is_placed = ref.offset >= AF_TSM_HEADER_BYTES && ref.offset <= info->index_offset &&
                               ref.size <= info->index_offset - ref.offset && ref.size >= AF_TSM_REF_SIZE_MIN;
        if (!is_placed || ref.min_ns > ref.max_ns || (i != 0 && ref.min_ns <= before))
            return bad_ref(s, entry, i, err);
        before = ref.min_ns;
        info->min_ns = ref.min_ns < info->min_ns ? ref.min_ns : info->min_ns;
        info->max_ns = ref.max_ns > info->max_ns ? ref.max_ns : info->max_ns;
    }
    info->block_count += entry->block_count;
    return AF_OK;
}

static enum af_status maybe_sample(struct scan *s, struct af_slice key, struct af_error *err)
{
    struct af_tsm_file *file = s->file;
    const uint64_t at = s->window.at - file->info.index_offset;
    if (file->sample_count == 0)
        return add_sample(file, at, AF_SLICE_LIT(""), err);
    const uint64_t gone = at - file->samples[file->sample_count - 1].at;
    if (gone < STEP)
        return AF_OK;
    const size_t len = common_length(af_slice_make(s->key, s->key_len), key) + 1;
    return gone / TEXT_SHARE < len ? AF_OK : add_sample(file, at, af_slice_make(key.ptr, len), err);
}

static enum af_status scan_entry(struct scan *s, struct af_error *err)
{
    struct af_tsm_raw_entry entry;
    AF_TRY(af_tsm_window_entry(&s->window, &entry, err));
    if (af_slice_cmp(af_slice_make(s->key, s->key_len), entry.key) >= 0)
        return af_fail(err, AF_ECORRUPT, "%s: the index entry at offset %llu, key \"%.*s\", is not behind the one in front of it",
                       s->file->info.name, (unsigned long long)s->window.at, (int)(entry.key.len < 200 ? entry.key.len : 200),
                       entry.key.ptr);
    AF_TRY(scan_refs(s, &entry, err));
    AF_TRY(maybe_sample(s, entry.key, err));
    memcpy(s->key, entry.key.ptr, entry.key.len);
    s->key_len = entry.key.len;
    s->file->info.key_count++;
    af_tsm_window_skip(&s->window, entry.bytes);
    return AF_OK;
}

static void shrink(struct af_tsm_file *file)
{
    struct af_tsm_sample *samples = af_realloc(file->samples, file->sample_count * sizeof *samples);
    if (samples != NULL) {
        file->samples = samples;
        file->sample_cap = file->sample_count;
    }
    char *text = file->text.len != 0 ? af_realloc(file->text.ptr, file->text.len) : NULL;
    if (text != NULL) {
        file->text.ptr = text;
        file->text.cap = file->text.len;
    }
}

enum af_status af_tsm_index_scan(struct af_tsm_file *file, struct af_error *err)
{
    struct scan s = { .file = file };
    enum af_status status = AF_OK;
    s.key = af_alloc(UINT16_MAX);
    if (s.key == NULL)
        return af_fail_nomem(err, "a key of a TSM index");
    file->info.min_ns = INT64_MAX;
    file->info.max_ns = INT64_MIN;
    af_tsm_window_init(&s.window, file->reader, file->info.index_offset, file->info.index_offset + file->info.index_bytes, PIECE, NULL, 0);
    s.window.wants_crc = true;
    if (file->reader->bytes != NULL)
        s.window.crc = af_crc32(0, s.window.ptr, s.window.have);
    while (status == AF_OK && s.window.at < s.window.end)
        status = scan_entry(&s, err);
    if (status == AF_OK) {
        file->info.index_crc = s.window.crc;
        close_group(file);
        shrink(file);
    }
    af_tsm_window_done(&s.window);
    af_free(s.key);
    return status;
}
