/*
 * profile_fuzz.c - AWS's files of settings: any bytes are settings or a refusal that names a line; what was read is found again, and
 * written down one setting a line it reads as the same.
 */
#include "aws/aws_int.h"
#include "base/limits.h"
#include <assert.h>

static void write_setting(struct af_buf *out, const struct aws_setting *s)
{
    if (s == NULL)
        return;
    write_setting(out, s->next); /* the list is newest first */
    af_buf_printf(out, "[%s]\n", s->section);
    if (s->key[0] != '\0')
        af_buf_printf(out, "%s =%s\n", s->key, s->value);
}

static void check_again(const struct aws_setting *first)
{
    struct af_buf text;
    struct af_arena arena;
    struct aws_setting *again = NULL;
    af_buf_init(&text, 64 << 20);
    af_arena_init(&arena, 64 << 20);
    write_setting(&text, first);
    assert(aws_profile_parse("config", af_buf_slice(&text), false, &arena, &again, NULL) == AF_OK);
    for (; first != NULL; first = first->next) {
        if (first->key[0] == '\0')
            continue; /* of the section itself: now there is one a setting */
        while (again != NULL && again->key[0] == '\0')
            again = again->next;
        assert(again != NULL && strcmp(again->section, first->section) == 0 && strcmp(again->key, first->key) == 0 &&
               strcmp(again->value, first->value) == 0);
        again = again->next;
    }
    af_arena_done(&arena);
    af_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4000)
        return 0;
    bool has_quotes = memchr(data, '"', size) != NULL || memchr(data, '\'', size) != NULL; /* names lose one pair each time */
    for (int is_credentials = 0; is_credentials < 2; is_credentials++) {
        struct af_aws aws = { .profile = "default" };
        struct af_error err = { 0 };
        af_arena_init(&aws.arena, 16 << 20);
        enum af_status status = aws_profile_parse("config", af_slice_make(data, size), is_credentials != 0, &aws.arena, &aws.settings,
                                                  &err);
        assert(status == AF_OK || (status == AF_EINVAL && err.line != 0) || status == AF_ENOMEM);
        for (const struct aws_setting *s = aws.settings; s != NULL; s = s->next) {
            assert(aws_has_section(&aws, s->section));
            assert(aws_setting(&aws, s->section, s->key) != NULL);
            assert(strchr(s->value, '\n') == NULL);
        }
        if (status == AF_OK && !has_quotes)
            check_again(aws.settings);
        af_arena_done(&aws.arena);
    }
    return 0;
}
