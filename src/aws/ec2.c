/* ec2.c - see ec2.h. */
#include "aws/ec2.h"
#include "base/numbers.h"
#include "format/xml/xml.h"
#include <stdio.h>

enum { ANSWER_BYTES_MAX = 16 << 20, NAME_BYTES = 32 };

/* --- answers ------------------------------------------------------------------------------------------------------------------ */

static const struct af_xml *items(const struct af_xml *element, const char *set)
{
    const struct af_xml *list = af_xml_get(element, set);
    return list != NULL ? af_xml_get(list, "item") : NULL;
}

static size_t count_of(const struct af_xml *item)
{
    size_t count = 0;
    for (; item != NULL; item = af_xml_next(item))
        count++;
    return count;
}

static enum af_status take_id(const struct af_xml *item, const char *name, char out[AF_EC2_ID_BYTES], struct af_error *err)
{
    const struct af_slice text = af_slice_trim(af_xml_text(item, name));
    if (text.len == 0 || text.len >= AF_EC2_ID_BYTES)
        return af_fail(err, AF_ECORRUPT, "EC2: the answer's %s is %s", name, text.len == 0 ? "missing" : "too long");
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return AF_OK;
}

/* False, and *out as it was: it is not there, or no number. */
static bool take_number(const struct af_xml *item, const char *name, int64_t *out)
{
    const struct af_slice text = af_slice_trim(af_xml_text(item, name));
    return text.len != 0 && af_i64_parse(text, out);
}

static enum af_status take_subnet(const struct af_xml *item, struct af_ec2_subnet *out, struct af_error *err)
{
    AF_TRY(take_id(item, "subnetId", out->id, err));
    AF_TRY(take_id(item, "availabilityZone", out->zone, err));
    AF_TRY(take_id(item, "vpcId", out->vpc, err));
    int64_t count = -1;
    if (!take_number(item, "availableIpAddressCount", &count) || count < 0)
        return af_fail(err, AF_ECORRUPT, "EC2: the answer's availableIpAddressCount is no number");
    out->free_addresses = (uint64_t)count;
    return AF_OK;
}

enum af_status af_ec2_take_subnets(const struct af_xml *answer, struct af_arena *arena, struct af_ec2_subnet **out, size_t *out_count,
                                   struct af_error *err)
{
    const struct af_xml *item = items(answer, "subnetSet");
    const size_t count = count_of(item);
    struct af_ec2_subnet *subnets = af_arena_zero(arena, count + 1, sizeof *subnets);
    if (subnets == NULL)
        return af_fail_nomem(err, "subnets");
    for (size_t i = 0; i < count; i++, item = af_xml_next(item))
        AF_TRY(take_subnet(item, &subnets[i], err));
    *out = subnets;
    *out_count = count;
    return AF_OK;
}

/* A rule's ports: none are all; -1 is every protocol. */
static bool reaches(const struct af_xml *rule, uint16_t port)
{
    int64_t from = 0, to = 65535;
    const struct af_slice protocol = af_slice_trim(af_xml_text(rule, "ipProtocol"));
    if (af_slice_is(protocol, "-1"))
        return true;
    (void)take_number(rule, "fromPort", &from);
    (void)take_number(rule, "toPort", &to);
    return (af_slice_is(protocol, "tcp") || af_slice_is(protocol, "6")) && from <= port && port <= to;
}

static void take_rule(const struct af_xml *rule, struct af_ec2_group *out)
{
    static const char *const sets[] = { "ipRanges", "ipv6Ranges", "groups", "prefixListIds" };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        out->lets_in |= items(rule, sets[i]) != NULL;
    for (const struct af_xml *range = items(rule, "ipRanges"); range != NULL; range = af_xml_next(range))
        out->is_open |= af_slice_is(af_slice_trim(af_xml_text(range, "cidrIp")), "0.0.0.0/0");
    for (const struct af_xml *range = items(rule, "ipv6Ranges"); range != NULL; range = af_xml_next(range))
        out->is_open |= af_slice_is(af_slice_trim(af_xml_text(range, "cidrIpv6")), "::/0");
}

static enum af_status take_group(const struct af_xml *item, uint16_t port, struct af_ec2_group *out, struct af_error *err)
{
    AF_TRY(take_id(item, "groupId", out->id, err));
    AF_TRY(take_id(item, "vpcId", out->vpc, err));
    for (const struct af_xml *rule = items(item, "ipPermissions"); rule != NULL; rule = af_xml_next(rule))
        if (reaches(rule, port))
            take_rule(rule, out);
    return AF_OK;
}

enum af_status af_ec2_take_groups(const struct af_xml *answer, uint16_t port, struct af_arena *arena, struct af_ec2_group **out,
                                  size_t *out_count, struct af_error *err)
{
    const struct af_xml *item = items(answer, "securityGroupInfo");
    const size_t count = count_of(item);
    struct af_ec2_group *groups = af_arena_zero(arena, count + 1, sizeof *groups);
    if (groups == NULL)
        return af_fail_nomem(err, "security groups");
    for (size_t i = 0; i < count; i++, item = af_xml_next(item))
        AF_TRY(take_group(item, port, &groups[i], err));
    *out = groups;
    *out_count = count;
    return AF_OK;
}

