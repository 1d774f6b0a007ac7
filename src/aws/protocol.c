/* protocol.c - the JSON and query protocols: a body in, a tree out. */
#include "aws/aws_int.h"
#include "base/limits.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "format/xml/xml.h"
#include "net/url.h"
#include <stdio.h>

enum af_status af_aws_json(struct af_aws_client *client, const char *operation, struct af_slice body, struct af_arena *arena,
                           const struct af_json **out, struct af_error *err)
{
    struct af_aws_answer answer;
    struct af_json *tree = NULL;
    struct af_error why = { 0 };
    const struct af_aws_request request = { .target = operation, .body = body.ptr != NULL ? body : AF_SLICE_LIT("{}") };
    af_aws_answer_init(&answer);
    enum af_status status = af_aws_send(client, &request, &answer, err);
    struct af_slice text = af_buf_slice(&answer.http.body);
    if (status == AF_OK && af_slice_trim(text).len == 0)
        text = AF_SLICE_LIT("{}");
    if (status == AF_OK && af_json_parse(text, arena, &tree, &why) != AF_OK)
        status = why.status == AF_ECORRUPT ? af_fail(err, AF_ECORRUPT, "%s %s: the answer is no JSON (%s)",
                                                     aws_client_service(client)->name,
                                                     operation, why.message) :
                 af_fail(err, why.status, "%s %s: %s", aws_client_service(client)->name, operation, why.message);
    if (status == AF_OK && tree->kind != AF_JSON_OBJECT)
        status = af_fail(err, AF_ECORRUPT, "%s %s: the answer is JSON, but no object", aws_client_service(client)->name, operation);
    af_aws_answer_done(&answer);
    if (status == AF_OK)
        *out = tree;
    return status;
}

static void append_form(struct af_buf *out, struct af_slice name, struct af_slice value)
{
    af_buf_append_char(out, '&');
    af_url_append_escaped(out, name);
    af_buf_append_char(out, '=');
    af_url_append_escaped(out, value);
}

static enum af_status take_result(struct af_aws_client *client, const char *action, struct af_slice text, struct af_arena *arena,
                                  const struct af_xml **out, struct af_error *err)
{
    struct af_xml *root = NULL;
    struct af_error why = { 0 };
    char name[96];
    const char *service = aws_client_service(client)->name;
    if (af_xml_parse(text, arena, &root, &why) != AF_OK)
        return why.status == AF_ECORRUPT ? af_fail(err, AF_ECORRUPT, "%s %s: the answer is no XML (%s)", service, action, why.message) :
               af_fail(err, why.status, "%s %s: %s", service, action, why.message);
    (void)snprintf(name, sizeof name, "%sResult", action);
    *out = af_xml_get(root, name);
    if (*out == NULL && strcmp(service, "ec2") == 0) { /* whose answers have no shell around the result */
        (void)snprintf(name, sizeof name, "%sResponse", action);
        *out = af_slice_is(root->name, name) ? root : NULL;
    }
    return *out != NULL ? AF_OK : af_fail(err, AF_ECORRUPT, "%s %s: the answer has no %s", service, action, name);
}

enum af_status af_aws_query(struct af_aws_client *client, const char *action, const struct af_aws_pair *parameters, size_t parameter_count,
                            struct af_arena *arena, const struct af_xml **out, struct af_error *err)
{
    struct af_aws_answer answer;
    struct af_buf body;
    af_aws_answer_init(&answer);
    af_buf_init(&body, AF_HTTP_ANSWER_BYTES_MAX);
    af_buf_printf(&body, "Action=%s&Version=%s", action, aws_client_service(client)->version);
    for (size_t i = 0; i < parameter_count; i++)
        append_form(&body, parameters[i].name, parameters[i].value);
    enum af_status status = af_buf_check(&body, "a request", err);
    const struct af_aws_request request = { .target = action, .body = af_buf_slice(&body) };
    if (status == AF_OK)
        status = af_aws_send(client, &request, &answer, err);
    if (status == AF_OK)
        status = take_result(client, action, af_buf_slice(&answer.http.body), arena, out, err);
    if (body.ptr != NULL)
        af_wipe(body.ptr, body.len);
    if (answer.http.body.ptr != NULL)
        af_wipe(answer.http.body.ptr, answer.http.body.len);
    af_buf_done(&body);
    af_aws_answer_done(&answer);
    return status;
}
