/*
 * regex.c - patterns compiled and matched with PCRE2; see regex.h. The home of pcre2.h.
 *
 * A match may cost steps: the longer the text, the fewer for each place in it where a match may begin, so that all of them together are
 * bounded. Compiled code (where the processor has it) keeps to the same limit. What a match needs beside the code lives on its stack.
 */
#include "base/regex.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "base/regex_int.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    TRANSLATED_BYTES_MAX = AF_REGEX_BYTES_MAX * 32,
    STEPS_MIN = 10000,     /* for each place, however long the text */
    HEAP_KIB_MAX = 16384,  /* of one match */
    NESTING_MAX = 4000,    /* groups of the translation */
    LITERALS_MAX = 256,
    SCRATCH_BYTES = 1024,
};

/* Most patterns of queries: ASCII that stands for itself, perhaps at the start, perhaps at the end: 7$  ^plant_  norte. No code is run. */
struct plain {
    bool is_all;                /* of the pattern */
    bool at_start, at_end;
    struct af_slice text;
};
struct af_regex {
    pcre2_code *code;
    struct af_slice pattern;
    struct plain plain;
    size_t literal_count;
    struct af_slice literals[]; /* behind them their text, the pattern, and the plain text */
};

/* --- memory for PCRE2 ------------------------------------------------------------------------------------------------------------ */

static void *heap_alloc(size_t bytes, void *ctx)
{
    (void)ctx;
    return af_alloc(bytes);
}

static void heap_free(void *ptr, void *ctx)
{
    (void)ctx;
    af_free(ptr);
}

/* What a match asks for: from here while it lasts. */
struct scratch {
    _Alignas(16) char bytes[SCRATCH_BYTES];
    size_t used;
};

static void *scratch_alloc(size_t bytes, void *ctx)
{
    struct scratch *scratch = ctx;
    if (bytes > SCRATCH_BYTES - scratch->used)
        return af_alloc(bytes);
    void *ptr = scratch->bytes + scratch->used;
    scratch->used += (bytes + 15) & ~(size_t)15;
    if (scratch->used > SCRATCH_BYTES)
        scratch->used = SCRATCH_BYTES;
    return ptr;
}

static void scratch_free(void *ptr, void *ctx)
{
    struct scratch *scratch = ctx;
    uintptr_t at = (uintptr_t)ptr;
    uintptr_t start = (uintptr_t)scratch->bytes;
    if (at < start || at >= start + SCRATCH_BYTES)
        af_free(ptr);
}

/* --- texts that are all that matches --------------------------------------------------------------------------------------------- */

/* ^a$  ^pre(a|b)post$  with plain characters, and escaped ones that are no letters or digits. */
struct exact {
    const char *at, *end;
    struct af_buf prefix, suffix, choices; /* choices: each with its length before it */
    size_t choice_count;
};

static bool read_plain(struct exact *in, struct af_buf *out)
{
    while (in->at < in->end && strchr(".[]{}()*+?^$|", *in->at) == NULL) {
        if (*in->at == '\\') {
            in->at++;
            if (in->at == in->end || (unsigned char)*in->at >= 0x80 || (*in->at >= '0' && *in->at <= '9') ||
                (*in->at >= 'a' && *in->at <= 'z') || (*in->at >= 'A' && *in->at <= 'Z'))
                return false;
        }
        af_buf_append_char(out, *in->at++);
    }
    return true;
}

static bool skip(struct exact *in, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, text, len) != 0)
        return false;
    in->at += len;
    return true;
}

static bool read_choice(struct exact *in)
{
    size_t len_at = in->choices.len;
    size_t len = 0;
    af_buf_append(&in->choices, &len, sizeof len);
    if (!read_plain(in, &in->choices) || in->choices.failed || in->choice_count == LITERALS_MAX)
        return false;
    len = in->choices.len - len_at - sizeof len;
    memcpy(in->choices.ptr + len_at, &len, sizeof len);
    in->choice_count++;
    return true;
}

static bool read_exact(struct exact *in)
{
    if (!skip(in, "^") || !read_plain(in, &in->prefix))
        return false;
    if (skip(in, "(")) {
        if (in->at < in->end && *in->at == '?' && !skip(in, "?:"))
            return false;
        do {
            if (!read_choice(in))
                return false;
        } while (skip(in, "|"));
        if (!skip(in, ")") || !read_plain(in, &in->suffix))
            return false;
    } else if (!read_choice(in)) { /* an empty one */
        return false;
    }
    return skip(in, "$") && in->at == in->end && !in->prefix.failed && !in->suffix.failed;
}

static struct af_slice next_choice(const struct exact *exact, size_t *at)
{
    size_t len;
    memcpy(&len, exact->choices.ptr + *at, sizeof len);
    struct af_slice text = { exact->choices.ptr + *at + sizeof len, len };
    *at += sizeof len + len;
    return text;
}

