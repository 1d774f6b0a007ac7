/*
 * yaml.h - YAML documents as a tree (libyaml). One document; anchors and aliases allowed, expansion bounded; no tags.
 */
#ifndef AF_FORMAT_YAML_H
#define AF_FORMAT_YAML_H
#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

enum af_yaml_kind { AF_YAML_NULL, AF_YAML_SCALAR, AF_YAML_LIST, AF_YAML_MAP };
struct af_yaml {
    enum af_yaml_kind kind;
    struct af_slice text;   /* SCALAR */
    bool is_quoted;         /* SCALAR: "no" is text, no is not */
    struct af_slice key;    /* of a map's member */
    uint32_t line, column;  /* 1-based, of the value (of the key for members) */
    struct af_yaml *first;
    struct af_yaml *next;
};
/* `name` is for messages. AF_EINVAL with line and column; AF_ELIMIT past AF_YAML_*_MAX; repeated keys of a map are AF_EINVAL. An
 * empty document is a NULL node. */
AF_MUST_CHECK enum af_status af_yaml_parse(const char *name, struct af_slice text, struct af_arena *arena, struct af_yaml **out,
                                           struct af_error *err);
const struct af_yaml *af_yaml_get(const struct af_yaml *map, const char *key); /* NULL if absent */
bool af_yaml_bool(const struct af_yaml *node, bool *out);                      /* true/false/yes/no/on/off, unquoted */
/* Append `text` as a YAML scalar, quoted where it must be. */
struct af_buf;
void af_yaml_append_scalar(struct af_buf *out, struct af_slice text);
#endif
