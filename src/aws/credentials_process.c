/*
 * credentials_process.c - a program that prints credentials: {"Version": 1, "AccessKeyId", "SecretAccessKey", "SessionToken",
 * "Expiration"}.
 *
 * Source: "Process credential provider" of the SDK reference. The command is split as a shell would at blanks, with quotes and backslashes;
 * there is no shell.
 */
#include "aws/aws_int.h"
#include "base/limits.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "os/process.h"

enum { WORDS_MAX = 64, TIMEOUT_MS = 60000 };

/* Words into `bytes`, which has room for the command and more. */
static enum af_status split(const char *command, char *bytes, char **argv, struct af_error *err)
{
    size_t count = 0;
    char quote = '\0';
    bool is_in = false;
    for (const char *c = command; *c != '\0'; c++) {
        bool is_gap = quote == '\0' && (*c == ' ' || *c == '\t');
        if (is_gap) {
            if (is_in)
                *bytes++ = '\0';
            is_in = false;
            continue;
        }
        if (!is_in) {
            if (count == WORDS_MAX)
                return af_fail(err, AF_EUNAUTH, "credential_process has more than %d words", (int)WORDS_MAX);
            argv[count++] = bytes;
            is_in = true;
        }
        if (quote == '\0' && (*c == '"' || *c == '\''))
            quote = *c;
        else if (*c == quote)
            quote = '\0';
        else if (*c == '\\' && quote != '\'' && c[1] != '\0')
            *bytes++ = *++c;
        else
            *bytes++ = *c;
    }
    *bytes = '\0';
    argv[count] = NULL;
    if (quote != '\0' || count == 0)
        return af_fail(err, AF_EUNAUTH, "credential_process: %s", count == 0 ? "there is no command" : "a quote that nothing ends");
    return AF_OK;
}

static enum af_status check_version(struct af_slice text, struct af_error *err)
{
    struct af_arena arena;
    struct af_json *root = NULL;
    struct af_error why;
    int64_t version = 0;
    af_arena_init(&arena, 1 << 20);
    bool is_one = af_json_parse(text, &arena, &root, &why) != AF_OK || (af_json_i64(af_json_get(root, "Version"),
                                                                                    &version) && version == 1);
    af_arena_done(&arena);
    return is_one ? AF_OK : af_fail(err, AF_EUNAUTH, "credential_process: its answer is not of Version 1");
}

enum af_status aws_from_process(struct af_aws *aws, const char *command, struct af_aws_credentials *out, struct af_error *err)
{
    (void)aws;
    char *argv[WORDS_MAX + 1];
    struct af_buf words, text;
    af_buf_init(&words, 1 << 16);
    af_buf_init(&text, AF_AWS_ANSWER_BYTES_MAX);
    enum af_status status = af_buf_reserve(&words, 2 * strlen(command) + 2) != NULL ? split(command, words.ptr, argv, err) :
                            af_fail(err, AF_EUNAUTH, "credential_process is too long");
    struct af_error why;
    if (status == AF_OK && af_process_run(argv, TIMEOUT_MS, &text, &why) != AF_OK)
        status = af_fail(err, AF_EUNAUTH, "credential_process: %s", why.message);
    if (status == AF_OK)
        status = check_version(af_buf_slice(&text), err);
    if (status == AF_OK)
        status = aws_credentials_of_json(af_buf_slice(&text), "SessionToken", "credential_process", out, err);
    if (text.ptr != NULL)
        af_wipe(text.ptr, text.cap);
    af_buf_done(&text);
    if (words.ptr != NULL) /* a password may be among them */
        af_wipe(words.ptr, words.cap);
    af_buf_done(&words);
    return status;
}
