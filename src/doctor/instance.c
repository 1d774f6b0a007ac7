/*
 * instance.c - Timestream for InfluxDB: the instance, and what it stands on.
 *
 *     ListDbInstances --> by name or id --> GetDbInstance: status, size, reach, logs, secret
 *                                            |-- its subnets: addresses left, zones      DescribeSubnets
 *                                            |-- its security groups, their interfaces   DescribeSecurityGroups, DescribeNetworkInterfaces
 *                                            '-- quota of instances, the service's role  (the list), GetRole
 *
 * The service never says why an instance FAILED: "likely reason" says what is wrong with what it stands on.
 */
#include "aws/ec2.h"
#include "aws/secrets.h"
#include "codec/digest.h"
#include "doctor/doctor_int.h"
#include <inttypes.h>
#include <stdio.h>

enum { BODY_BYTES = 1024, QUOTA = 40, PORT_USUAL = 8086, ZONES_MAX = AF_EC2_IDS_MAX };
static const char service_role[] = "AWSServiceRoleForTimestreamInfluxDB";

/* --- finding it ---------------------------------------------------------------------------------------------------------------- */

struct search {
    struct doctor *doctor;
    const char *wanted;            /* NULL: any */
    const char *id;                /* of the one that was found */
    uint64_t count, found;
    char names[300];               /* some of those there are */
};

static enum af_status each_instance(void *ctx, const struct af_json *item, struct af_error *err)
{
    struct search *s = ctx;
    const char *id = doctor_text(s->doctor, item, "id"), *name = doctor_text(s->doctor, item, "name");
    const size_t len = strlen(s->names);
    (void)err;
    s->count++;
    (void)snprintf(s->names + len, sizeof s->names - len, "%s%.40s", len != 0 ? ", " : "", name);
    if (s->wanted != NULL && strcmp(s->wanted, id) != 0 && strcmp(s->wanted, name) != 0)
        return AF_OK;
    s->found++;
    s->id = id;
    return AF_OK;
}

static enum af_status get_instance(struct doctor *d, const char *id, struct af_error *err)
{
    struct doctor_cloud *c = &d->cloud;
    struct af_buf body;
    af_buf_init(&body, BODY_BYTES);
    af_buf_append_str(&body, "{\"identifier\":");
    af_json_append_string(&body, af_slice_of(id));
    af_buf_append_char(&body, '}');
    enum af_status status = af_buf_check(&body, "a request", err);
    if (status == AF_OK)
        status = af_tfi_call(c->tfi, AF_TFI_GetDbInstance, af_buf_slice(&body), &d->arena, &c->instance, err);
    af_buf_done(&body);
    if (status != AF_OK)
        return status;
    c->id = id;
    c->name = doctor_text(d, c->instance, "name");
    c->status = doctor_text(d, c->instance, "status");
    return AF_OK;
}

static void not_found(const struct search *s, struct af_doctor_finding *f)
{
    if (s->count == 0 && s->wanted == NULL) {
        doctor_skip(f, "there is none in this region and account");
        doctor_advise(f, "--region names another; the module infra/modules/influxdb makes one");
    } else if (s->wanted == NULL) {
        doctor_skip(f, "there are %" PRIu64 ": %s", s->count, s->names);
        doctor_advise(f, "--instance NAME");
    } else {
        doctor_fail(f, "there is no \"%.100s\" in this region and account%s%s", s->wanted, s->count != 0 ? "; there are " : "", s->names);
        doctor_advise(f, "check --instance, --region and the account");
    }
}

static void check_instance(struct doctor *d, struct af_doctor_finding *f)
{
    struct search s = { .doctor = d, .wanted = d->options->instance };
    struct af_error err = { 0 };
    enum af_status status = doctor_client(d, "timestream-influxdb", &d->cloud.tfi, &err);
    if (status == AF_OK)
        status = af_tfi_list(d->cloud.tfi, AF_TFI_ListDbInstances, AF_SLICE_LIT("{}"), each_instance, &s, &err);
    const bool is_listed = status == AF_OK;
    if (is_listed) {
        d->cloud.lookout.knows_quota = true;
        d->cloud.lookout.instance_count = s.count;
    } else if (status == AF_EDENIED && s.wanted != NULL) { /* an id needs no list */
        s.found = 1;
        s.id = s.wanted;
        status = AF_OK;
    }
    if (status == AF_OK && s.found != 1) {
        not_found(&s, f);
        return;
    }
    if (status == AF_OK)
        status = get_instance(d, s.id, &err);
    if (!is_listed && (status == AF_ENOTFOUND || status == AF_EINVAL)) {
        doctor_skip(f, "to find it by its name the right timestream-influxdb:ListDbInstances is needed; --instance takes its id, too");
        return;
    }
    if (status != AF_OK) {
        doctor_call_failed(f, &err, is_listed ? "timestream-influxdb:GetDbInstance" : "timestream-influxdb:ListDbInstances");
        return;
    }
    const char *host = doctor_text(d, d->cloud.instance, "endpoint");
    doctor_ok(f, "%.60s (%.40s)%s%.200s", d->cloud.name, d->cloud.id, host[0] != '\0' ? " at " : ", without an address", host);
}

