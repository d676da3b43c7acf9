#include "route/geolist.h"

#include "base/err.h"
#include "proto/protobuf.h"
#include "route/ascii.h"

int geolist_open(struct geolist *l, struct span file)
{
	struct rd r = rd_of(file);
	struct protobuf_field f;

	if (protobuf_read_field(&r, &f) != 1 || f.number != 1 || f.type != PROTOBUF_BYTES)
		return -ERR_MALFORMED;
	l->entry = rd_of(f.bytes);
	return 0;
}

/* The next member of the list, whatever its kind: field 2 in both formats. */
static int next_member(struct geolist *l, struct span *out)
{
	struct protobuf_field f;
	int rc;

	while ((rc = protobuf_read_field(&l->entry, &f)) == 1) {
		if (f.number == 2 && f.type == PROTOBUF_BYTES) {
			*out = f.bytes;
			return 1;
		}
	}
	return rc;
}

static void set_ip(struct ip *out, struct span bytes)
{
	if (bytes.n == 4)
		*out = ip_v4(bytes.p);
	else if (bytes.n == 16)
		*out = ip_v6(bytes.p);
}

int geolist_next_prefix(struct geolist *l, struct prefix *out)
{
	struct span bytes = {NULL, 0}, member;
	struct protobuf_field f;
	struct prefix p = {0};
	uint64_t len = 0;
	int rc = next_member(l, &member);
	struct rd r = rd_of(member);

	if (rc != 1)
		return rc;
	while ((rc = protobuf_read_field(&r, &f)) == 1) {
		if (f.number == 1 && f.type == PROTOBUF_BYTES)
			bytes = f.bytes;
		else if (f.number == 2 && f.type == PROTOBUF_VARINT)
			len = f.value;
	}
	if (rc != 0)
		return rc;
	set_ip(&p.ip, bytes);
	/* an IPv4 address written as IPv6 */
	if (p.ip.family == 4 && bytes.n == 16)
		len = len >= 96 ? len - 96 : UINT64_MAX;
	if (len > (p.ip.family == 4 ? 32 : 128))
		p.ip.family = 0;
	p.len = (uint8_t)len;
	*out = p;
	return 1;
}

int geolist_next_domain(struct geolist *l, struct geolist_domain *out)
{
	static const enum domset_kind kinds[] = {DOMSET_KEYWORD, DOMSET_REGEXP, DOMSET_DOMAIN,
						 DOMSET_FULL};
	struct geolist_domain d = {.kind = DOMSET_KEYWORD};
	struct protobuf_field f;
	uint64_t type = 0;
	int rc = next_member(l, &d.message);
	struct rd r = rd_of(d.message);

	if (rc != 1)
		return rc;
	while ((rc = protobuf_read_field(&r, &f)) == 1) {
		if (f.number == 1 && f.type == PROTOBUF_VARINT)
			type = f.value;
		else if (f.number == 2 && f.type == PROTOBUF_BYTES)
			d.value = f.bytes;
	}
	if (rc != 0)
		return rc;
	if (type < sizeof(kinds) / sizeof(kinds[0]))
		d.kind = kinds[type];
	else
		d.value = span_of(NULL, 0);
	*out = d;
	return 1;
}

static bool same_code(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

bool geolist_has_attr(const struct geolist_domain *d, struct span key)
{
	struct rd r = rd_of(d->message);
	struct protobuf_field f, g;

	while (protobuf_read_field(&r, &f) == 1) {
		struct rd a = rd_of(f.bytes);

		if (f.number != 3 || f.type != PROTOBUF_BYTES)
			continue;
		while (protobuf_read_field(&a, &g) == 1)
			if (g.number == 1 && g.type == PROTOBUF_BYTES && same_code(g.bytes, key))
				return true;
	}
	return false;
}
