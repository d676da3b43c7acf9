#include "proto/netaddr.h"

#include "base/err.h"

/* The type bytes of one family. */
struct types {
	uint8_t v4, name, v6;
};

static const struct types port_first = {.v4 = 1, .name = 2, .v6 = 3};
static const struct types socks = {.v4 = 1, .name = 3, .v6 = 4};

/* Reads type and host; the port of @out is zero. Returns as the public readers do. */
static int read_host(struct rd *r, const struct types *t, struct addr *out)
{
	uint8_t type = rd_u8(r);
	struct span host;
	struct ip ip;

	if (r->bad)
		return 0;
	if (type == t->name) {
		uint8_t n = rd_u8(r);

		if (!r->bad && n == 0)
			return -ERR_MALFORMED;
		host = rd_take(r, n);
		if (r->bad)
			return 0;
		return addr_set_host(out, host, 0) == 0 ? 1 : -ERR_MALFORMED;
	}
	if (type != t->v4 && type != t->v6)
		return -ERR_MALFORMED;
	host = rd_take(r, type == t->v4 ? 4 : 16);
	if (r->bad)
		return 0;
	ip = type == t->v4 ? ip_v4(host.p) : ip_v6(host.p);
	*out = addr_from_ip(&ip, 0);
	return 1;
}

int netaddr_read_port_first(struct rd *r, struct addr *out)
{
	uint16_t port = rd_u16(r);
	int got = r->bad ? 0 : read_host(r, &port_first, out);

	if (got == 1)
		out->port = port;
	return got;
}

int netaddr_read_socks(struct rd *r, struct addr *out)
{
	struct addr a;
	int got = read_host(r, &socks, &a);

	if (got != 1)
		return got;
	a.port = rd_u16(r);
	if (r->bad)
		return 0;
	*out = a;
	return 1;
}

static void write_host(struct wr *w, const struct types *t, const struct addr *a)
{
	if (a->kind == ADDR_NAME) {
		size_t n = strlen(a->name);

		wr_u8(w, t->name);
		wr_u8(w, (unsigned)n);
		wr_bytes(w, a->name, n);
	} else {
		bool v4 = a->ip.family == 4;

		wr_u8(w, v4 ? t->v4 : t->v6);
		wr_bytes(w, a->ip.b, v4 ? 4 : 16);
	}
}

static int write_any(struct wr *w, const struct types *t, const struct addr *a)
{
	if (netaddr_size(a) == 0) {
		w->bad = true;
		return -ERR_MALFORMED;
	}
	if (t == &port_first)
		wr_u16(w, a->port);
	write_host(w, t, a);
	if (t == &socks)
		wr_u16(w, a->port);
	return w->bad ? -ERR_LIMIT : 0;
}

int netaddr_write_port_first(struct wr *w, const struct addr *a)
{
	return write_any(w, &port_first, a);
}

int netaddr_write_socks(struct wr *w, const struct addr *a)
{
	return write_any(w, &socks, a);
}

size_t netaddr_size(const struct addr *a)
{
	if (a->kind == ADDR_NAME && a->name[0] != 0)
		return 2 + 1 + 1 + strlen(a->name);
	if (a->kind == ADDR_IP && a->ip.family != 0)
		return a->ip.family == 4 ? 2 + 1 + 4 : 2 + 1 + 16;
	return 0;
}
