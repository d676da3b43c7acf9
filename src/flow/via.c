#include "flow/via.h"

#include <string.h>

#include "crypto/rand.h"

/* Random host bits behind the prefix. */
static struct ip draw(const struct prefix *p)
{
	size_t bytes = p->ip.family == 4 ? 4 : 16;
	struct ip ip = p->ip;
	uint8_t noise[16];

	rand_fill(noise, bytes);
	for (size_t i = 0; i < bytes; i++) {
		size_t bit = i * 8;
		unsigned keep = p->len >= bit + 8 ? 8u : p->len > bit ? (unsigned)(p->len - bit) : 0u;

		ip.b[i] |= (uint8_t)(noise[i] & (0xffu >> keep));
	}
	return ip;
}

struct ip via_address(const struct conf_send_through *via, const struct flow *f)
{
	struct ip none;

	memset(&none, 0, sizeof(none));
	switch (via->kind) {
	case CONF_VIA_PREFIX:
		return draw(&via->prefix);
	case CONF_VIA_ORIGIN:
		return f && !ip_is_any(&f->local.ip) ? f->local.ip : none;
	case CONF_VIA_SRCIP:
		return f ? f->source.ip : none;
	default:
		return none;
	}
}
