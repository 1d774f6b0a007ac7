/* ec2_test.c - answers of EC2 and IAM as their references show them, and what is asked. */
#include "aws/ec2.h"
#include "aws/service_fixture.h"
#include "format/xml/xml.h"

static const char subnets[] =
    "<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId><subnetSet>"
    "<item><subnetId>subnet-a</subnetId><state>available</state><vpcId>vpc-1</vpcId><availableIpAddressCount>251</availableIpAddressCount>"
    "<availabilityZone>eu-west-1a</availabilityZone></item>"
    "<item><subnetId>subnet-b</subnetId><vpcId>vpc-1</vpcId><availableIpAddressCount>0</availableIpAddressCount>"
    "<availabilityZone>eu-west-1b</availabilityZone></item></subnetSet></DescribeSubnetsResponse>";

AF_TEST(subnets_of_ec2)
{
    static const struct service_answer answers[] = { SAYS(200, subnets), { 0 } };
    static const char *const ids[] = { "subnet-a", "subnet-b" };
    struct service s;
    struct af_ec2_subnet *out;
    size_t count;
    service_begin(&s, "ec2", answers);
    AF_CHECK_OK(af_ec2_subnets(s.client, ids, 2, &s.arena, &out, &count, &s.err), s.err);
    AF_CHECK_INT(count, 2);
    AF_CHECK_STR(out[0].id, "subnet-a");
    AF_CHECK_STR(out[1].zone, "eu-west-1b");
    AF_CHECK_INT(out[0].free_addresses, 251);
    AF_CHECK_INT(out[1].free_addresses, 0);
    AF_CHECK(service_has(service_asked(&s, 0), "Action=DescribeSubnets&Version=2016-11-15&SubnetId.1=subnet-a&SubnetId.2=subnet-b"));
    AF_CHECK(service_has(service_request(&s, 0), "/eu-west-1/ec2/aws4_request"));
    AF_CHECK_FAILS(af_ec2_subnets(s.client, ids, 0, &s.arena, &out, &count, &s.err), AF_EINVAL);
    AF_CHECK_FAILS(af_ec2_subnets(s.client, ids, 17, &s.arena, &out, &count, &s.err), AF_EINVAL);
    service_end(&s);
}

AF_TEST(refusals_of_ec2)
{
    static const struct service_answer answers[] = {
        SAYS(400, "<Response><Errors><Error><Code>InvalidSubnetID.NotFound</Code><Message>The subnet ID 'subnet-a' does not exist</Message>"
                  "</Error></Errors><RequestID>q</RequestID></Response>"),
        SAYS(403, "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation."
                  "</Message></Error></Errors></Response>"),
        SAYS(400, "<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>x</Message></Error></Errors></Response>"),
        SAYS(200, "<Other/>"),
        { 0 },
    };
    static const enum af_status wanted[] = { AF_ENOTFOUND, AF_EDENIED, AF_EINVAL, AF_ECORRUPT };
    static const char *const ids[] = { "subnet-a" };
    struct service s;
    struct af_ec2_subnet *out;
    size_t count;
    service_begin(&s, "ec2", answers);
    for (size_t i = 0; i < 4; i++) {
        AF_CHECK_FAILS(af_ec2_subnets(s.client, ids, 1, &s.arena, &out, &count, &s.err), wanted[i]);
        AF_CHECK_INT(s.err.status, wanted[i]);
    }
    service_end(&s);
}

static void groups_of(const char *rules, uint16_t port, struct af_ec2_group *out)
{
    char text[4096];
    struct af_arena arena;
    struct af_xml *root;
    struct af_ec2_group *groups;
    struct af_error err = { 0 };
    size_t count;
    (void)snprintf(text, sizeof text, "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><vpcId>vpc-1</vpcId>"
                   "<ipPermissions>%s</ipPermissions></item></securityGroupInfo></DescribeSecurityGroupsResponse>", rules);
    af_arena_init(&arena, 1 << 20);
    AF_CHECK_OK(af_xml_parse(af_slice_of(text), &arena, &root, &err), err);
    AF_CHECK_OK(af_ec2_take_groups(root, port, &arena, &groups, &count, &err), err);
    AF_CHECK_INT(count, 1);
    *out = groups[0];
    af_arena_done(&arena);
}

#define RULE(protocol, ports, whom) "<item><ipProtocol>" protocol "</ipProtocol>" ports whom "</item>"
#define PORTS(from, to) "<fromPort>" from "</fromPort><toPort>" to "</toPort>"
#define WORLD "<ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></ipRanges>"
#define WORLD6 "<ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges>"
#define NET "<ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges>"
#define GROUP "<groups><item><groupId>sg-2</groupId></item></groups>"

