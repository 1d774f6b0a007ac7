/*
 * xml.h - the XML that S3, SNS and STS answer with, as a small tree (reading: libexpat).
 *
 * Elements and their text; attributes, comments and processing instructions are passed over, a namespace prefix is cut off. A document
 * type is refused: no entity is ever expanded but the five of XML itself.
 */
#ifndef AF_FORMAT_XML_H
#define AF_FORMAT_XML_H
#include "base/arena.h"
#include "base/buf.h"

struct af_xml {
    struct af_slice name;
    struct af_slice text;   /* all text directly inside, joined; {"", 0} if there is none */
    struct af_xml *first;   /* child */
    struct af_xml *next;    /* sibling */
};
/* AF_ECORRUPT with line and column; AF_ELIMIT past AF_XML_DEPTH_MAX. The tree lives in `arena` and copies what it needs. */
AF_MUST_CHECK enum af_status af_xml_parse(struct af_slice text, struct af_arena *arena, struct af_xml **out, struct af_error *err);
const struct af_xml *af_xml_get(const struct af_xml *element, const char *name);  /* the first child of that name, or NULL */
const struct af_xml *af_xml_next(const struct af_xml *element);                   /* the next sibling of the same name, or NULL */
struct af_slice af_xml_text(const struct af_xml *element, const char *name);      /* of a child; {NULL, 0} if absent */
void af_xml_append_text(struct af_buf *out, struct af_slice text);                /* escaped for element content */
#endif
