/*
 * yaml_int.h - what the files of format/yaml share.
 */
#ifndef AF_FORMAT_YAML_INT_H
#define AF_FORMAT_YAML_INT_H
#include "format/yaml/yaml.h"

/* A word that YAML 1.1 or 1.2 reads as null, or as a truth value (in any case: yes, No, TRUE ...). */
bool af_yaml_is_null_word(struct af_slice text);
bool af_yaml_is_bool_word(struct af_slice text, bool *out);
#endif
