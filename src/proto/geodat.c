#include "proto/geodat.h"

#include "base/err.h"
#include "proto/protobuf.h"

enum {
	ENTRY = 1, /* of a file */
	CODE = 1,
	MEMBER = 2, /* of a list, in both formats */
	CIDR_IP = 1,
	CIDR_PREFIX = 2,
	DOMAIN_TYPE = 1,
	DOMAIN_VALUE = 2,
	DOMAIN_ATTRIBUTE = 3,
	ATTRIBUTE_KEY = 1,
	ATTRIBUTE_BOOL = 2,
	MESSAGE_MAX = 2 * GEODAT_VALUE_MAX, /* of one member that we write */
};

static bool is_bytes(const struct protobuf_field *f, uint32_t number)
{
	return f->number == number && f->type == PROTOBUF_BYTES;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

static bool same_code(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

/* The next field of that number, which holds bytes; others are passed over. */
static int next_bytes(struct rd *r, uint32_t number, struct span *out)
{
	struct protobuf_field f;
	int rc;

	while ((rc = protobuf_read_field(r, &f)) == 1) {
		if (is_bytes(&f, number)) {
			*out = f.bytes;
			return 1;
		}
	}
	return rc;
}

int geodat_next_list(struct rd *file, struct geodat_list *out)
{
	struct span body, code = {NULL, 0};
	struct rd r;
	int rc = next_bytes(file, ENTRY, &body);

	if (rc != 1)
		return rc;
	r = rd_of(body);
	if (next_bytes(&r, CODE, &code) < 0)
		return -ERR_MALFORMED;
	*out = (struct geodat_list){code, rd_of(body)};
	return 1;
}

int geodat_find(struct geodat_list *out, struct span file, struct span code)
{
	struct rd r = rd_of(file);
	struct geodat_list l;
	int rc;

	while ((rc = geodat_next_list(&r, &l)) == 1) {
		if (same_code(l.code, code)) {
			*out = l;
			return 1;
		}
	}
	return rc;
}

/* Leaves @out without a family when the bytes are no prefix. */
static void set_prefix(struct prefix *out, struct span bytes, uint64_t len)
{
	struct ip ip = {0};

	if (bytes.n == 4)
		ip = ip_v4(bytes.p);
	else if (bytes.n == 16)
		ip = ip_v6(bytes.p);
	if (ip.family == 4 && bytes.n == 16) /* IPv4 written as IPv6 */
		len = len >= 96 ? len - 96 : UINT64_MAX;
	if (len > 128 || prefix_set(out, &ip, (unsigned)len) != 0)
		*out = (struct prefix){.ip = {.family = 0}};
}

int geodat_next_prefix(struct geodat_list *l, struct prefix *out)
{
	struct span bytes = {NULL, 0}, member;
	struct protobuf_field f;
	uint64_t len = 0;
	struct rd r;
	int rc = next_bytes(&l->entries, MEMBER, &member);

	if (rc != 1)
		return rc;
	r = rd_of(member);
	while ((rc = protobuf_read_field(&r, &f)) == 1) {
		if (is_bytes(&f, CIDR_IP))
			bytes = f.bytes;
		else if (f.number == CIDR_PREFIX && f.type == PROTOBUF_VARINT)
			len = f.value;
	}
	if (rc != 0)
		return rc;
	set_prefix(out, bytes, len);
	return 1;
}

int geodat_next_domain(struct geodat_list *l, struct geodat_domain *out)
{
	struct geodat_domain d = {.type = GEODAT_SUBSTRING};
	struct protobuf_field f;
	uint64_t type = 0;
	struct rd r;
	int rc = next_bytes(&l->entries, MEMBER, &d.message);

	if (rc != 1)
		return rc;
	r = rd_of(d.message);
	while ((rc = protobuf_read_field(&r, &f)) == 1) {
		if (f.number == DOMAIN_TYPE && f.type == PROTOBUF_VARINT)
			type = f.value;
		else if (is_bytes(&f, DOMAIN_VALUE))
			d.value = f.bytes;
	}
	if (rc != 0)
		return rc;
	if (type <= GEODAT_FULL)
		d.type = (enum geodat_type)type;
	else
		d.value = span_of(NULL, 0);
	*out = d;
	return 1;
}

bool geodat_has_attribute(const struct geodat_domain *d, struct span key)
{
	struct rd r = rd_of(d->message);
	struct span attribute, name;

	while (next_bytes(&r, DOMAIN_ATTRIBUTE, &attribute) == 1) {
		struct rd a = rd_of(attribute);

		while (next_bytes(&a, ATTRIBUTE_KEY, &name) == 1)
			if (same_code(name, key))
				return true;
	}
	return false;
}

/* One member, without its own tag and length. */
static struct wr prefix_message(uint8_t *room, const struct prefix *p)
{
	struct wr w = wr_of(room, MESSAGE_MAX);

	protobuf_write_bytes(&w, CIDR_IP, span_of(p->ip.b, p->ip.family == 4 ? 4 : 16));
	if (p->len > 0)
		protobuf_write_varint(&w, CIDR_PREFIX, p->len);
	return w;
}

static void write_attributes(struct wr *w, const char *names)
{
	while (*names) {
		size_t n = strcspn(names, " ");
		uint8_t room[GEODAT_VALUE_MAX];
		struct wr a = wr_of(room, sizeof(room));

		if (n > 0) {
			protobuf_write_bytes(&a, ATTRIBUTE_KEY, span_of(names, n));
			protobuf_write_varint(&a, ATTRIBUTE_BOOL, 1);
			protobuf_write_bytes(w, DOMAIN_ATTRIBUTE, span_of(room, a.n));
			w->bad |= a.bad;
		}
		names += n + (names[n] == ' ');
	}
}

static struct wr domain_message(uint8_t *room, const struct geodat_rule *r)
{
	struct wr w = wr_of(room, MESSAGE_MAX);

	if (r->type != GEODAT_SUBSTRING)
		protobuf_write_varint(&w, DOMAIN_TYPE, r->type);
	protobuf_write_bytes(&w, DOMAIN_VALUE, span_str(r->value));
	if (r->attributes)
		write_attributes(&w, r->attributes);
	return w;
}

static size_t varint_len(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* Bytes of a field that holds @n bytes; our field numbers take one byte. */
static size_t field_len(size_t n)
{
	return 1 + varint_len(n) + n;
}

/* Tag and length of a list whose members have @n bytes in all, and its code. */
static void begin_list(struct wr *out, struct span code, size_t n)
{
	uint64_t len = field_len(code.n) + n;

	wr_u8(out, ENTRY << 3 | PROTOBUF_BYTES);
	for (; len >= 0x80; len >>= 7)
		wr_u8(out, (unsigned)(len & 0x7f) | 0x80);
	wr_u8(out, (unsigned)len);
	protobuf_write_bytes(out, CODE, code);
}

/* Twice over the members: lengths come before contents. */
int geodat_write_prefixes(struct wr *out, struct span code, const struct prefix *p, size_t n)
{
	uint8_t room[MESSAGE_MAX];
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += field_len(prefix_message(room, &p[i]).n);
	begin_list(out, code, sum);
	for (size_t i = 0; i < n && !out->bad; i++)
		protobuf_write_bytes(out, MEMBER, span_of(room, prefix_message(room, &p[i]).n));
	return out->bad ? -ERR_LIMIT : 0;
}

int geodat_write_domains(struct wr *out, struct span code, const struct geodat_rule *r, size_t n)
{
	uint8_t room[MESSAGE_MAX];
	size_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		struct wr w = domain_message(room, &r[i]);

		if (w.bad || strlen(r[i].value) > GEODAT_VALUE_MAX)
			return -ERR_LIMIT;
		sum += field_len(w.n);
	}
	begin_list(out, code, sum);
	for (size_t i = 0; i < n && !out->bad; i++)
		protobuf_write_bytes(out, MEMBER, span_of(room, domain_message(room, &r[i]).n));
	return out->bad ? -ERR_LIMIT : 0;
}
