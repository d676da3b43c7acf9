/*
 * Heads of HTTP/1 messages (RFC 9112): found in a stream, taken apart into spans,
 * never copied. What a proxy does with them is in proto/httpproxy.h, and where a
 * chunked body ends in proto/httpchunk.h.
 *
 *     empty lines* | start line | fields* | empty line
 *
 * Lines end with CRLF or LF alone. A field continued on the next line, a blank before
 * a colon and control characters are refused, as is anything else that two programs
 * could read differently.
 *
 * All spans of a decoded head point into the input.
 */
#ifndef GARENNE_PROTO_HTTP_H
#define GARENNE_PROTO_HTTP_H

#include <sys/types.h>

#include "base/span.h"

enum {
	HTTP_HEAD_MAX = 65536,
	HTTP_METHOD_MAX = 32, /* what is longer is no method but noise */
};

struct http_field {
	struct span name, value; /* the value without the blanks around it */
};

struct http_request {
	struct span method, target;
	uint8_t major, minor; /* of the version: 1.0, 1.1; the preface of HTTP/2 says 2.0 */
	struct span fields;
};

struct http_response {
	uint8_t major, minor;
	uint16_t status; /* 100..999 */
	struct span reason;
	struct span fields;
};

enum http_body_kind {
	HTTP_BODY_NONE = 0,
	HTTP_BODY_LENGTH,  /* @length bytes, possibly 0 */
	HTTP_BODY_CHUNKED, /* ends as proto/httpchunk.h says */
	HTTP_BODY_CLOSE,   /* responses only: all until the connection ends */
};

struct http_body {
	uint8_t kind;
	uint64_t length;
};

/**
 * Consumed, 0, -ERR_MALFORMED, or -ERR_LIMIT when no end shows within HTTP_HEAD_MAX. What
 * does not begin with a method or a version is refused before the head is complete. @seen
 * (may be NULL) starts as 0 and remembers between calls, with the same bytes and more, how
 * far lines have been looked at.
 */
ssize_t http_request_decode(struct http_request *out, struct span in, size_t *seen);
ssize_t http_response_decode(struct http_response *out, struct span in, size_t *seen);

/** Takes the first field off @fields, which a decoder has accepted. False at the end. */
bool http_next_field(struct span *fields, struct http_field *out);
/** The first field of that name (any case). */
bool http_find_field(struct span fields, const char *name, struct span *value);
/** Does a field of that name list @word? Commas separate; both in any case. */
bool http_field_lists(struct span fields, const char *name, const char *word);
/** Takes the first element off a comma-separated value, without blanks; false at the end. */
bool http_next_element(struct span *value, struct span *out);

/** May a name, a value be written into a head as they are? */
bool http_is_token(struct span s);
bool http_is_value(struct span s);
/** Equal but for the case of ASCII letters. */
bool http_same_name(struct span a, struct span b);
static inline bool http_same_word(struct span a, const char *b)
{
	return http_same_name(a, span_str(b));
}

/** How the body behind a request is delimited. 0, or -ERR_MALFORMED: lengths that contradict
 * each other or a transfer coding, a coding that does not end with "chunked". */
int http_request_body(struct http_body *out, const struct http_request *in);
/** The same for the answer to a request with @method; "Transfer-Encoding" goes before a length. */
int http_response_body(struct http_body *out, const struct http_response *in, struct span method);

/** Does the client of a proxy want to send another request after this one? "close" and
 * "keep-alive" in Connection or Proxy-Connection, else the default of the version. */
bool http_request_persists(const struct http_request *in);

#endif