static char *put_bytes(char *to, struct af_slice text)
{
    if (text.len > 0)
        memcpy(to, text.ptr, text.len);
    return to + text.len;
}

static bool is_ascii(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

/* Into `text`, which the plain one then borrows. */
static struct plain read_all_plain(struct af_slice pattern, struct af_buf *text)
{
    struct exact in = { .at = pattern.ptr, .end = pattern.ptr + pattern.len };
    struct plain plain = { .at_start = skip(&in, "^") };
    bool is_read = read_plain(&in, text);
    plain.at_end = is_read && skip(&in, "$");
    plain.is_all = is_read && in.at == in.end && !text->failed && is_ascii(af_buf_slice(text));
    plain.text = af_buf_slice(text);
    return plain;
}

/* The regex with its pattern and these texts, without code yet. NULL: no memory. */
static struct af_regex *make(struct af_slice pattern, const struct plain *plain, const struct exact *exact, size_t count)
{
    struct af_slice prefix = af_buf_slice(&exact->prefix), suffix = af_buf_slice(&exact->suffix);
    size_t text_bytes = exact->choices.len + count * (prefix.len + suffix.len);
    struct af_regex *regex = af_alloc(sizeof *regex + count * sizeof *regex->literals + text_bytes + pattern.len + plain->text.len);
    if (regex == NULL)
        return NULL;
    char *to = (char *)(regex->literals + count);
    *regex = (struct af_regex){ .pattern = { to, pattern.len }, .plain = *plain, .literal_count = count };
    to = put_bytes(to, pattern);
    regex->plain.text.ptr = to;
    to = put_bytes(to, plain->text);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        char *start = to;
        to = put_bytes(put_bytes(put_bytes(to, prefix), next_choice(exact, &at)), suffix);
        regex->literals[i] = af_slice_make(start, (size_t)(to - start));
    }
    return regex;
}

static struct af_regex *make_with_literals(struct af_slice pattern)
{
    struct exact exact = { .at = pattern.ptr, .end = pattern.ptr + pattern.len };
    af_buf_init(&exact.prefix, AF_REGEX_BYTES_MAX);
    af_buf_init(&exact.suffix, AF_REGEX_BYTES_MAX);
    af_buf_init(&exact.choices, (size_t)AF_REGEX_BYTES_MAX * 16);
    size_t count = read_exact(&exact) ? exact.choice_count : 0;
    if (count * (exact.prefix.len + exact.suffix.len) > (size_t)1 << 20)
        count = 0;
    struct af_buf text;
    af_buf_init(&text, AF_REGEX_BYTES_MAX);
    struct plain plain = read_all_plain(pattern, &text);
    struct af_regex *regex = make(pattern, &plain, &exact, count);
    af_buf_done(&text);
    af_buf_done(&exact.prefix);
    af_buf_done(&exact.suffix);
    af_buf_done(&exact.choices);
    return regex;
}

size_t af_regex_literals(const struct af_regex *regex, struct af_slice *out, size_t cap)
{
    if (regex->literal_count > cap)
        return 0;
    for (size_t i = 0; i < regex->literal_count; i++)
        out[i] = regex->literals[i];
    return regex->literal_count;
}

/* --- compiling ------------------------------------------------------------------------------------------------------------------- */

enum {
    OPTIONS = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NO_AUTO_CAPTURE,
};

static enum af_status compile(struct af_slice text, struct af_slice pattern, pcre2_code **out, struct af_error *err)
{
    pcre2_general_context *general = pcre2_general_context_create(heap_alloc, heap_free, NULL);
    pcre2_compile_context *context = general != NULL ? pcre2_compile_context_create(general) : NULL;
    int code = PCRE2_ERROR_NOMEMORY;
    PCRE2_SIZE at = 0;
    *out = NULL;
    if (context != NULL) {
        (void)pcre2_set_parens_nest_limit(context, NESTING_MAX);
        *out = pcre2_compile((PCRE2_SPTR)(text.len == 0 ? "" : text.ptr), text.len, OPTIONS, &code, &at, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    if (*out != NULL)
        return AF_OK;
    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED)
        return af_fail_nomem(err, "a regular expression");
    if (code == PCRE2_ERROR_PATTERN_TOO_LARGE || code == PCRE2_ERROR_PATTERN_TOO_COMPLICATED ||
        code == PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP)
        return af_fail(err, AF_ELIMIT, "error parsing regexp: expression too large: `" AF_SLICE_FMT "`", AF_SLICE_ARG(pattern));
    char words[120] = "";
    (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)words, sizeof words);
    return af_fail(err, AF_EBUG, "the regular expression `" AF_SLICE_FMT "` was translated wrongly: %s", AF_SLICE_ARG(pattern), words);
}

