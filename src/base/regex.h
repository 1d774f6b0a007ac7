/*
 * regex.h - regular expressions of the language that Go's regexp has, over PCRE2 with its limits on: matching never runs away.
 *
 * What PCRE2 has beyond Go (back references, look-around, recursion, atomic groups, possessive repeats) is refused, as Go's parser does.
 * `$` is the end of the text only. Bytes that are not UTF-8 match nothing but may stand in the text.
 */
#ifndef AF_BASE_REGEX_H
#define AF_BASE_REGEX_H
#include "base/error.h"
#include "base/slice.h"

struct af_regex; /* immutable; any thread */
/* AF_EINVAL: in Go's words where they are known: "error parsing regexp: missing closing ): `(a`". AF_ELIMIT: too large. */
AF_MUST_CHECK enum af_status af_regex_new(struct af_slice pattern, struct af_regex **out, struct af_error *err);
void af_regex_free(struct af_regex *regex); /* NULL is fine */
struct af_slice af_regex_pattern(const struct af_regex *regex);
/* Does it match anywhere in the text? AF_ELIMIT: AF_REGEX_STEPS_MAX steps did not tell. */
AF_MUST_CHECK enum af_status af_regex_match(const struct af_regex *regex, struct af_slice text, bool *out, struct af_error *err);
/* When it matches exactly one text or a few, anchored (^a$, ^(a|b)$): these texts (at most `cap`), so that an index can look them up.
 * 0: it does not. They live as long as the regex. */
size_t af_regex_literals(const struct af_regex *regex, struct af_slice *out, size_t cap);
#endif
