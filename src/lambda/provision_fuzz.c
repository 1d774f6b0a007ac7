/* provision_fuzz.c - any event is an order or a refusal that says why, and parameters that were taken have one spelling. */
#include "lambda/provision_int.h"
#include <assert.h>

static void check_order(const struct af_json *event, struct af_arena *arena)
{
    struct provision_order order;
    struct af_error err = { 0 };
    const enum af_status status = provision_order_read(event, arena, &order, &err);
    assert(status == AF_OK || status == AF_ENOMEM || status == AF_ELIMIT || (status == AF_EINVAL && err.message[0] != '\0'));
    if (status != AF_OK)
        return;
    assert(strncmp(order.url, "https://", 8) == 0 && strchr(order.url, '@') == NULL);
    assert(strncmp(order.prefix, "afluxo ", 7) == 0);
    for (size_t i = 0; i < order.token_count; i++) {
        const struct provision_token *token = &order.tokens[i];
        assert(strncmp(token->description, order.prefix, strlen(order.prefix)) == 0 && strcmp(token->secret, order.secret) != 0);
        assert(token->is_operator == (token->read_count + token->write_count == 0));
    }
}

static void check_parameters(const struct af_json *given, struct af_arena *arena)
{
    struct af_buf once, twice;
    struct af_json *again = NULL;
    struct af_error err = { 0 };
    char name[PROVISION_GROUP_BYTES];
    af_buf_init(&once, 1 << 20);
    af_buf_init(&twice, 1 << 20);
    if (provision_parameters_print(given, &once, &err) == AF_OK) {
        assert(af_json_parse(af_buf_slice(&once), arena, &again, NULL) == AF_OK);
        assert(provision_parameters_differ(given, again) == NULL && provision_parameters_differ(again, given) == NULL);
        assert(provision_parameters_print(again, &twice, NULL) == AF_OK);
        assert(af_slice_eq(af_buf_slice(&once), af_buf_slice(&twice)));
        assert(provision_group_name(AF_SLICE_LIT("grid"), af_buf_slice(&once), name, NULL) == AF_OK);
    } else {
        assert(err.message[0] != '\0');
    }
    af_buf_done(&once);
    af_buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct af_json *event = NULL;
    af_arena_init(&arena, 64 << 20);
    if (af_json_parse(af_slice_make(data, size), &arena, &event, NULL) == AF_OK) {
        check_order(event, &arena);
        check_parameters(event, &arena);
        check_parameters(af_json_get(event, "parameters"), &arena);
    }
    af_arena_done(&arena);
    return 0;
}
