/*
 * The ClientHello (RFC 8446 4.1.2) and its server name (RFC 6066 3):
 *
 *     u8 1 | u24 length | u16 version | 32 random | u8 session id | u16 suites |
 *     u8 compressions | u16 extensions, each u16 type | u16 length | bytes
 *     type 0: u16 list, each u8 type (0: host name) | u16 length | name
 */
#include "proto/sniff.h"

enum {
	HANDSHAKE = 22,
	CLIENT_HELLO = 1,
	RECORD_MAX = 16384 + 256, /* some peers send a little more than they may */
};

static struct span take_u8(struct rd *rd)
{
	return rd_take(rd, rd_u8(rd));
}

static struct span take_u16(struct rd *rd)
{
	return rd_take(rd, rd_u16(rd));
}

/* The first host name of a server_name extension. */
static bool read_names(struct sniff_result *out, struct span extension)
{
	struct rd rd = rd_of(extension), list;

	list = rd_of(take_u16(&rd));
	if (rd.bad || rd.n != 0)
		return false;
	while (list.n > 0) {
		uint8_t type = rd_u8(&list);
		struct span name = take_u16(&list);

		if (list.bad)
			return false;
		if (type == 0) {
			sniff_set_domain(out, name);
			return true;
		}
	}
	return true;
}

static bool read_hello(struct sniff_result *out, struct span body)
{
	struct rd rd = rd_of(body), list;
	struct span session, suites, compressions;

	rd_take(&rd, 2 + 32);
	session = take_u8(&rd);
	suites = take_u16(&rd);
	compressions = take_u8(&rd);
	if (rd.bad || session.n > 32 || suites.n == 0 || suites.n % 2 || compressions.n == 0)
		return false;
	if (rd.n == 0)
		return true; /* extensions are optional until TLS 1.3 */
	list = rd_of(take_u16(&rd));
	if (rd.bad || rd.n != 0)
		return false;
	while (list.n > 0) {
		uint16_t type = rd_u16(&list);
		struct span extension = take_u16(&list);

		if (list.bad || (type == 0 && !read_names(out, extension)))
			return false;
	}
	return true;
}

enum sniff_verdict sniff_hello(struct sniff_result *out, struct span in)
{
	struct rd rd = rd_of(in);
	uint8_t type = rd_u8(&rd);
	size_t len = rd_u24(&rd);
	struct span body;

	if (in.n > 0 && type != CLIENT_HELLO)
		return SNIFF_NONE;
	if (in.n < 4)
		return SNIFF_MORE;
	if (len > SNIFF_HELLO_MAX - 4)
		return SNIFF_NONE;
	body = rd_take(&rd, len);
	if (rd.bad)
		return SNIFF_MORE;
	if (!read_hello(out, body)) {
		out->domain[0] = 0;
		return SNIFF_NONE;
	}
	return SNIFF_FOUND;
}

/* A record header that fits so far; 0 length when it is not all there. */
static bool record_ok(struct span in, size_t *len)
{
	*len = 0;
	if ((in.n > 0 && in.p[0] != HANDSHAKE) || (in.n > 1 && in.p[1] != 3))
		return false;
	if (in.n >= 5) {
		*len = (size_t)in.p[3] << 8 | in.p[4];
		return *len > 0 && *len <= RECORD_MAX;
	}
	return true;
}

/* The first record alone needs no copy; a message over several is put together first. */
enum sniff_verdict sniff_tls(struct sniff_result *out, struct span in)
{
	uint8_t joined[SNIFF_HELLO_MAX];
	struct wr wr = wr_of(joined, sizeof(joined));
	enum sniff_verdict v = SNIFF_MORE;
	size_t len;

	while (v == SNIFF_MORE) {
		struct span part;

		if (!record_ok(in, &len))
			return SNIFF_NONE;
		if (in.n < 5)
			break;
		part = span_of(in.p + 5, in.n - 5 < len ? in.n - 5 : len);
		if (wr.n == 0)
			v = sniff_hello(out, part);
		if (v == SNIFF_MORE) {
			wr_bytes(&wr, part.p, part.n);
			if (wr.bad)
				return SNIFF_NONE;
			v = sniff_hello(out, span_of(joined, wr.n));
		}
		if (v == SNIFF_MORE && wr.n > 0)
			out->proto = SNIFF_TLS;
		if (in.n - 5 < len)
			break;
		in = span_of(in.p + 5 + len, in.n - 5 - len);
	}
	if (v == SNIFF_FOUND)
		out->proto = SNIFF_TLS;
	if (v == SNIFF_NONE)
		out->proto = SNIFF_UNKNOWN;
	return v;
}
