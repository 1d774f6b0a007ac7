/* sns.c - see sns.h. Limits: the reference of Publish. */
#include "aws/sns.h"
#include "base/utf8.h"
#include "format/xml/xml.h"

enum { MESSAGE_BYTES_MAX = 256 << 10, SUBJECT_CHARS = 100, ARENA_BYTES_MAX = 1 << 20 };

/* ASCII without control characters, at most 100 characters, and no space in front: what the service takes. */
static bool is_subject(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > SUBJECT_CHARS || text[0] == ' ')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return true;
}

static enum af_status check(const char *subject, struct af_slice message, struct af_error *err)
{
    if (message.len == 0 || message.len > MESSAGE_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "SNS Publish: a message has 1 to %d bytes, not %zu", MESSAGE_BYTES_MAX, message.len);
    if (!af_utf8_is_valid(message))
        return af_fail(err, AF_EINVAL, "SNS Publish: the message is not UTF-8");
    if (subject != NULL && !is_subject(subject))
        return af_fail(err, AF_EINVAL, "SNS Publish: a subject is 1 to %d ASCII characters on one line", SUBJECT_CHARS);
    return AF_OK;
}

enum af_status af_sns_publish(struct af_aws_client *client, const char *topic_arn, const char *subject, struct af_slice message,
                              struct af_error *err)
{
    const struct af_aws_pair parameters[] = {
        { AF_SLICE_LIT("TopicArn"), af_slice_of(topic_arn) },
        { AF_SLICE_LIT("Message"), message },
        { AF_SLICE_LIT("Subject"), af_slice_of(subject) },
    };
    struct af_arena arena;
    const struct af_xml *result = NULL;
    AF_TRY(check(subject, message, err));
    af_arena_init(&arena, ARENA_BYTES_MAX);
    enum af_status status = af_aws_query(client, "Publish", parameters, subject != NULL ? 3 : 2, &arena, &result, err);
    if (status == AF_OK && af_xml_text(result, "MessageId").len == 0)
        status = af_fail(err, AF_ECORRUPT, "SNS Publish: the answer has no MessageId");
    af_arena_done(&arena);
    return status;
}
