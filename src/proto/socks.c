#include "proto/socks.h"

#include "base/err.h"

enum { LOGIN_VERSION = 1, LOGIN_WELCOME = 0, LOGIN_REFUSED = 0xff };
enum { TOR_RESOLVE = 0xf0, TOR_RESOLVE_PTR = 0xf1 };
enum { SOCKS4_GRANTED = 90, SOCKS4_REFUSED = 91 };
enum { TYPE_NAME = 3 };

static int wr_result(const struct wr *w)
{
	return w->bad ? -ERR_LIMIT : 0;
}

/* Consumed when all was there, else 0. */
static ssize_t rd_result(const struct rd *r, struct span in)
{
	return r->bad ? 0 : (ssize_t)(in.n - r->n);
}

ssize_t socks5_greeting_decode(struct socks5_greeting *out, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	struct span methods;

	if (!r.bad && version != SOCKS5_VERSION)
		return -ERR_MALFORMED;
	methods = rd_take(&r, rd_u8(&r));
	if (!r.bad)
		out->methods = methods;
	return rd_result(&r, in);
}

int socks5_greeting_encode(struct wr *out, const struct socks5_greeting *in)
{
	if (in->methods.n > UINT8_MAX)
		return -ERR_LIMIT;
	wr_u8(out, SOCKS5_VERSION);
	wr_u8(out, (unsigned)in->methods.n);
	wr_bytes(out, in->methods.p, in->methods.n);
	return wr_result(out);
}

bool socks5_offers(const struct socks5_greeting *greeting, enum socks5_method method)
{
	return greeting->methods.n && memchr(greeting->methods.p, method, greeting->methods.n);
}

ssize_t socks5_method_decode(uint8_t *method, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r), m;

	if (!r.bad && version != SOCKS5_VERSION)
		return -ERR_MALFORMED;
	m = rd_u8(&r);
	if (!r.bad)
		*method = m;
	return rd_result(&r, in);
}

int socks5_method_encode(struct wr *out, uint8_t method)
{
	wr_u8(out, SOCKS5_VERSION);
	wr_u8(out, method);
	return wr_result(out);
}

ssize_t socks5_login_decode(struct socks5_login *out, struct span in)
{
	struct rd r = rd_of(in);
	struct socks5_login login;

	rd_u8(&r);
	login.user = rd_take(&r, rd_u8(&r));
	login.password = rd_take(&r, rd_u8(&r));
	if (!r.bad)
		*out = login;
	return rd_result(&r, in);
}

int socks5_login_encode(struct wr *out, const struct socks5_login *in)
{
	if (in->user.n > SOCKS5_STRING_MAX || in->password.n > SOCKS5_STRING_MAX)
		return -ERR_LIMIT;
	wr_u8(out, LOGIN_VERSION);
	wr_u8(out, (unsigned)in->user.n);
	wr_bytes(out, in->user.p, in->user.n);
	wr_u8(out, (unsigned)in->password.n);
	wr_bytes(out, in->password.p, in->password.n);
	return wr_result(out);
}

ssize_t socks5_verdict_decode(bool *welcome, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t status;

	rd_u8(&r);
	status = rd_u8(&r);
	if (!r.bad)
		*welcome = status == LOGIN_WELCOME;
	return rd_result(&r, in);
}

int socks5_verdict_encode(struct wr *out, bool welcome)
{
	wr_u8(out, LOGIN_VERSION);
	wr_u8(out, welcome ? LOGIN_WELCOME : LOGIN_REFUSED);
	return wr_result(out);
}

ssize_t socks5_request_decode(struct socks_request *out, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t command;
	struct addr target;
	int got;

	rd_u8(&r);
	command = rd_u8(&r);
	if (command == TOR_RESOLVE || command == TOR_RESOLVE_PTR)
		command = SOCKS_CONNECT;
	if (!r.bad && command != SOCKS_CONNECT && command != SOCKS_UDP)
		return -ERR_UNSUPPORTED;
	rd_u8(&r);
	got = netaddr_read_socks(&r, &target);
	if (got != 1)
		return got;
	out->command = command;
	out->target = target;
	return rd_result(&r, in);
}

