/* The resolver's settings. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/sections.h"
#include "conf/value_parse.h"

enum { DNS_PORT = 53, HTTPS_PORT = 443, DNS_TIMEOUT_MS = 4000, HTTPS_PATH_MAX = 512 };

static enum conf_dns_query query_strategy(const struct jnode *obj, enum conf_dns_query def)
{
	static const struct word words[] = {
		{"UseIP", CONF_DNS_USE_IP},
		{"", CONF_DNS_USE_IP},
		{"UseIPv4", CONF_DNS_USE_IP4},
		{"UseIPv6", CONF_DNS_USE_IP6},
		{"UseSystem", CONF_DNS_USE_SYSTEM},
		{"UseSys", CONF_DNS_USE_SYSTEM},
		{NULL, 0},
	};

	return (enum conf_dns_query)jnode_word(obj, "queryStrategy", words, (int)def);
}

static void client_ip(const struct jnode *obj, struct ip *out)
{
	jnode_ip(obj, "clientIp", out);
}

/* "host", "host:port", "[v6]:port" or a bare IPv6. */
static bool host_and_port(const char *text, uint16_t port, struct addr *out)
{
	struct span s = span_str(text);

	return addr_set_host(out, s, port) == 0 || addr_parse(out, s) == 0;
}

/* What stands behind "https://": host, port, path. */
static bool https_address(const struct jnode *n, const char *text, struct conf_dns_server *out)
{
	const char *slash = strchr(text, '/');
	size_t host = slash ? (size_t)(slash - text) : strlen(text);
	char at[ADDR_TEXT_MAX];

	out->kind = CONF_DNS_HTTPS;
	out->path = slash && slash[1] ? conf_arena_text(n->ld->arena, span_str(slash)) : "/dns-query";
	if (host >= sizeof(at) || strlen(out->path) > HTTPS_PATH_MAX ||
	    strpbrk(out->path, " \t\r\n#"))
		return false;
	memcpy(at, text, host);
	at[host] = 0;
	return host_and_port(at, HTTPS_PORT, &out->addr);
}

static bool unsupported(const struct jnode *n, const char *text)
{
	static const char *const kinds[] = {"h2c://", "h2c+local://", "quic+local://"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncasecmp(text, kinds[i], strlen(kinds[i])) != 0)
			continue;
		jnode_error(n,
			    "name servers of kind %s are not supported, use https://, tcp:// or an "
			    "address",
			    kinds[i]);
		return true;
	}
	if (strcasecmp(text, "fakedns") != 0)
		return false;
	jnode_error(n, "fakedns is not supported");
	return true;
}

static void server_address(const struct jnode *n, uint16_t port, struct conf_dns_server *out)
{
	const char *text = jnode_text(n, "");
	bool ok;

	if (*text == 0) {
		jnode_error(n, "nameserver address is not specified");
		return;
	}
	if (unsupported(n, text))
		return;
	if (strcasecmp(text, "localhost") == 0) {
		out->kind = CONF_DNS_SYSTEM;
		return;
	}
	out->kind = CONF_DNS_UDP;
	if (strncasecmp(text, "tcp://", 6) == 0) {
		out->kind = CONF_DNS_TCP;
		ok = host_and_port(text + 6, port, &out->addr);
	} else if (strncasecmp(text, "tcp+local://", 12) == 0) {
		out->kind = CONF_DNS_TCP;
		out->local = true;
		ok = host_and_port(text + 12, port, &out->addr);
	} else if (strncasecmp(text, "https://", 8) == 0) {
		ok = https_address(n, text + 8, out);
	} else if (strncasecmp(text, "https+local://", 14) == 0) {
		out->local = true;
		ok = https_address(n, text + 14, out);
	} else {
		ok = addr_set_host(&out->addr, span_str(text), port) == 0;
	}
	if (!ok)
		jnode_error(n,
			    "found \"%.60s\", expected \"localhost\", an IP address, tcp://IP:port, "
			    "https://HOST/path, or the last two with +local",
			    text);
}

static void server_object_parse(const struct jnode *n, const struct conf_dns *dns,
				struct conf_dns_server *out)
{
	static const struct key keys[] = {
		KNOWN("address"),
		KNOWN("port"),
		KNOWN("domains"),
		KNOWN("expectedIPs"),
		KNOWN("expectIPs"),
		KNOWN("unexpectedIPs"),
		KNOWN("skipFallback"),
		KNOWN("finalQuery"),
		KNOWN("queryStrategy"),
		KNOWN("clientIp"),
		KNOWN("tag"),
		KNOWN("timeoutMs"),
		KNOWN("disableCache"),
		KNOWN("serveStale"),
		KNOWN("serveExpiredTTL"),
		KEYS_END,
	};
	struct jnode address, ips;
	uint16_t port;