AF_TEST(rules_that_let_in)
{
    static const struct {
        const char *rules;
        bool lets_in, is_open;
    } rows[] = {
        { "", false, false },
        { RULE("tcp", PORTS("8086", "8086"), GROUP), true, false },
        { RULE("tcp", PORTS("8000", "9000"), NET), true, false },
        { RULE("tcp", PORTS("8087", "9000"), WORLD), false, false },
        { RULE("udp", PORTS("8086", "8086"), WORLD), false, false },
        { RULE("-1", "", WORLD), true, true },
        { RULE("tcp", PORTS("0", "65535"), WORLD6), true, true },
        { RULE("6", PORTS("8086", "8086"), "<prefixListIds><item><prefixListId>pl-1</prefixListId></item></prefixListIds>"), true, false },
        { RULE("tcp", PORTS("8086", "8086"), ""), false, false },
        { RULE("tcp", PORTS("22", "22"), WORLD) RULE("tcp", PORTS("8086", "8086"), NET), true, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct af_ec2_group group;
        groups_of(rows[i].rules, 8086, &group);
        AF_CHECK_INT(group.lets_in, rows[i].lets_in);
        AF_CHECK_INT(group.is_open, rows[i].is_open);
    }
}

AF_TEST(interfaces_of_a_group)
{
    static const struct service_answer answers[] = {
        SAYS(200, "<DescribeNetworkInterfacesResponse><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId>"
                  "<status>in-use</status></item><item><networkInterfaceId>eni-2</networkInterfaceId><status>available</status></item>"
                  "</networkInterfaceSet></DescribeNetworkInterfacesResponse>"),
        { 0 },
    };
    struct service s;
    struct af_ec2_interfaces found;
    service_begin(&s, "ec2", answers);
    AF_CHECK_OK(af_ec2_interfaces_of_group(s.client, "sg-1", &found, &s.err), s.err);
    AF_CHECK_INT(found.count, 2);
    AF_CHECK_INT(found.in_use, 1);
    AF_CHECK(service_has(service_asked(&s, 0), "Filter.1.Name=group-id&Filter.1.Value.1=sg-1"));
    service_end(&s);
}

AF_TEST(a_role_of_iam)
{
    static const struct service_answer answers[] = {
        SAYS(200, "<GetRoleResponse><GetRoleResult><Role><Arn>arn:aws:iam::1:role/x</Arn></Role></GetRoleResult></GetRoleResponse>"),
        SAYS(404, "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>not found</Message></Error></ErrorResponse>"),
        SAYS(200, "<GetRoleResponse><GetRoleResult/></GetRoleResponse>"),
        { 0 },
    };
    struct service s;
    char arn[2049];
    service_begin(&s, "iam", answers);
    AF_CHECK_OK(af_iam_role(s.client, "x", arn, &s.err), s.err);
    AF_CHECK_STR(arn, "arn:aws:iam::1:role/x");
    AF_CHECK(service_has(service_request(&s, 0), "/us-east-1/iam/aws4_request")); /* wherever the caller is */
    AF_CHECK_FAILS(af_iam_role(s.client, "x", arn, &s.err), AF_ENOTFOUND);
    AF_CHECK_FAILS(af_iam_role(s.client, "x", arn, &s.err), AF_ECORRUPT);
    service_end(&s);
}

AF_TEST(answers_that_are_not_as_the_reference_says)
{
    static const char *const texts[] = {
        "<R><subnetSet><item/></subnetSet></R>",
        ("<R><subnetSet><item><subnetId>a</subnetId><availabilityZone>z</availabilityZone><vpcId>v</vpcId>"
         "<availableIpAddressCount>-1</availableIpAddressCount></item></subnetSet></R>"),
        "<R><subnetSet><item><subnetId>0123456789012345678901234567890123456789012345678901234567890123</subnetId></item></subnetSet></R>",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct af_arena arena;
        struct af_xml *root;
        struct af_ec2_subnet *out;
        struct af_error err = { 0 };
        size_t count;
        af_arena_init(&arena, 1 << 20);
        AF_CHECK_OK(af_xml_parse(af_slice_of(texts[i]), &arena, &root, &err), err);
        AF_CHECK_FAILS(af_ec2_take_subnets(root, &arena, &out, &count, &err), AF_ECORRUPT);
        af_arena_done(&arena);
    }
}