int socks5_request_encode(struct wr *out, const struct socks_request *in)
{
	wr_u8(out, SOCKS5_VERSION);
	wr_u8(out, in->command);
	wr_u8(out, 0);
	return netaddr_write_socks(out, &in->target);
}

/*
 * The bound address of a reply. Servers put all sorts of things there, so a name that
 * is none (an empty one, say) is read over; only an unknown type leaves us without a length.
 */
static int read_bound(struct rd *r, struct addr *out)
{
	struct span name;
	uint16_t port;

	if (r->n == 0 || r->p[0] != TYPE_NAME)
		return netaddr_read_socks(r, out);
	rd_u8(r);
	name = rd_take(r, rd_u8(r));
	port = rd_u16(r);
	if (r->bad)
		return 0;
	if (addr_set_host(out, name, port) != 0)
		memset(out, 0, sizeof(*out));
	return 1;
}

ssize_t socks5_reply_decode(struct socks5_reply *out, struct span in)
{
	struct rd r = rd_of(in);
	struct socks5_reply reply = {0};
	uint8_t version = rd_u8(&r);
	int got;

	if (!r.bad && version != SOCKS5_VERSION)
		return -ERR_MALFORMED;
	reply.code = rd_u8(&r);
	if (!r.bad && reply.code == SOCKS5_OK) {
		rd_u8(&r);
		got = read_bound(&r, &reply.bound);
		if (got != 1)
			return got;
	}
	if (!r.bad)
		*out = reply;
	return rd_result(&r, in);
}

int socks5_reply_encode(struct wr *out, const struct socks5_reply *in)
{
	wr_u8(out, SOCKS5_VERSION);
	wr_u8(out, in->code);
	wr_u8(out, 0);
	if (in->bound.kind != ADDR_NONE)
		return netaddr_write_socks(out, &in->bound);
	wr_bytes(out, "\1\0\0\0\0\0\0", 7);
	return wr_result(out);
}

ssize_t socks5_datagram_decode(struct addr *peer, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t fragment;

	rd_u16(&r);
	fragment = rd_u8(&r);
	if (fragment != 0)
		return -ERR_UNSUPPORTED;
	if (netaddr_read_socks(&r, peer) != 1)
		return -ERR_MALFORMED;
	return (ssize_t)(in.n - r.n);
}

int socks5_datagram_encode(struct wr *out, const struct addr *peer)
{
	wr_u16(out, 0);
	wr_u8(out, 0);
	return netaddr_write_socks(out, peer);
}

/* Bytes up to a zero, which is taken too. 1, 0, or -ERR_LIMIT when it is longer than @max. */
static int read_string(struct rd *r, size_t max, struct span *out)
{
	size_t look = r->n > max ? max + 1 : r->n;
	const uint8_t *zero = look ? memchr(r->p, 0, look) : NULL;

	if (!zero)
		return look > max ? -ERR_LIMIT : 0;
	*out = rd_take(r, (size_t)(zero - r->p));
	rd_u8(r);
	return 1;
}

ssize_t socks4_request_decode(struct socks_request *out, struct span in)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r), command;
	struct span ip, user, name;
	uint16_t port;
	int got;

	if (!r.bad && version != SOCKS4_VERSION)
		return -ERR_MALFORMED;
	command = rd_u8(&r);
	if (!r.bad && command != SOCKS_CONNECT)
		return -ERR_UNSUPPORTED;
	port = rd_u16(&r);
	ip = rd_take(&r, 4);
	if (r.bad)
		return 0;
	got = read_string(&r, SOCKS4_USER_MAX, &user);
	if (got != 1)
		return got;
	if (ip.p[0] == 0) {
		got = read_string(&r, ADDR_NAME_MAX, &name);
		if (got != 1)
			return got;
		if (addr_set_host(&out->target, name, port) != 0)
			return -ERR_MALFORMED;
	} else {
		struct ip v4 = ip_v4(ip.p);

		out->target = addr_from_ip(&v4, port);
	}
	out->command = command;
	return rd_result(&r, in);
}

int socks4_reply_encode(struct wr *out, bool granted)
{
	wr_u8(out, 0);
	wr_u8(out, granted ? SOCKS4_GRANTED : SOCKS4_REFUSED);
	wr_bytes(out, "\0\0\0\0\0\0", 6);
	return wr_result(out);
}