enum af_status af_ec2_take_interfaces(const struct af_xml *answer, struct af_ec2_interfaces *out, struct af_error *err)
{
    struct af_ec2_interfaces found = { 0 };
    char id[AF_EC2_ID_BYTES];
    for (const struct af_xml *item = items(answer, "networkInterfaceSet"); item != NULL; item = af_xml_next(item)) {
        AF_TRY(take_id(item, "networkInterfaceId", id, err));
        found.count++;
        found.in_use += af_slice_is(af_slice_trim(af_xml_text(item, "status")), "in-use");
    }
    *out = found;
    return AF_OK;
}

/* --- calls ---------------------------------------------------------------------------------------------------------------------- */

/* Prefix.1=, Prefix.2= ... */
static enum af_status describe(struct af_aws_client *client, const char *action, const char *prefix, const char *const *ids, size_t count,
                               struct af_arena *arena, const struct af_xml **out, struct af_error *err)
{
    char names[AF_EC2_IDS_MAX][NAME_BYTES];
    struct af_aws_pair pairs[AF_EC2_IDS_MAX];
    if (count == 0 || count > AF_EC2_IDS_MAX)
        return af_fail(err, AF_EINVAL, "EC2 %s takes 1 to %d ids, not %zu", action, AF_EC2_IDS_MAX, count);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], NAME_BYTES, "%s.%zu", prefix, i + 1);
        pairs[i] = (struct af_aws_pair){ af_slice_of(names[i]), af_slice_of(ids[i]) };
    }
    return af_aws_query(client, action, pairs, count, arena, out, err);
}

/* EC2 answers 400 where others answer 404: InvalidSubnetID.NotFound. */
static enum af_status missing_is_not_found(struct af_aws_client *client, enum af_status status, struct af_error *err)
{
    const char *code = af_aws_last_code(client);
    const size_t len = strlen(code);
    if (status != AF_EINVAL || len < 9 || strcmp(code + len - 9, ".NotFound") != 0)
        return status;
    if (err != NULL)
        err->status = AF_ENOTFOUND;
    return AF_ENOTFOUND;
}

enum af_status af_ec2_subnets(struct af_aws_client *client, const char *const *ids, size_t count, struct af_arena *arena,
                              struct af_ec2_subnet **out, size_t *out_count, struct af_error *err)
{
    const struct af_xml *answer;
    const enum af_status status = describe(client, "DescribeSubnets", "SubnetId", ids, count, arena, &answer, err);
    return status == AF_OK ? af_ec2_take_subnets(answer, arena, out, out_count, err) : missing_is_not_found(client, status, err);
}

enum af_status af_ec2_groups(struct af_aws_client *client, const char *const *ids, size_t count, uint16_t port, struct af_arena *arena,
                             struct af_ec2_group **out, size_t *out_count, struct af_error *err)
{
    const struct af_xml *answer;
    const enum af_status status = describe(client, "DescribeSecurityGroups", "GroupId", ids, count, arena, &answer, err);
    return status == AF_OK ? af_ec2_take_groups(answer, port, arena, out, out_count, err) : missing_is_not_found(client, status, err);
}

enum af_status af_ec2_interfaces_of_group(struct af_aws_client *client, const char *group, struct af_ec2_interfaces *out,
                                          struct af_error *err)
{
    const struct af_aws_pair pairs[] = { { AF_SLICE_LIT("Filter.1.Name"), AF_SLICE_LIT("group-id") },
                                         { AF_SLICE_LIT("Filter.1.Value.1"), af_slice_of(group) } };
    const struct af_xml *answer;
    struct af_arena arena;
    af_arena_init(&arena, ANSWER_BYTES_MAX);
    enum af_status status = af_aws_query(client, "DescribeNetworkInterfaces", pairs, 2, &arena, &answer, err);
    if (status == AF_OK)
        status = af_ec2_take_interfaces(answer, out, err);
    af_arena_done(&arena);
    return status;
}

enum af_status af_iam_role(struct af_aws_client *client, const char *name, char out_arn[2049], struct af_error *err)
{
    const struct af_aws_pair pair = { AF_SLICE_LIT("RoleName"), af_slice_of(name) };
    const struct af_xml *answer;
    struct af_arena arena;
    af_arena_init(&arena, ANSWER_BYTES_MAX);
    enum af_status status = af_aws_query(client, "GetRole", &pair, 1, &arena, &answer, err);
    if (status == AF_OK) {
        const struct af_xml *role = af_xml_get(answer, "Role");
        const struct af_slice arn = role != NULL ? af_slice_trim(af_xml_text(role, "Arn")) : (struct af_slice){ NULL, 0 };
        if (arn.len == 0 || arn.len > 2048)
            status = af_fail(err, AF_ECORRUPT, "IAM GetRole: the answer has no Arn");
        else
            (void)snprintf(out_arn, 2049, "%.*s", (int)arn.len, arn.ptr);
    }
    af_arena_done(&arena);
    return status;
}
