/*
 * The Internet checksum (RFC 1071), over pieces: pieces may have odd lengths, the sum is that of
 * all of them in a row.
 */
#ifndef GARENNE_PROTO_IPSUM_H
#define GARENNE_PROTO_IPSUM_H

#include "base/addr.h"
#include "base/span.h"

struct ipsum {
	uint64_t acc;
	bool odd; /* an odd number of bytes so far */
};

static inline struct ipsum ipsum_new(void)
{
	return (struct ipsum){0, false};
}

void ipsum_add(struct ipsum *s, struct span b);
/** The pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1). */
void ipsum_add_pseudo(struct ipsum *s, const struct ip *src, const struct ip *dst, uint8_t proto,
		      uint32_t len);
/** The sum folded to 16 bits, in the order of the host and not complemented. */
uint16_t ipsum_fold(const struct ipsum *s);
/** What goes into the field: the complement. */
static inline uint16_t ipsum_field(const struct ipsum *s)
{
	return (uint16_t)~ipsum_fold(s);
}

#endif
