/* profile_fuzz.c - AWS's files of settings: any bytes are settings or a refusal that names a line; what was read is found again. */
#include "aws/aws_int.h"
#include "base/limits.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
        af_arena_done(&aws.arena);
    }
    return 0;
}
