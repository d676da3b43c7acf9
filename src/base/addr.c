#include "base/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

#include "base/err.h"

struct ip ip_v4(const uint8_t b[4])
{
	struct ip ip = {.family = 4};

	memcpy(ip.b, b, 4);
	return ip;
}

struct ip ip_v6(const uint8_t b[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct ip ip = {.family = 6};

	if (memcmp(b, mapped, 12) == 0)
		return ip_v4(b + 12);
	memcpy(ip.b, b, 16);
	return ip;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return false;
	return a->family == 0 || memcmp(a->b, b->b, a->family == 4 ? 4 : 16) == 0;
}

bool ip_is_any(const struct ip *a)
{
	static const uint8_t zero[16];

	return a->family != 0 && memcmp(a->b, zero, a->family == 4 ? 4 : 16) == 0;
}

bool ip_is_loopback(const struct ip *a)
{
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == 4)
		return a->b[0] == 127;
	return a->family == 6 && memcmp(a->b, one, 16) == 0;
}

int ip_parse(struct ip *out, struct span t)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t b[16];

	if (t.n >= 2 && t.p[0] == '[' && t.p[t.n - 1] == ']')
		t = span_of(t.p + 1, t.n - 2);
	if (t.n == 0 || t.n >= sizeof(text) || memchr(t.p, 0, t.n))
		return -ERR_MALFORMED;
	memcpy(text, t.p, t.n);
	text[t.n] = 0;
	if (inet_pton(AF_INET, text, b) == 1)
		*out = ip_v4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*out = ip_v6(b);
	else
		return -ERR_MALFORMED;
	return 0;
}

char *ip_text(const struct ip *a, char *out, size_t cap)
{
	if (a->family == 0 ||
	    !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, out, (socklen_t)cap))
		snprintf(out, cap, "-");
	return out;
}

bool ipport_eq(const struct ipport *a, const struct ipport *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

char *ipport_text(const struct ipport *a, char *out, size_t cap)
{
	char host[INET6_ADDRSTRLEN];

	if (a->ip.family == 0)
		snprintf(out, cap, "-");
	else
		snprintf(out, cap, a->ip.family == 4 ? "%s:%u" : "[%s]:%u",
			 ip_text(&a->ip, host, sizeof(host)), a->port);
	return out;
}

int ipport_from_sockaddr(struct ipport *out, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		*out = (struct ipport){ip_v4((const uint8_t *)&in.sin_addr), ntohs(in.sin_port)};
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		*out = (struct ipport){ip_v6(in6.sin6_addr.s6_addr), ntohs(in6.sin6_port)};
		return 0;
	}
	memset(out, 0, sizeof(*out));
	return -ERR_UNSUPPORTED;
}

socklen_t ipport_to_sockaddr(const struct ipport *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->ip.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip.b, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	memcpy(&in6->sin6_addr, a->ip.b, 16);
	return sizeof(*in6);
}

struct addr addr_from_ip(const struct ip *ip, uint16_t port)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	a.kind = ip->family ? ADDR_IP : ADDR_NONE;
	a.port = port;
	a.ip = *ip;
	return a;
}