/* --- as it says itself ----------------------------------------------------------------------------------------------------------- */

static int64_t number(const struct af_json *object, const char *name, int64_t otherwise)
{
    int64_t value;
    return af_json_i64(af_json_get(object, name), &value) ? value : otherwise;
}

static bool flag(const struct af_json *object, const char *name)
{
    const struct af_json *value = af_json_get(object, name);
    return value != NULL && value->is_true;
}

static void check_status(struct doctor *d, struct af_doctor_finding *f)
{
    const struct af_json *i = d->cloud.instance;
    const char *tier = doctor_text(d, i, "dbStorageType"), *kind = doctor_text(d, i, "deploymentType");
    doctor_say(f, doctor_judge_instance(d->cloud.status), "%.40s; %.40s, %" PRId64 " GiB of %.40s, %.40s", d->cloud.status,
               doctor_text(d, i, "dbInstanceType"), number(i, "allocatedStorage", 0), tier, kind);
    if (f->state == AF_DOCTOR_FAILED)
        doctor_advise(f, "the service gives no reason: see \"likely reason\". It can only be deleted and made anew (terraform apply does)");
    else if (f->state == AF_DOCTOR_WARNING)
        doctor_advise(f, "wait: making one takes 12 to 45 minutes, a change about as long, a restart some minutes");
}

static void check_reach(struct doctor *d, struct af_doctor_finding *f)
{
    const char *network = doctor_text(d, d->cloud.instance, "networkType");
    if (!flag(d->cloud.instance, "publiclyAccessible")) {
        doctor_ok(f, "private: known inside its network only%s%s", network[0] != '\0' ? ", " : "", network);
        return;
    }
    doctor_warn(f, "it has a public address");
    doctor_advise(f, "only a new instance can be private (publicly_accessible = false): make one and migrate");
}

static void check_parameters(struct doctor *d, struct af_doctor_finding *f)
{
    const char *group = doctor_text(d, d->cloud.instance, "dbParameterGroupIdentifier");
    doctor_ok(f, "%.100s", group[0] != '\0' ? group : "the service's own values");
}

static void check_logs(struct doctor *d, struct af_doctor_finding *f)
{
    const struct af_json *s3 = af_json_get(af_json_get(d->cloud.instance, "logDeliveryConfiguration"), "s3Configuration");
    if (flag(s3, "enabled")) {
        doctor_ok(f, "to s3://%.100s, about every hour", doctor_text(d, s3, "bucketName"));
        return;
    }
    doctor_warn(f, "its log goes nowhere");
    doctor_advise(f, "set log_delivery_configuration (infra/modules/influxdb does): there is no other way to see it");
}

static void check_secret(struct doctor *d, struct af_doctor_finding *f)
{
    const char *arn = doctor_text(d, d->cloud.instance, "influxAuthParametersSecretArn");
    struct af_secrets *secrets;
    struct af_buf value;
    struct af_error err = { 0 };
    if (arn[0] == '\0') {
        doctor_skip(f, "it has none: the service makes it with the instance");
        return;
    }
    if (af_secrets_open(d->cloud.aws, 0, &secrets, &err) != AF_OK) {
        doctor_fail(f, "%s", err.message);
        return;
    }
    af_buf_init(&value, 64 << 10);
    const enum af_status status = af_secrets_get(secrets, arn, &value, NULL, &err);
    if (value.ptr != NULL)
        af_wipe(value.ptr, value.cap);
    af_buf_done(&value);
    af_secrets_close(secrets);
    if (status == AF_OK)
        doctor_ok(f, "readable: the first password, which rotation makes worthless");
    else
        doctor_call_failed(f, &err, "secretsmanager:GetSecretValue");
}

/* --- what it stands on ------------------------------------------------------------------------------------------------------------ */

static size_t ids_of(struct doctor *d, const char *name, const char *out[AF_EC2_IDS_MAX])
{
    const struct af_json *list = af_json_get(d->cloud.instance, name);
    size_t count = 0;
    for (const struct af_json *item = list != NULL ? list->first : NULL; item != NULL && count < AF_EC2_IDS_MAX; item = item->next) {
        const char *copy = af_arena_copy(&d->arena, item->text);
        if (copy != NULL)
            out[count++] = copy;
    }
    return count;
}

