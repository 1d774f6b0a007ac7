/*
 * ec2.h - what an instance stands on: subnets, network interfaces, security groups (EC2), and a role (IAM). Reading only, query protocol.
 *
 * Source: the API references of EC2 (2016-11-15) and IAM (2010-05-08). EC2's answers are XML with their lists as <...Set><item>.
 */
#ifndef AF_AWS_EC2_H
#define AF_AWS_EC2_H
#include "aws/aws.h"

enum { AF_EC2_ID_BYTES = 64, AF_EC2_IDS_MAX = 16 };

struct af_ec2_subnet {
    char id[AF_EC2_ID_BYTES], zone[AF_EC2_ID_BYTES], vpc[AF_EC2_ID_BYTES];
    uint64_t free_addresses;
};
/* Client of "ec2". Those of `ids` (at most AF_EC2_IDS_MAX); an id that is not there is AF_ENOTFOUND for all of them. In `arena`. */
AF_MUST_CHECK enum af_status af_ec2_subnets(struct af_aws_client *client, const char *const *ids, size_t count, struct af_arena *arena,
                                            struct af_ec2_subnet **out, size_t *out_count, struct af_error *err);

struct af_ec2_group {
    char id[AF_EC2_ID_BYTES], vpc[AF_EC2_ID_BYTES];
    bool lets_in;                 /* a rule of it lets somebody in to the port that was asked for */
    bool is_open;                 /* one of these lets everybody in: 0.0.0.0/0 or ::/0 */
};
AF_MUST_CHECK enum af_status af_ec2_groups(struct af_aws_client *client, const char *const *ids, size_t count, uint16_t port,
                                           struct af_arena *arena, struct af_ec2_group **out, size_t *out_count, struct af_error *err);

struct af_ec2_interfaces {
    uint64_t count, in_use;       /* of the first page: at most a thousand */
};
/* Network interfaces that have this security group. */
AF_MUST_CHECK enum af_status af_ec2_interfaces_of_group(struct af_aws_client *client, const char *group, struct af_ec2_interfaces *out,
                                                        struct af_error *err);

/* Client of "iam". AF_ENOTFOUND: there is no such role. */
AF_MUST_CHECK enum af_status af_iam_role(struct af_aws_client *client, const char *name, char out_arn[2049], struct af_error *err);

/* The lists of an answer, for tests: AF_ECORRUPT names what is not as the reference says. */
struct af_xml;
AF_MUST_CHECK enum af_status af_ec2_take_subnets(const struct af_xml *answer, struct af_arena *arena, struct af_ec2_subnet **out,
                                                 size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_ec2_take_groups(const struct af_xml *answer, uint16_t port, struct af_arena *arena,
                                                struct af_ec2_group **out, size_t *out_count, struct af_error *err);
AF_MUST_CHECK enum af_status af_ec2_take_interfaces(const struct af_xml *answer, struct af_ec2_interfaces *out, struct af_error *err);
#endif