static bool name_ok(struct span s)
{
	if (s.n == 0 || s.n > ADDR_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
			return false;
	return true;
}

int addr_set_host(struct addr *out, struct span host, uint16_t port)
{
	struct ip ip;

	if (ip_parse(&ip, host) == 0) {
		*out = addr_from_ip(&ip, port);
		return 0;
	}
	if (!name_ok(host))
		return -ERR_MALFORMED;
	memset(out, 0, sizeof(*out));
	out->kind = ADDR_NAME;
	out->port = port;
	memcpy(out->name, host.p, host.n);
	return 0;
}

static int parse_port(struct span s, uint16_t *out)
{
	unsigned v = 0;

	if (s.n == 0 || s.n > 5)
		return -ERR_MALFORMED;
	for (size_t i = 0; i < s.n; i++) {
		if (!isdigit(s.p[i]))
			return -ERR_MALFORMED;
		v = v * 10 + (unsigned)(s.p[i] - '0');
	}
	if (v > 65535)
		return -ERR_MALFORMED;
	*out = (uint16_t)v;
	return 0;
}

int addr_parse(struct addr *out, struct span t)
{
	uint16_t port;
	size_t i = t.n;

	while (i > 0 && t.p[i - 1] != ':')
		i--;
	if (i == 0 || parse_port(span_of(t.p + i, t.n - i), &port) != 0)
		return -ERR_MALFORMED;
	struct span host = span_of(t.p, i - 1);

	if (memchr(host.p, ':', host.n) && host.p[0] != '[')
		return -ERR_MALFORMED; /* IPv6 needs its brackets */
	return addr_set_host(out, host, port);
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	if (a->kind != b->kind || a->port != b->port)
		return false;
	if (a->kind == ADDR_IP)
		return ip_eq(&a->ip, &b->ip);
	return a->kind == ADDR_NONE || strcmp(a->name, b->name) == 0;
}

char *addr_host_text(const struct addr *a, char *out, size_t cap)
{
	if (a->kind == ADDR_IP)
		return ip_text(&a->ip, out, cap);
	snprintf(out, cap, "%s", a->kind == ADDR_NAME ? a->name : "-");
	return out;
}

char *addr_text(const struct addr *a, char *out, size_t cap)
{
	if (a->kind == ADDR_IP) {
		struct ipport ipp = {a->ip, a->port};

		return ipport_text(&ipp, out, cap);
	}
	if (a->kind == ADDR_NAME)
		snprintf(out, cap, "%s:%u", a->name, a->port);
	else
		snprintf(out, cap, "-");
	return out;
}

bool addr_to_ipport(const struct addr *a, struct ipport *out)
{
	if (a->kind != ADDR_IP)
		return false;
	*out = (struct ipport){a->ip, a->port};
	return true;
}

static void clear_host_bits(struct prefix *p)
{
	size_t bytes = p->ip.family == 4 ? 4 : 16;

	for (size_t i = 0; i < bytes; i++) {
		size_t bit = i * 8;

		if (bit >= p->len)
			p->ip.b[i] = 0;
		else if (p->len - bit < 8)
			p->ip.b[i] &= (uint8_t)(0xff << (8 - (p->len - bit)));
	}
}

int prefix_set(struct prefix *out, const struct ip *ip, unsigned len)
{
	struct prefix p = {.ip = *ip, .len = (uint8_t)len};

	if (ip->family == 0 || len > (ip->family == 4 ? 32 : 128))
		return -ERR_MALFORMED;
	clear_host_bits(&p);
	*out = p;
	return 0;
}

int prefix_parse(struct prefix *out, struct span t)
{
	const uint8_t *slash = t.n ? memchr(t.p, '/', t.n) : NULL;
	struct ip ip;
	uint16_t len;

	if (ip_parse(&ip, slash ? span_of(t.p, (size_t)(slash - t.p)) : t) != 0)
		return -ERR_MALFORMED;
	len = ip.family == 4 ? 32 : 128;
	if (slash && parse_port(span_of(slash + 1, t.n - (size_t)(slash + 1 - t.p)), &len) != 0)
		return -ERR_MALFORMED;
	return prefix_set(out, &ip, len);
}

bool prefix_has(const struct prefix *p, const struct ip *ip)
{
	size_t full = p->len / 8, rest = p->len % 8;

	if (p->ip.family != ip->family || memcmp(p->ip.b, ip->b, full) != 0)
		return false;
	if (rest == 0)
		return true;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	return (p->ip.b[full] & mask) == (ip->b[full] & mask);
}

struct ip prefix_rebase(const struct prefix *to, const struct ip *ip)
{
	size_t full = to->len / 8, rest = to->len % 8;
	struct ip out = *ip;

	memcpy(out.b, to->ip.b, full);
	if (rest) {
		uint8_t mask = (uint8_t)(0xff << (8 - rest));

		out.b[full] = (uint8_t)((to->ip.b[full] & mask) | (ip->b[full] & ~mask));
	}
	return out;
}

char *prefix_text(const struct prefix *p, char *out, size_t cap)
{
	char host[46];

	snprintf(out, cap, "%s/%u", ip_text(&p->ip, host, sizeof(host)), p->len);
	return out;
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return a->len <= b->len ? prefix_has(a, &b->ip) : prefix_has(b, &a->ip);
}

static const char *const private_text[] = {
	"0.0.0.0/8",	  "10.0.0.0/8",	   "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
	"172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15",  "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",  "240.0.0.0/4",
	"::/128",	  "::1/128",	   "fc00::/7",	     "fe80::/10",      "ff00::/8",
};

enum { PRIVATE_COUNT = sizeof(private_text) / sizeof(private_text[0]) };
static struct prefix private_table[PRIVATE_COUNT];
static pthread_once_t private_once = PTHREAD_ONCE_INIT;

static void private_build(void)
{
	for (size_t i = 0; i < PRIVATE_COUNT; i++)
		prefix_parse(&private_table[i], span_str(private_text[i]));
}

const struct prefix *ip_private_table(size_t *n)
{
	pthread_once(&private_once, private_build);
	*n = PRIVATE_COUNT;
	return private_table;
}

bool ip_is_private(const struct ip *ip)
{
	size_t n;
	const struct prefix *t = ip_private_table(&n);

	for (size_t i = 0; i < n; i++)
		if (prefix_has(&t[i], ip))
			return true;
	return false;
}