static void sum_subnets(struct doctor_lookout *l, const struct af_ec2_subnet *subnets, size_t count)
{
    const char *zones[ZONES_MAX];
    l->subnet_count = count;
    for (size_t i = 0; i < count && i < ZONES_MAX; i++) {
        size_t z = 0;
        while (z < l->zone_count && strcmp(zones[z], subnets[i].zone) != 0)
            z++;
        if (z == l->zone_count)
            zones[l->zone_count++] = subnets[i].zone;
        if (i == 0 || subnets[i].free_addresses < l->least_free) {
            l->least_free = subnets[i].free_addresses;
            l->least_subnet = subnets[i].id;
        }
    }
    l->knows_room = count != 0;
}

static bool wants_zones(struct doctor *d)
{
    return strcmp(doctor_text(d, d->cloud.instance, "deploymentType"), "WITH_MULTIAZ_STANDBY") == 0;
}

static void check_subnets(struct doctor *d, struct af_doctor_finding *f)
{
    const char *ids[AF_EC2_IDS_MAX];
    const size_t id_count = ids_of(d, "vpcSubnetIds", ids);
    struct af_ec2_subnet *subnets = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    struct doctor_lookout *l = &d->cloud.lookout;
    enum af_status status = doctor_client(d, "ec2", &d->cloud.ec2, &err);
    if (status == AF_OK)
        status = af_ec2_subnets(d->cloud.ec2, ids, id_count, &d->arena, &subnets, &count, &err);
    l->missing_subnets = status == AF_ENOTFOUND;
    if (status != AF_OK || count == 0) {
        doctor_call_failed(f, &err, "ec2:DescribeSubnets");
        return;
    }
    sum_subnets(l, subnets, count);
    const enum af_doctor_state state = doctor_judge_addresses(l->least_free);
    const bool is_one_zone = wants_zones(d) && l->zone_count < 2;
    doctor_say(f, is_one_zone ? AF_DOCTOR_FAILED : state, "%zu in %zu zone%s; %s has %" PRIu64 " free address%s", count, l->zone_count,
               l->zone_count == 1 ? "" : "s", l->least_subnet, l->least_free, l->least_free == 1 ? "" : "es");
    if (is_one_zone)
        doctor_advise(f, "a standby in another zone needs subnets in two zones");
    else if (state != AF_DOCTOR_OK)
        doctor_advise(f, "the service puts network interfaces there: use larger subnets, or delete what is not used in them");
}

static void check_groups(struct doctor *d, struct af_doctor_finding *f)
{
    const char *ids[AF_EC2_IDS_MAX];
    const size_t id_count = ids_of(d, "vpcSecurityGroupIds", ids);
    const uint16_t port = (uint16_t)number(d->cloud.instance, "port", PORT_USUAL);
    struct af_ec2_group *groups = NULL;
    size_t count = 0;
    struct af_error err = { 0 };
    bool lets_in = false, is_open = false;
    enum af_status status = doctor_client(d, "ec2", &d->cloud.ec2, &err);
    if (status == AF_OK)
        status = af_ec2_groups(d->cloud.ec2, ids, id_count, port, &d->arena, &groups, &count, &err);
    d->cloud.lookout.knows_groups = status == AF_OK || status == AF_ENOTFOUND;
    d->cloud.lookout.missing_groups = status == AF_ENOTFOUND;
    if (status != AF_OK) {
        doctor_call_failed(f, &err, "ec2:DescribeSecurityGroups");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        lets_in |= groups[i].lets_in;
        is_open |= groups[i].is_open;
    }
    if (!lets_in) {
        doctor_fail(f, "none of %zu lets anybody in to port %u", count, port);
        doctor_advise(f, "add a rule for the clients' group or subnets (allowed_security_groups, allowed_cidrs of infra/modules/influxdb)");
    } else if (is_open) {
        doctor_warn(f, "port %u is open to the whole world", port);
        doctor_advise(f, "name who may: a security group or a subnet instead of 0.0.0.0/0");
    } else {
        doctor_ok(f, "%zu, with rules for port %u", count, port);
    }
}

static void check_interfaces(struct doctor *d, struct af_doctor_finding *f)
{
    const char *ids[AF_EC2_IDS_MAX];
    struct af_ec2_interfaces found;
    struct af_error err = { 0 };
    const size_t count = ids_of(d, "vpcSecurityGroupIds", ids);
    if (count == 0) {
        doctor_skip(f, "the instance names no security group");
        return;
    }
    if (af_ec2_interfaces_of_group(d->cloud.ec2, ids[0], &found, &err) != AF_OK) {
        doctor_call_failed(f, &err, "ec2:DescribeNetworkInterfaces");
        return;
    }
    doctor_ok(f, "%" PRIu64 " of its security group, %" PRIu64 " in use", found.count, found.in_use);
}

