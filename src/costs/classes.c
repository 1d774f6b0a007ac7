/* classes.c - which class a usage type is: the table of classes.def, and its patterns. */
#include "costs/costs.h"

static const struct {
    const char *service, *usage_type;
    enum af_cost_class cost_class;
} table[] = {
#define AF_X(service, usage_type, cost_class, source) { service, usage_type, AF_COST_##cost_class },
#include "costs/classes.def"
#undef AF_X
};

const char *af_cost_class_name(enum af_cost_class cost_class)
{
    static const char *const names[AF_COST_CLASSES] = { "instance hours", "storage", "backups", "lambda", "sqs", "s3", "transfer",
                                                        "logs and metrics", "other" };
    return names[cost_class];
}

/* A star that fails later takes one byte more: only the last star met needs to, so time is pattern times text at most. */
bool af_cost_matches(const char *pattern, struct af_slice text)
{
    const char *star = NULL;
    size_t at = 0, from_star = 0;
    while (at < text.len) {
        if (*pattern == '*') {
            star = ++pattern;
            from_star = at;
        } else if (*pattern != '\0' && *pattern == text.ptr[at]) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++from_star;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

enum af_cost_class af_cost_classify(struct af_slice service, struct af_slice usage_type)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (af_cost_matches(table[i].service, service) && af_cost_matches(table[i].usage_type, usage_type))
            return table[i].cost_class;
    return AF_COST_OTHER;
}
