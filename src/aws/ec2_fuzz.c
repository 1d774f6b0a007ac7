/* ec2_fuzz.c - answers of EC2: what is taken of them has an id that ends, and no more items than the text has room for. */
#include "aws/ec2.h"
#include "format/xml/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const char id[AF_EC2_ID_BYTES])
{
    if (id[0] == '\0' || memchr(id, '\0', AF_EC2_ID_BYTES) == NULL)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct af_xml *root = NULL;
    struct af_ec2_subnet *subnets = NULL;
    struct af_ec2_group *groups = NULL, *others = NULL;
    struct af_ec2_interfaces interfaces = { 0 };
    size_t count = 0;
    af_arena_init(&arena, 64 << 20);
    if (af_xml_parse(af_slice_make(data, size), &arena, &root, NULL) == AF_OK) {
        if (af_ec2_take_subnets(root, &arena, &subnets, &count, NULL) == AF_OK) {
            for (size_t i = 0; i < count; i++)
                check_id(subnets[i].id);
            if (count > size)
                __builtin_trap();
        }
        size_t other = 0;
        if (af_ec2_take_groups(root, 8086, &arena, &groups, &count, NULL) == AF_OK) {
            if (af_ec2_take_groups(root, 0, &arena, &others, &other, NULL) != AF_OK || other != count)
                __builtin_trap(); /* the port does not change which groups there are */
            for (size_t i = 0; i < count; i++) {
                check_id(groups[i].id);
                if (groups[i].is_open && !groups[i].lets_in)
                    __builtin_trap();
            }
        }
        if (af_ec2_take_interfaces(root, &interfaces, NULL) == AF_OK && (interfaces.in_use > interfaces.count || interfaces.count > size))
            __builtin_trap();
    }
    af_arena_done(&arena);
    return 0;
}