enum af_status af_regex_knows_script(struct af_slice name, bool *out, struct af_error *err)
{
    struct af_buf text;
    pcre2_code *code = NULL;
    af_buf_init(&text, 256);
    af_buf_printf(&text, "\\p{sc:" AF_SLICE_FMT "}", AF_SLICE_ARG(name));
    enum af_status status = af_buf_check(&text, "a regular expression", err);
    if (status == AF_OK)
        status = compile(af_buf_slice(&text), name, &code, err);
    *out = status == AF_OK;
    pcre2_code_free(code);
    af_buf_done(&text);
    return status == AF_ENOMEM ? AF_ENOMEM : AF_OK;
}

enum af_status af_regex_new(struct af_slice pattern, struct af_regex **out, struct af_error *err)
{
    if (pattern.len > AF_REGEX_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a regular expression of %zu bytes; at most %d are allowed", pattern.len, (int)AF_REGEX_BYTES_MAX);
    struct af_buf text;
    pcre2_code *code = NULL;
    af_buf_init(&text, TRANSLATED_BYTES_MAX);
    enum af_status status = af_regex_translate(pattern, &text, err);
    if (status == AF_OK)
        status = af_buf_check(&text, "a regular expression", err);
    if (status == AF_OK)
        status = compile(af_buf_slice(&text), pattern, &code, err);
    af_buf_done(&text);
    if (status != AF_OK)
        return status;
    struct af_regex *regex = make_with_literals(pattern);
    if (regex == NULL) {
        pcre2_code_free(code);
        return af_fail_nomem(err, "a regular expression");
    }
    regex->code = code;
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where there is none it is slower */
    *out = regex;
    return AF_OK;
}

void af_regex_free(struct af_regex *regex)
{
    if (regex == NULL)
        return;
    pcre2_code_free(regex->code);
    af_free(regex);
}

struct af_slice af_regex_pattern(const struct af_regex *regex)
{
    return regex->pattern;
}

/* --- matching -------------------------------------------------------------------------------------------------------------------- */

static uint32_t steps_for(size_t text_bytes)
{
    size_t steps = AF_REGEX_STEPS_MAX / (text_bytes / 64 + 1);
    return steps < STEPS_MIN ? STEPS_MIN : (uint32_t)steps;
}

static bool holds(const struct plain *plain, struct af_slice text)
{
    size_t len = plain->text.len;
    if (text.len < len || (plain->at_start && plain->at_end && text.len != len))
        return false;
    if (len == 0)
        return true;
    if (!plain->at_start && !plain->at_end)
        return memmem(text.ptr, text.len, plain->text.ptr, len) != NULL;
    return memcmp(plain->at_start ? text.ptr : text.ptr + text.len - len, plain->text.ptr, len) == 0;
}

static enum af_status run_code(const struct af_regex *regex, struct af_slice text, bool *out, struct af_error *err)
{
    struct scratch scratch;
    scratch.used = 0;
    pcre2_general_context *general = pcre2_general_context_create(scratch_alloc, scratch_free, &scratch);
    pcre2_match_context *context = general != NULL ? pcre2_match_context_create(general) : NULL;
    pcre2_match_data *data = context != NULL ? pcre2_match_data_create(1, general) : NULL;
    int result = PCRE2_ERROR_NOMEMORY;
    if (data != NULL) {
        (void)pcre2_set_match_limit(context, steps_for(text.len));
        (void)pcre2_set_depth_limit(context, steps_for(text.len));
        (void)pcre2_set_heap_limit(context, HEAP_KIB_MAX);
        PCRE2_SPTR subject = (PCRE2_SPTR)(text.len == 0 ? "" : text.ptr);
        result = pcre2_match(regex->code, subject, text.len, 0, 0, data, context);
        if (result == PCRE2_ERROR_JIT_STACKLIMIT)
            result = pcre2_match(regex->code, subject, text.len, 0, PCRE2_NO_JIT, data, context);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_general_context_free(general);
    if (result == PCRE2_ERROR_NOMEMORY)
        return af_fail_nomem(err, "a match of a regular expression");
    if (result < 0 && result != PCRE2_ERROR_NOMATCH)
        return af_fail(err, AF_ELIMIT, "the regular expression `" AF_SLICE_FMT "` needs too many steps for a text of %zu bytes",
                       AF_SLICE_ARG(regex->pattern), text.len);
    *out = result != PCRE2_ERROR_NOMATCH;
    return AF_OK;
}

enum af_status af_regex_match(const struct af_regex *regex, struct af_slice text, bool *out, struct af_error *err)
{
    if (!regex->plain.is_all)
        return run_code(regex, text, out, err);
    *out = holds(&regex->plain, text);
    return AF_OK;
}