	if (!jnode_object(n, keys))
		return;
	port = jnode_port(n, "port");
	jnode_get(n, "address", &address);
	server_address(&address, port ? port : DNS_PORT, out);
	out->domains = jnode_strs(n, "domains");
	jnode_get2(n, "expectedIPs", "expectIPs", &ips);
	out->expected_ips = jnode_string_list(&ips);
	out->unexpected_ips = jnode_strs(n, "unexpectedIPs");
	out->skip_fallback = jnode_bool(n, "skipFallback", false);
	out->final_query = jnode_bool(n, "finalQuery", false);
	out->query = query_strategy(n, dns->query);
	client_ip(n, &out->client_ip);
	out->tag = jnode_str(n, "tag", dns->tag);
	out->timeout_ms = (uint32_t)jnode_int(n, "timeoutMs", 0, 600000, DNS_TIMEOUT_MS);
	out->disable_cache = jnode_bool(n, "disableCache", dns->disable_cache);
	out->serve_stale = jnode_bool(n, "serveStale", dns->serve_stale);
	out->expired_ttl_s =
		(uint32_t)jnode_int(n, "serveExpiredTTL", 0, UINT32_MAX, dns->expired_ttl_s);
}

static void servers_parse(const struct jnode *obj, struct conf_dns *out)
{
	struct conf_dns_server *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(obj, "servers", &list);
	n = jnode_count(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list)
	{
		struct conf_dns_server *s = &v[i++];

		s->at = jnode_at(&it);
		s->path = "";
		s->tag = out->tag;
		s->query = out->query;
		s->client_ip = out->client_ip;
		s->timeout_ms = DNS_TIMEOUT_MS;
		s->disable_cache = out->disable_cache;
		s->serve_stale = out->serve_stale;
		s->expired_ttl_s = out->expired_ttl_s;
		if (it.v && cJSON_IsString(it.v))
			server_address(&it, DNS_PORT, s);
		else
			server_object_parse(&it, out, s);
	}
	out->servers = v;
	out->n_servers = n;
}

/* Either addresses only, or one name. */
static void check_host_values(const struct jnode *n, const struct conf_strs *values)
{
	size_t names = 0;

	for (size_t i = 0; i < values->n; i++) {
		struct addr a;

		if (addr_set_host(&a, span_str(values->v[i]), 0) != 0)
			jnode_error(n, "found \"%.60s\", expected an IP address or a host name",
				    values->v[i]);
		else
			names += a.kind == ADDR_NAME;
	}
	if (values->n == 0)
		jnode_error(n, "found nothing, expected an IP address or a host name");
	if (names > 0 && values->n > 1)
		jnode_error(n, "expected either IP addresses or exactly one host name");
}

void conf_parse_hosts(const struct jnode *obj, const struct conf_dns_host **out, size_t *out_n)
{
	struct conf_dns_host *v;
	struct jnode list, it;
	size_t n, i = 0;

	jnode_get(obj, "hosts", &list);
	if (!jnode_map(&list))
		return;
	n = jnode_members(&list);
	v = conf_arena_array(list.ld->arena, n, sizeof(*v));
	if (!v)
		return;
	jnode_each(it, &list)
	{
		struct conf_dns_host *h = &v[i++];

		h->at = jnode_at(&it);
		h->rule = conf_arena_text(it.ld->arena, span_str(it.key));
		h->values = jnode_string_list(&it);
		check_host_values(&it, &h->values);
	}
	*out = v;
	*out_n = n;
}

void section_dns(const struct jnode *n, struct conf_dns *out)
{
	static const struct key keys[] = {
		KNOWN("servers"),
		KNOWN("hosts"),
		KNOWN("clientIp"),
		KNOWN("tag"),
		KNOWN("queryStrategy"),
		KNOWN("disableCache"),
		KNOWN("serveStale"),
		KNOWN("serveExpiredTTL"),
		KNOWN("disableFallback"),
		KNOWN("disableFallbackIfMatch"),
		KNOWN("enableParallelQuery"),
		KNOWN("useSystemHosts"),
		KEYS_END,
	};

	out->at = jnode_at(n);
	out->tag = "";
	if (!jnode_object(n, keys))
		return;
	out->given = true;
	out->tag = jnode_str(n, "tag", "");
	out->query = query_strategy(n, CONF_DNS_USE_IP);
	client_ip(n, &out->client_ip);
	out->disable_cache = jnode_bool(n, "disableCache", false);
	out->serve_stale = jnode_bool(n, "serveStale", false);
	out->expired_ttl_s = (uint32_t)jnode_int(n, "serveExpiredTTL", 0, UINT32_MAX, 0);
	out->disable_fallback = jnode_bool(n, "disableFallback", false);
	out->disable_fallback_if_match = jnode_bool(n, "disableFallbackIfMatch", false);
	out->parallel = jnode_bool(n, "enableParallelQuery", false);
	out->use_system_hosts = jnode_bool(n, "useSystemHosts", false);
	servers_parse(n, out);
	conf_parse_hosts(n, &out->hosts, &out->n_hosts);
}
