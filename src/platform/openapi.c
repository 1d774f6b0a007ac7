/* openapi.c - the paths of this room described, as GET /openapi.json gives it. A test compares it with what is answered. */
#include "platform/platform_int.h"

#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define JSON_OF(schema) "{\"application/json\":{\"schema\":" schema "}}"
#define TEXT "{\"type\":\"string\"}"
#define WHOLE "{\"type\":\"integer\"}"
#define REFUSALS \
    "\"400\":" REFUSAL("the request or the query is wrong") ",\"401\":" REFUSAL("no valid credentials") \
    ",\"403\":" REFUSAL("no right to read this, or the query would write") ",\"404\":" REFUSAL("no such database or bucket") \
    ",\"413\":" REFUSAL("the request is too large") ",\"429\":" REFUSAL("too many queries at once") \
    ",\"501\":" REFUSAL("not offered by this target") ",\"503\":" REFUSAL("InfluxDB cannot be reached") \
    ",\"504\":" REFUSAL("the query took too long")
#define REFUSAL(text) "{\"description\":\"" text "\",\"content\":" JSON_OF(REF("Error")) "}"
#define QUERY(summary, request) \
    "{\"post\":{\"summary\":\"" summary "\",\"requestBody\":{\"required\":true,\"content\":" JSON_OF(REF(request)) "},\"responses\":{" \
    "\"200\":{\"description\":\"rows\",\"content\":" JSON_OF(REF("Rows")) "}," REFUSALS "}}}"

const char platform_openapi[] =
    "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"ONS energy data\",\"version\":\"1\"},"
    "\"security\":[{\"key\":[]},{\"token\":[]},{\"basic\":[]}],\"paths\":{"
    "\"/query/flux\":" QUERY("A query in Flux", "FluxQuery") ","
    "\"/query/influxql\":" QUERY("A query in InfluxQL", "InfluxqlQuery") ","
    "\"/query\":{\"post\":{\"summary\":\"A question in words; not answered yet\",\"requestBody\":{\"required\":true,\"content\":"
    JSON_OF(REF("Question")) "},\"responses\":{" REFUSALS "}}}},"
    "\"components\":{\"securitySchemes\":{"
    "\"key\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"x-api-key\"},"
    "\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"},\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"}},\"schemas\":{"
    "\"Options\":{\"type\":\"object\",\"properties\":{\"format\":{\"type\":\"string\",\"enum\":[\"json\"]},"
    "\"include_metadata\":{\"type\":\"boolean\",\"default\":true},\"limit\":{\"type\":\"integer\",\"minimum\":1}}},"
    "\"FluxQuery\":{\"type\":\"object\",\"required\":[\"query\"],\"properties\":{\"query\":" TEXT ",\"options\":" REF("Options") "}},"
    "\"InfluxqlQuery\":{\"type\":\"object\",\"required\":[\"query\"],\"properties\":{\"query\":" TEXT ",\"database\":" TEXT
    ",\"options\":" REF("Options") "}},"
    "\"Question\":{\"type\":\"object\",\"required\":[\"question\"],\"properties\":{\"question\":"
    "{\"type\":\"string\",\"minLength\":1,\"maxLength\":1000}}},"
    "\"Rows\":{\"type\":\"object\",\"required\":[\"query_id\",\"query\",\"data\",\"result_count\",\"truncated\",\"execution_time_ms\"],"
    "\"properties\":{\"query_id\":" TEXT ",\"query\":" TEXT ",\"execution_time_ms\":{\"type\":\"number\"},\"result_count\":" WHOLE
    ",\"truncated\":{\"type\":\"boolean\"},\"data\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":true}},"
    "\"metadata\":{\"type\":\"object\",\"properties\":{\"columns\":{\"type\":\"array\",\"items\":" TEXT "},"
    "\"data_types\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"datetime\",\"float\",\"integer\",\"unsigned\","
    "\"boolean\",\"string\"]}},\"query_cost\":{\"type\":\"number\"}}}}},"
    "\"Error\":{\"type\":\"object\",\"required\":[\"error\",\"status_code\"],\"properties\":{\"status_code\":" WHOLE
    ",\"error\":{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\",\"enum\":[\"INFLUXDB_CONNECTION_ERROR\","
    "\"INFLUXDB_QUERY_ERROR\",\"INFLUXDB_QUERY_TIMEOUT\",\"INFLUXDB_SYNTAX_ERROR\",\"INFLUXDB_PERMISSION_ERROR\","
    "\"DATA_NOT_FOUND\",\"INVALID_REQUEST\",\"UNAUTHORIZED\",\"ENDPOINT_NOT_FOUND\",\"METHOD_NOT_ALLOWED\",\"TOO_MANY_REQUESTS\","
    "\"NOT_IMPLEMENTED\",\"INTERNAL_ERROR\"]},\"message\":" TEXT ",\"details\":{\"type\":\"object\",\"properties\":{"
    "\"influxdb_error\":{\"type\":\"string\",\"nullable\":true},\"query_line\":{\"type\":\"integer\",\"nullable\":true},"
    "\"query_position\":{\"type\":\"integer\",\"nullable\":true},\"suggested_fix\":{\"type\":\"string\",\"nullable\":true}}},"
    "\"timestamp\":" TEXT ",\"query_id\":" TEXT "}}}}}}}";
