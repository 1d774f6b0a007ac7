/* sts.c - see sts.h. */
#include "aws/sts.h"
#include "aws/aws_int.h"
#include "base/calendar.h"
#include "codec/digest.h"
#include "format/xml/xml.h"
#include "os/clock.h"
#include <stdio.h>

static enum af_status need(const struct af_xml *result, const char *name, char *out, size_t cap, struct af_error *err)
{
    struct af_slice text = af_slice_trim(af_xml_text(result, name));
    if (text.len == 0 || text.len >= cap)
        return af_fail(err, AF_ECORRUPT, "STS: the answer's %s is %s", name, text.len == 0 ? "missing" : "too long");
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return AF_OK;
}

enum af_status af_sts_identity(struct af_aws_client *client, struct af_sts_identity *out, struct af_error *err)
{
    struct af_arena arena;
    const struct af_xml *result;
    af_arena_init(&arena, 1 << 20);
    enum af_status status = af_aws_query(client, "GetCallerIdentity", NULL, 0, &arena, &result, err);
    if (status == AF_OK)
        status = need(result, "Account", out->account, sizeof out->account, err);
    if (status == AF_OK)
        status = need(result, "Arn", out->arn, sizeof out->arn, err);
    if (status == AF_OK)
        status = need(result, "UserId", out->user_id, sizeof out->user_id, err);
    af_arena_done(&arena);
    return status;
}

static void wipe_tree(const struct af_xml *node)
{
    for (; node != NULL; node = node->next) {
        if (node->text.len != 0)
            af_wipe((char *)(uintptr_t)node->text.ptr, node->text.len);
        wipe_tree(node->first);
    }
}

static enum af_status take_credentials(const struct af_xml *result, struct af_aws_credentials *out, struct af_error *err)
{
    const struct af_xml *c = af_xml_get(result, "Credentials");
    bool has_zone;
    if (c == NULL)
        return af_fail(err, AF_ECORRUPT, "STS: the answer has no Credentials");
    AF_TRY(aws_credentials_put(out, af_slice_trim(af_xml_text(c, "AccessKeyId")), af_slice_trim(af_xml_text(c, "SecretAccessKey")),
                               af_slice_trim(af_xml_text(c, "SessionToken")), "STS", err));
    if (!af_time_parse(af_slice_trim(af_xml_text(c, "Expiration")), &out->expires_ns, &has_zone))
        return af_fail(err, AF_ECORRUPT, "STS: the answer's Expiration is no time");
    return AF_OK;
}

enum af_status af_sts_assume(struct af_aws_client *client, const struct af_sts_role *role, struct af_aws_credentials *out,
                             struct af_error *err)
{
    char name[64], duration[16];
    struct af_aws_pair pairs[5];
    size_t count = 0;
    bool is_web = role->web_identity.len != 0;
    (void)snprintf(name, sizeof name, "afluxo-%lld", (long long)(af_clock_now_ns() / AF_NS_PER_S));
    (void)snprintf(duration, sizeof duration, "%u", role->duration_s);
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("RoleArn"), af_slice_of(role->role_arn) };
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("RoleSessionName"),
                                           af_slice_of(role->session_name != NULL ? role->session_name : name) };
    if (role->duration_s != 0)
        pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("DurationSeconds"), af_slice_of(duration) };
    if (is_web)
        pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("WebIdentityToken"), role->web_identity };
    else if (role->external_id != NULL)
        pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("ExternalId"), af_slice_of(role->external_id) };
    struct af_arena arena;
    const struct af_xml *result;
    static const struct af_aws_credentials nobody = { .access_key = "" };
    af_arena_init(&arena, 1 << 20);
    if (is_web)
        aws_client_use(client, &nobody); /* the token is what proves who asks */
    enum af_status status = af_aws_query(client, is_web ? "AssumeRoleWithWebIdentity" : "AssumeRole", pairs, count, &arena, &result, err);
    if (is_web)
        aws_client_use(client, NULL);
    if (status == AF_OK) {
        status = take_credentials(result, out, err);
        wipe_tree(result->first);
    }
    af_arena_done(&arena);
    return status;
}