static void check_quota(struct doctor *d, struct af_doctor_finding *f)
{
    const uint64_t count = d->cloud.lookout.instance_count;
    if (!d->cloud.lookout.knows_quota) {
        doctor_skip(f, "it needs the right timestream-influxdb:ListDbInstances");
        return;
    }
    doctor_say(f, doctor_judge_quota(count), "%" PRIu64 " of %d instances (unless the account's quota was raised)", count, QUOTA);
    if (f->state != AF_DOCTOR_OK)
        doctor_advise(f, "delete those that are not used, or ask for more at Service Quotas");
}

static void check_role(struct doctor *d, struct af_doctor_finding *f)
{
    char arn[2049];
    struct af_error err = { 0 };
    struct doctor_lookout *l = &d->cloud.lookout;
    enum af_status status = doctor_client(d, "iam", &d->cloud.iam, &err);
    if (status == AF_OK)
        status = af_iam_role(d->cloud.iam, service_role, arn, &err);
    l->knows_role = status == AF_OK || status == AF_ENOTFOUND;
    l->has_role = status == AF_OK;
    if (status == AF_ENOTFOUND) {
        doctor_fail(f, "there is no role %s: the service can make neither interfaces nor metrics", service_role);
        doctor_advise(f, "who makes the first instance needs iam:CreateServiceLinkedRole; or: aws iam create-service-linked-role "
                         "--aws-service-name timestream-influxdb.amazonaws.com");
    } else if (status != AF_OK) {
        doctor_call_failed(f, &err, "iam:GetRole");
    } else {
        doctor_ok(f, "%.200s", arn);
    }
}

/* --- why --------------------------------------------------------------------------------------------------------------------------- */

static bool is_unwell(const struct doctor *d)
{
    return doctor_has_cloud(d) && d->cloud.instance != NULL &&
           (doctor_judge_instance(d->cloud.status) == AF_DOCTOR_FAILED || strcmp(d->cloud.status, "CREATING") == 0);
}

static const char *reason(const struct doctor_lookout *l, bool wants_two_zones)
{
    if (l->missing_subnets != 0)
        return "one of its subnets is gone";
    if (l->missing_groups != 0)
        return "one of its security groups is gone";
    if (l->knows_room && l->least_free == 0)
        return "a subnet has no free address for it";
    if (wants_two_zones && l->knows_room && l->zone_count < 2)
        return "it wants a standby in another zone, and its subnets are in one";
    if (l->knows_role && !l->has_role)
        return "the service's own role is not there";
    if (l->knows_quota && l->instance_count > QUOTA)
        return "there are more instances than the quota has";
    return NULL;
}

static void check_reason(struct doctor *d, struct af_doctor_finding *f)
{
    const struct doctor_lookout *l = &d->cloud.lookout;
    const char *why = reason(l, wants_zones(d));
    const bool has_failed = strcmp(d->cloud.status, "CREATING") != 0;
    if (why != NULL) {
        doctor_fail(f, "%s", why);
        doctor_advise(f, "mend that first; then delete the instance and make it again");
    } else if (!has_failed) {
        doctor_ok(f, "nothing is seen that would keep it from becoming available");
    } else if (!l->knows_room || !l->knows_role || !l->knows_groups) {
        doctor_skip(f, "not all that it stands on could be looked at: see above which rights are missing");
    } else {
        doctor_warn(f, "nothing is wrong with its subnets, groups, quota and role");
        doctor_advise(f, "then AWS may lack capacity for that class in that zone: try another class or zone, and ask AWS's support");
    }
}

#define GROUP "Timestream for InfluxDB"
const struct doctor_row doctor_instance[] = {
    { GROUP, "instance", "identity", doctor_has_cloud, check_instance },
    { GROUP, "status", "instance", doctor_has_cloud, check_status },
    { GROUP, "reach", "instance", doctor_has_cloud, check_reach },
    { GROUP, "parameter group", "instance", doctor_has_cloud, check_parameters },
    { GROUP, "log delivery", "instance", doctor_has_cloud, check_logs },
    { GROUP, "secret", "instance", doctor_has_cloud, check_secret },
    { GROUP, "subnets", "instance", doctor_has_cloud, check_subnets },
    { GROUP, "security groups", "instance", doctor_has_cloud, check_groups },
    { GROUP, "interfaces", "instance", doctor_has_cloud, check_interfaces },
    { GROUP, "quota", "identity", doctor_has_cloud, check_quota },
    { GROUP, "service role", "identity", doctor_has_cloud, check_role },
    { GROUP, "likely reason", "instance", is_unwell, check_reason },
    { NULL, NULL, NULL, NULL, NULL },
};
