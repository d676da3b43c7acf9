#include "app/mesh_wish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/cli.h"
#include "conf/outbound.h"

enum { PORT_HTTPS = 443 };

static const char file_default[] = "mesh.json", target_default[] = "www.example.com:443";

size_t mesh_wish_opts(struct mesh_wish *w, struct opts table[MESH_WISH_OPTS])
{
	const struct opts all[] = {
		{.name = "file", .text = &w->file},	    {.name = "address", .text = &w->address},
		{.name = "software", .text = &w->software}, {.name = "app", .text = &w->app},
		{.name = "socks", .text = &w->socks},	    {.name = "security", .text = &w->security},
		{.name = "target", .text = &w->target},	    {.name = "certificate", .text = &w->cert},
		{.name = "key", .text = &w->key},	    {.name = "lan", .list = &w->lans},
		{.name = "no-tun", .flag = &w->no_tun},	    {.name = NULL},
	};

	memcpy(table, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]) - 1;
}

/* ---- options of another kind of node ---- */

static int check_kind(const struct command *c, const struct mesh_wish *w, enum mesh_kind kind)
{
	enum { HUB = 1 << MESH_HUB, SITE = 1 << MESH_SITE, PHONE = 1 << MESH_PHONE };
	const struct {
		const char *name;
		bool given;
		unsigned kinds;
	} v[] = {
		{"address", w->address, HUB},  {"security", w->security, HUB},
		{"target", w->target, HUB},    {"certificate", w->cert, HUB},
		{"key", w->key, HUB},	       {"software", w->software, HUB | SITE},
		{"socks", w->socks, SITE},     {"lan", w->lans.n > 0, SITE},
		{"no-tun", w->no_tun, SITE},   {"app", w->app, PHONE},
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (v[i].given && !(v[i].kinds & 1u << kind))
			return cli_usage(c, "-%s: means nothing for a %s", v[i].name,
					 mesh_kind_name(kind));
	return 0;
}

/* ---- single options ---- */

/* One of the words in @words, which "|" separates. */
static int check_word(const struct command *c, const char *option, const char *text,
		      const char *words)
{
	size_t n = text ? strlen(text) : 0;

	for (const char *w = words; text && *w; w += strcspn(w, "|"), w += *w == '|')
		if (strcspn(w, "|") == n && strncmp(w, text, n) == 0)
			return 0;
	return text ? cli_usage(c, "-%s: found \"%s\", expected one of: %s", option, text, words) : 0;
}

static bool is_port(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n > 0 && n < 6 && text[n] == 0 && atol(text) > 0 && atol(text) < 65536;
}

static int check_socks(const struct command *c, const char *text)
{
	struct addr a;

	if (!text || is_port(text) ||
	    (addr_parse(&a, span_str(text)) == 0 && a.kind == ADDR_IP && a.port))
		return 0;
	return cli_usage(c, "-socks: found \"%s\", expected a port, or an address with a port, of the "
			    "site's own: 1080 or 192.168.1.2:1080", text);
}

static int check_lan(const struct command *c, const char *text)
{
	struct prefix p;
	char want[64];

	if (!strchr(text, '/') || prefix_parse(&p, span_str(text)) != 0 || p.len == 0)
		return cli_usage(c, "-lan: found \"%s\", expected a prefix like 192.168.1.0/24", text);
	prefix_text(&p, want, sizeof(want));
	if (p.ip.family == 4 && strcmp(want, text) != 0)
		return cli_usage(c, "-lan: found \"%s\", which has bits behind the first %u; expected "
				    "\"%s\"", text, p.len, want);
	return 0;
}

static bool host_or_port(struct addr *out, const char *text)
{
	return (addr_parse(out, span_str(text)) == 0 && out->port) ||
	       addr_set_host(out, span_str(text), PORT_HTTPS) == 0;
}

static int check_hub(const struct command *c, struct mesh_wish *w)
{
	struct addr a;
	bool tls;

	if (!w->address)
		return cli_usage(c, "expected -address HOST or -address HOST:PORT, by which everybody "
				    "dials the hub");
	if (!host_or_port(&a, w->address))
		return cli_usage(c, "-address: found \"%s\", expected HOST or HOST:PORT: a name, or an "
				    "address, by which everybody dials the hub", w->address);
	w->security = w->security ? w->security : "reality";
	if (strcmp(w->security, "none") == 0 && !conf_server_is_private(&a))
		return cli_usage(c, "-security: found \"none\" for %s, which is on the internet; expected "
				    "reality or tls", w->address);
	tls = strcmp(w->security, "tls") == 0;
	if ((w->cert || w->key) && !tls)
		return cli_usage(c, "-%s: means nothing with -security %s",
				 w->cert ? "certificate" : "key", w->security);
	if (!w->cert != !w->key)
		return cli_usage(c, "found only -%s, expected -certificate and -key together: files on "
				    "the hub", w->cert ? "certificate" : "key");
	if (strcmp(w->security, "reality") != 0 && w->target)
		return cli_usage(c, "-target: means nothing with -security %s", w->security);
	if (w->target && (addr_parse(&a, span_str(w->target)) != 0 || a.kind != ADDR_NAME || !a.port))
		return cli_usage(c, "-target: found \"%s\", expected the web site that the hub looks "
				    "like, as NAME:443", w->target);
	w->any_target = !w->target && strcmp(w->security, "reality") == 0;
	w->target = w->target ? w->target : target_default;
	return 0;
}

int mesh_wish_check(const struct command *c, struct mesh_wish *w, enum mesh_kind kind)
{
	int code = check_kind(c, w, kind);

	w->file = w->file ? w->file : file_default;
	if (!code && !mesh_name_ok(w->name))
		code = cli_usage(c, "found \"%s\", expected a name for the %s: a-z, 0-9 and \"-\", at "
				    "most %d bytes", w->name, mesh_kind_name(kind), MESH_NAME_MAX);
	if (!code)
		code = check_word(c, "software", w->software, "garenne|xray|v2ray");
	if (!code)
		code = check_word(c, "security", w->security, "reality|tls|none");
	if (!code)
		code = check_word(c, "app", w->app, "v2rayng|sing-box|other");
	if (!code)
		code = check_socks(c, w->socks);
	for (size_t i = 0; i < w->lans.n && !code; i++)
		code = check_lan(c, w->lans.v[i]);
	if (!code && kind == MESH_HUB)
		code = check_hub(c, w);
	return code;
}

void mesh_wish_address(const struct mesh_wish *w, struct addr *out)
{
	host_or_port(out, w->address);
}
