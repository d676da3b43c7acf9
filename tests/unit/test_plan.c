/*
 * vpn: the plan of routes and rules. A table of set-ups, benign and hostile: each says
 * what must be in the printed plan, and what refuses it. Of every plan that is not
 * refused it is tried, by a model of the kernel that shares only the lookup with the
 * plan, that none of our own packets gets into the TUN and that its routes work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "kstate_kit.h"
#include "vpn/plan.h"

/* A laptop at home. */
#define HOME                                                                                       \
	"link 1 lo\nlink 2 eth0\naddr 127.0.0.1/8 dev 1\naddr 192.168.1.10/24 dev 2\n"             \
	"route 0.0.0.0/0 via 192.168.1.1 dev 2\n"
#define HOME6                                                                                      \
	HOME "addr 2001:db8:1::10/64 dev 2\nroute fe80::/64 dev 2\n"                               \
	     "route ::/0 via fe80::1 dev 2\n"
#define WG_QUICK                                                                                   \
	"link 9 wg0 kind wireguard\naddr 10.9.0.2/32 dev 9\nroute 0.0.0.0/0 dev 9 table 51820\n"   \
	"rule 32764 table 254 suppress 0\nrule 32765 not mark 0xca6c table 51820\n"

#define MESH "\"addresses\":[\"10.77.0.2/24\"],\"routes\":[\"198.18.0.0/15\",\"100.64.0.0/10\"]"
#define ALL "\"addresses\":[\"10.77.0.2/24\"],\"routes\":[\"default\"]"
#define ALL4 "\"addresses\":[\"10.77.0.2/24\"],\"routes\":[\"0.0.0.0/0\"]"

struct setup {
	const char *name, *state;
	const char *tun;     /* settings of the inbound */
	const char *server;  /* of the outbound */
	const char *sockopt; /* of the outbound, or NULL */
	const char *has[5];  /* what the plan must say */
	const char *refused; /* NULL: it is not */
	bool quiet;	     /* neither warned nor refused */
};

static const struct setup setups[] = {
	/* benign */
	{"mesh routes only", HOME, MESH, "203.0.113.5", NULL,
	 {"route 198.18.0.0/15 into vpn0 (routes)\n", "route 10.77.0.0/24 into vpn0 (addresses)\n",
	  "rule 9000 ipv4 not mark 0x2761 table 26465 but not its default route\n",
	  "server 203.0.113.5:443 of [hub] by eth0\n"}, NULL, true},
	{"default route through the TUN", HOME6, ALL, "203.0.113.5", NULL,
	 {"route 0.0.0.0/0 into vpn0", "route ::/0 into vpn0",
	  "route 203.0.113.5/32 outside (server of [hub])\n",
	  "rule 9001 ipv6 not mark 0x2761 table main but not its default route\n",
	  "rule 9002 ipv4 not mark 0x2761 table 26465\n"}, NULL, true},
	{"hub address inside a mapped prefix", HOME "route 198.19.5.0/24 via 192.168.1.2 dev 2\n",
	 MESH, "198.19.5.1", NULL,
	 {"route 198.19.5.1/32 outside (server of [hub])\n",
	  "route 198.19.5.0/24 outside (route by eth0)\n",
	  "server 198.19.5.1:443 of [hub] by eth0\n"}, NULL, true},
	{"hub in a mapped prefix, by the default route", HOME, MESH, "198.19.5.1", NULL,
	 {"route 198.19.5.1/32 outside", "server 198.19.5.1:443 of [hub] by eth0\n"}, NULL, true},
	{"hub on the LAN", HOME, ALL, "192.168.1.2", NULL,
	 {"server 192.168.1.2:443 of [hub] by eth0\n"}, NULL, true},
	{"IPv6-only underlay", "link 1 lo\nlink 2 eth0\naddr 2001:db8:1::10/64 dev 2\n"
			       "route ::/0 via fe80::1 dev 2\n",
	 ALL, "2001:db8:f::5", NULL,
	 {"route 2001:db8:f::5/128 outside", "server [2001:db8:f::5]:443 of [hub] by eth0\n"},
	 NULL, true},
	{"IPv4 address of the hub on an IPv6-only underlay",
	 "link 1 lo\nlink 2 eth0\naddr 2001:db8:1::10/64 dev 2\nroute ::/0 via fe80::1 dev 2\n",
	 ALL, "203.0.113.5", NULL,
	 {"warning: server 203.0.113.5:443 of [hub]: there is no route to it now\n"}, NULL, false},
	{"IPv6 switched off", HOME "noipv6\n", ALL, "203.0.113.5", NULL,
	 {"note: IPv6 is off on this machine"}, NULL, true},
	{"another VPN that takes everything, and we add a mesh", HOME WG_QUICK, MESH,
	 "203.0.113.5", NULL, {"server 203.0.113.5:443 of [hub] by wg0\n"}, NULL, true},
	{"another VPN that takes everything, and so do we", HOME WG_QUICK, ALL4, "203.0.113.5",
	 NULL, {"server 203.0.113.5:443 of [hub] by wg0\n"}, NULL, true},
	{"another VPN with halves of the world in main",
	 HOME "link 8 tun1 kind tun\naddr 10.8.0.6/24 dev 8\nroute 0.0.0.0/1 via 10.8.0.1 dev 8\n"
	      "route 128.0.0.0/1 via 10.8.0.1 dev 8\n", ALL4, "203.0.113.5", NULL,
	 {"warning: route 0.0.0.0/0: routes of the table main by tun1 come first",
	  "server 203.0.113.5:443 of [hub] by tun1\n"}, NULL, false},
	{"another VPN's rule in front of ours",
	 HOME "link 8 tun1 kind tun\nroute 0.0.0.0/0 dev 8 table 77\nrule 50 table 77\n", ALL4,
	 "203.0.113.5", NULL,
	 {"warning: route 0.0.0.0/0: the rule of priority 50 comes first"}, NULL, false},
	{"a LAN inside a route of ours", HOME, "\"routes\":[\"192.168.0.0/16\"]", "203.0.113.5",
	 NULL, {"route 192.168.1.0/24 outside (route by eth0)\n"}, NULL, true},
	{"docker and bridges", HOME "link 5 docker0 kind bridge\naddr 172.17.0.1/16 dev 5\n", ALL,
	 "203.0.113.5", NULL, {"route 0.0.0.0/0 into vpn0"}, NULL, true},
	{"rules of uplinks by source address",
	 HOME "link 3 wlan0\naddr 192.168.2.10/24 dev 3\nroute 0.0.0.0/0 via 192.168.2.1 dev 3 "
	      "table 200\nrule 20000 from 192.168.2.10 table 200\n", ALL4, "203.0.113.5", NULL,
	 {"server 203.0.113.5:443 of [hub] by eth0\n"}, NULL, true},
	{"two uplinks, the better one first",
	 HOME "link 3 wwan0\naddr 100.90.1.2/30 dev 3\nroute 0.0.0.0/0 dev 3 metric 700\n", ALL4,
	 "203.0.113.5", NULL, {"server 203.0.113.5:443 of [hub] by eth0\n"}, NULL, true},
	{"carrier-grade NAT from the mesh's range",
	 HOME "link 3 wwan0\naddr 100.90.1.2/30 dev 3\n", MESH, "203.0.113.5", NULL,
	 {"route 100.90.1.0/30 outside (route by wwan0)\n"}, NULL, true},
	{"a machine in a VRF", HOME "rule 1000 picky table 10\n", ALL, "203.0.113.5", NULL,
	 {"by eth0\n"}, NULL, true},
	{"no network yet", "link 1 lo\naddr 127.0.0.1/8 dev 1\n", ALL, "203.0.113.5", NULL,
	 {"there is no route to it now"}, NULL, false},
	{"a hub whose name is not resolved", HOME, ALL, "hub.test", NULL,
	 {"note: server hub.test:443 of [hub]: its addresses are not known yet"}, NULL, true},
	{"left behind by a killed program of ours",
	 HOME "route 0.0.0.0/0 table 26465 proto 103 unreachable\n"
	      "route ::/0 dev 1 table 26465 proto 103 unreachable\n"
	      "rule 9000 not mark 0x2761 table 26465 suppress 0 proto 103\n"
	      "rule 9001 not mark 0x2761 table 254 suppress 0 proto 103\n", MESH, "203.0.113.5",
	 NULL, {"table 26465 but"}, NULL, true},
	{"another TUN of ours is at work",
	 HOME "link 7 vpn9 kind tun\nroute 10.5.0.0/16 dev 7 table 26465 proto 103\n"
	      "rule 9000 not mark 0x2761 table 26465 suppress 0 proto 103\n", MESH, "203.0.113.5",
	 NULL, {"table 26466 but"}, NULL, true},
	{"somebody has our table", HOME "route 10.5.0.0/16 dev 2 table 26465\n", MESH,
	 "203.0.113.5", NULL, {"table 26466 but"}, NULL, true},
	{"a local server with a mesh alone", HOME, MESH, "127.0.0.1", NULL,
	 {"server 127.0.0.1:443 of [hub] by lo\n"}, NULL, true},
	{"a local server, and everything goes through it", HOME, ALL, "127.0.0.1", NULL,
	 {"warning: server 127.0.0.1:443 of [hub] is on this machine"}, NULL, false},
	{"a strict reverse path filter", HOME "link 3 wlan0 strict\nroute 0.0.0.0/0 dev 3\n", ALL4,
	 "203.0.113.5", NULL, {"note: rp_filter of wlan0 is strict"}, NULL, true},
	{"IPv4 only, and IPv6 leaks", HOME6, ALL4, "203.0.113.5", NULL,
	 {"warning: IPv6 has a default route of its own"}, NULL, false},
	{"a LAN of documentation's addresses",
	 "link 1 lo\nlink 2 eth0\naddr 192.0.2.10/24 dev 2\nroute 0.0.0.0/0 via 192.0.2.1 dev 2\n",
	 ALL, "203.0.113.5", NULL, {"by eth0\n"}, NULL, true},
	{"kill switch", HOME, ALL4 ",\"killSwitch\":true", "203.0.113.5", NULL,
	 {"route 0.0.0.0/0 nowhere (killSwitch)\n"}, NULL, true},
	{"exclusion", HOME, ALL4 ",\"exclude\":[\"10.0.0.0/8\"]", "203.0.113.5", NULL,
	 {"route 10.0.0.0/8 outside (exclude)\n"}, NULL, true},
	{"a wide LAN with our addresses in it",
	 "link 1 lo\nlink 2 eth0\naddr 10.1.2.3/8 dev 2\nroute 0.0.0.0/0 via 10.0.0.1 dev 2\n", MESH,
	 "203.0.113.5", NULL,
	 {"warning: address 10.77.0.2/24: hides a part of 10.0.0.0/8, the network of eth0"}, NULL,
	 false},
	{"a static route that ours replaces", HOME "route 198.18.0.0/15 via 192.168.1.9 dev 2\n",
	 MESH, "203.0.113.5", NULL,
	 {"warning: route 198.18.0.0/15: replaces the system's route by eth0"}, NULL, false},
	{"our device is there already", HOME "link 4 vpn0 kind tun\n", ALL4, "203.0.113.5", NULL,
	 {"by eth0\n"}, NULL, true},
	{"bound to a device", HOME "link 3 wlan0\nroute 0.0.0.0/0 dev 3 metric 600\n", ALL4,
	 "203.0.113.5", "\"interface\":\"wlan0\"",
	 {"server 203.0.113.5:443 of [hub] by wlan0\n"}, NULL, true},
	/* hostile */
	{"the hub is our own address", HOME, MESH, "10.77.0.2", NULL, {NULL},
	 "server 10.77.0.2:443 of [hub] is the TUN's own address: a loop", false},
	{"main leads into the TUN", HOME "link 4 vpn0 kind tun\nroute 203.0.113.0/24 dev 4\n", MESH,
	 "203.0.113.5", NULL, {NULL},
	 "a route of the table 254 (203.0.113.0/24) leads our own connections into vpn0: a loop",
	 false},
	{"main's default route is the TUN", "link 1 lo\nlink 4 vpn0 kind tun\nroute 0.0.0.0/0 dev 4\n",
	 MESH, "203.0.113.5", NULL, {NULL}, "leads our own connections into vpn0: a loop", false},
	{"a rule sends our mark into the TUN",
	 HOME "link 4 vpn0 kind tun\nroute 0.0.0.0/0 dev 4 table 33\nrule 700 mark 0x2761 table 33\n",
	 MESH, "203.0.113.5", NULL, {NULL}, "a route of the table 33 (0.0.0.0/0) leads", false},
	{"a rule without mask bits sends everything into the TUN",
	 HOME "link 4 vpn0 kind tun\nroute 0.0.0.0/0 dev 4 table 33\nrule 32000 table 33\n", MESH,
	 "203.0.113.5", NULL, {NULL}, "a route of the table 33 (0.0.0.0/0) leads", false},
	{"an outbound with a mark of its own", HOME, ALL4, "198.51.100.7", "\"mark\":5", {NULL},
	 NULL, false},
	{"an outbound with a mark of its own, in a route of the mesh", HOME,
	 "\"routes\":[\"203.0.113.0/24\"]", "203.0.113.5", "\"mark\":5",
	 {"route 203.0.113.5/32 outside (server of [hub])\n"}, NULL, false},
	{"our address is a neighbour's", HOME "link 3 wlan0\naddr 10.77.0.2/16 dev 3\n", MESH,
	 "203.0.113.5", NULL, {NULL}, "address 10.77.0.2/24: wlan0 has it already", false},
	{"our addresses are the LAN's", "link 1 lo\nlink 2 eth0\naddr 10.77.0.9/24 dev 2\n"
					"route 0.0.0.0/0 via 10.77.0.1 dev 2\n",
	 MESH, "203.0.113.5", NULL, {NULL},
	 "10.77.0.0/24 is the network of eth0, which would be cut off", false},
	{"a route is the LAN", HOME, "\"routes\":[\"192.168.1.0/24\"]", "203.0.113.5", NULL, {NULL},
	 "route 192.168.1.0/24: is the network of eth0, which would be cut off", false},
	{"another VPN's table is named", HOME WG_QUICK, MESH ",\"table\":51820", "203.0.113.5", NULL,
	 {NULL}, "table 51820 holds routes or has rules that are not ours", false},
	{"another TUN's table is named",
	 HOME "link 7 vpn9 kind tun\nroute 10.5.0.0/16 dev 7 table 500 proto 103\n",
	 MESH ",\"table\":500", "203.0.113.5", NULL, {NULL},
	 "table 500 is in use by another TUN of ours", false},
	{"the name belongs to a bridge", HOME "link 4 vpn0 kind bridge\n", MESH, "203.0.113.5", NULL,
	 {NULL}, "the name vpn0 is taken by a device that is no TUN (bridge)", false},
	{"the rule for local addresses comes late",
	 HOME "norules\nrule 30000 table 255\nrule 32766 table 254\n", ALL4, "203.0.113.5", NULL,
	 {NULL}, "would not be local any more", false},
};

static struct conf *load(const struct setup *s)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	char text[2048], line[1024];
	struct conf *c;

	snprintf(text, sizeof(text),
		 "{\"inbounds\":[{\"tag\":\"t\",\"protocol\":\"tun\",\"settings\":{\"name\":"
		 "\"vpn0\",%s}}],\"outbounds\":[{\"tag\":\"hub\",\"protocol\":\"socks\","
		 "\"settings\":{\"address\":\"%s\",\"port\":443},\"streamSettings\":{\"sockopt\":"
		 "{%s}}}]}", s->tun, s->server, s->sockopt ? s->sockopt : "");
	c = conf_load_text("t.json", span_str(text), &msgs);
	for (size_t i = 0; !c && i < msgs.n; i++)
		print_message("%s\n", conf_msg_text(&msgs.v[i], line, sizeof(line)));
	conf_msgs_free(&msgs);
	assert_non_null(c);
	return c;
}

static void check_text(const struct setup *s, const struct plan *p)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	bool ok = true;

	assert_non_null(f);
	plan_print(p, f);
	fclose(f);
	for (size_t i = 0; i < 5 && s->has[i]; i++)
		ok &= strstr(text, s->has[i]) != NULL;
	ok &= s->refused ? p->refusals && strstr(text, s->refused) : p->refusals == 0;
	ok &= !s->quiet || p->warnings == 0;
	if (!ok)
		print_message("%s:\n%s", s->name, text);
	assert_true(ok);
	free(text);
}

/* The state after the plan, by hand and not by the plan's own means. */
static struct kstate after(const char *state, const struct plan *p)
{
	static const char *const kinds[] = {"dev 4000", "", "unreachable"};
	char *text = NULL, ip[64];
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct kstate k;

	assert_non_null(f);
	fputs(state, f);
	fprintf(f, "link 4000 vpn0 kind tun\n");
	for (size_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].kind != PLAN_THROW)
			fprintf(f, "route %s/%u %s table %u proto 103 metric %u\n",
				ip_text(&p->routes[i].dst.ip, ip, sizeof(ip)), p->routes[i].dst.len,
				kinds[p->routes[i].kind], p->table,
				p->routes[i].kind == PLAN_NOWHERE ? UINT32_MAX : 1);
	for (size_t i = 0; i < p->n_rules; i++)
		fprintf(f, "rule %u not mark %u table %u%s%s proto 103\n", p->rules[i].prio,
			p->mark, p->rules[i].table, p->rules[i].suppress ? " suppress 0" : "",
			p->rules[i].family == 6 ? " ipv6" : "");
	fclose(f);
	k = kit_state(text);
	free(text);
	for (size_t i = 0; i < p->n_routes; i++) {
		struct kroute *r = p->routes[i].kind == PLAN_THROW ? kstate_add_route(&k) : NULL;

		if (!r)
			continue;
		r->dst = p->routes[i].dst;
		r->table = p->table;
		r->type = KROUTE_THROW;
	}
	return k;
}

static void try_it(const struct setup *s, const struct plan *p)
{
	struct kstate k = after(s->state, p);

	for (size_t i = 0; i < p->n_carriers; i++) {
		struct kpacket pkt = {.to = p->carriers[i].ip,
				      .mark = p->carriers[i].out->stream.sockopt.mark};
		struct kway way = pkt.to.family ? kstate_way(&k, &pkt) : (struct kway){NULL, NULL};

		if (way.route && way.route->link == 4000)
			fail_msg("%s: our own packets go into the TUN", s->name);
		pkt.mark = 0; /* pinned: anybody's packets to it stay outside */
		way = pkt.to.family ? kstate_way(&k, &pkt) : way;
		if (way.route && way.route->link == 4000)
			fail_msg("%s: a server is not pinned", s->name);
	}
	for (size_t i = 0; s->quiet && i < p->n_routes; i++) {
		struct kpacket pkt = {.to = p->routes[i].dst.ip};
		struct kway way;

		if (p->routes[i].kind != PLAN_INTO_TUN || p->routes[i].dst.len == 0)
			continue;
		pkt.to.b[pkt.to.family == 4 ? 3 : 15] = 77;
		way = kstate_way(&k, &pkt);
		if (!way.route || way.route->link != 4000)
			fail_msg("%s: a route into the TUN does not lead there", s->name);
	}
	kstate_fini(&k);
}

static void every_setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
		const struct setup *s = &setups[i];
		struct kstate k = kit_state(s->state);
		struct conf *c = load(s);
		struct plan p;

		assert_true(plan_make(&p, c, &k, NULL, 0));
		check_text(s, &p);
		if (!p.refusals)
			try_it(s, &p);
		plan_fini(&p);
		conf_free(c);
		kstate_fini(&k);
	}
}

static void a_name_is_pinned_once_it_is_known(void **state)
{
	struct plan_name names[] = {{"hub.test", ip_of("203.0.113.5")},
				    {"hub.test", ip_of("2001:db8:f::5")},
				    {"other.test", ip_of("203.0.113.6")}};
	const struct setup s = {.state = HOME6, .tun = ALL, .server = "hub.test"};
	struct kstate k = kit_state(s.state);
	struct conf *c = load(&s);
	struct plan p;

	(void)state;
	assert_true(plan_make(&p, c, &k, names, 3));
	assert_int_equal(p.n_carriers, 2);
	assert_int_equal(p.refusals, 0);
	assert_string_equal(p.carriers[0].dev, "eth0");
	assert_string_equal(p.carriers[1].dev, "eth0");
	try_it(&s, &p);
	plan_fini(&p);
	conf_free(c);
	kstate_fini(&k);
}

#define LAN "{\"settings\":{\"finalRules\":[{\"action\":\"allow\",\"ip\":["
#define SITE                                                                                       \
	"{\"inbounds\":[{\"protocol\":\"tun\",\"settings\":{\"name\":\"vpn0\","                             \
	"\"addresses\":[\"100.65.0.1/32\",\"fd18::1/128\"],"                                           \
	"\"routes\":[\"100.64.0.0/10\",\"198.18.0.0/15\",\"fd18::/48\"]}}],\"outbounds\":["              \
	LAN "\"100.65.0.1/32\",\"192.168.1.0/24\",\"10.9.0.0/16\",\"198.18.7.0/24\","                    \
	    "\"fd77::/64\"]}]},\"protocol\":\"tun\",\"tag\":\"lan.transparent\"},"                     \
	LAN "\"192.168.1.0/24\",\"geoip:private\"]}]},\"protocol\":\"freedom\",\"tag\":\"lan\"}]}"

static const struct {
	const char *state, *has[7], *hasnt[2];
} deliveries[] = {
	{HOME "addr fd77::10/64 dev 2\nroute ::/0 via fe80::1 dev 2\n",
	 {"deliver 100.65.0.1/32 here transparent [lan.transparent]\n"
	  "deliver 192.168.1.0/24 by eth0 transparent [lan.transparent]\n"
	  "deliver 10.9.0.0/16 by eth0 transparent [lan.transparent]\n"
	  "deliver 198.18.7.0/24 by vpn0 transparent [lan.transparent]\n"
	  "deliver fd77::/64 by eth0 transparent [lan.transparent]\n"
	  "deliver 192.168.1.0/24 by eth0 dial [lan]\n",
	  "note: delivery into 192.168.1.0/24: its router 192.168.1.1 must send 100.64.0.0/10, "
	  "198.18.0.0/15 to 192.168.1.10\n",
	  "note: delivery into fd77::/64: its router fe80::1 must send fd18::/48 to fd77::10\n",
	  "warning: delivery into 10.9.0.0/16: there is no route to it but the default route by "
	  "eth0\n",
	  "warning: delivery into 198.18.7.0/24: the way to it leads into vpn0 itself\n",
	  "warning: delivery of IPv4: this machine passes no packets on; set net.ipv4.ip_forward "
	  "to 1\n",
	  "warning: delivery of IPv6: this machine passes no packets on; set "
	  "net.ipv6.conf.all.forwarding to 1\n"}, {NULL}},
	{"link 1 lo\nlink 2 lan0\nlink 3 ppp0\naddr 127.0.0.1/8 dev 1\naddr 192.168.1.1/24 dev 2\n"
	 "addr 192.0.2.9/32 dev 3\nroute 0.0.0.0/0 dev 3\nroute 10.9.0.0/16 via 192.168.1.7 dev 2\n"
	 "forward4\nforward6\n",
	 {"deliver 192.168.1.0/24 by lan0 transparent",
	  "note: delivery into 192.168.1.0/24: 100.64.0.0/10, 198.18.0.0/15 must come to "
	  "192.168.1.1, which they do if this machine is the LAN's router\n",
	  "deliver 10.9.0.0/16 by lan0", "delivery into fd77::/64: there is no route to it now\n"},
	 {"passes no packets on", "delivery into 10.9.0.0/16: there"}},
};

static void deliveries_say_what_is_missing(void **state)
{
	struct conf_msgs msgs = {0};
	struct conf *c = conf_load_text("site.json", span_str(SITE), &msgs);

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++) {
		struct kstate k = kit_state(deliveries[i].state);
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);
		struct plan p;

		assert_true(plan_make(&p, c, &k, NULL, 0));
		plan_print(&p, f);
		fclose(f);
		for (size_t h = 0; h < 7 && deliveries[i].has[h]; h++)
			if (!strstr(text, deliveries[i].has[h]))
				fail_msg("no %sin:\n%s", deliveries[i].has[h], text);
		for (size_t h = 0; h < 2 && deliveries[i].hasnt[h]; h++)
			if (strstr(text, deliveries[i].hasnt[h]))
				fail_msg("%s in:\n%s", deliveries[i].hasnt[h], text);
		free(text);
		plan_fini(&p);
		kstate_fini(&k);
	}
	conf_msgs_free(&msgs);
	conf_free(c);
}

static void lookups_are_the_kernels(void **state)
{
	struct kstate k = kit_state(
		HOME "link 3 wlan0\nroute 10.0.0.0/8 dev 3\nroute 10.1.0.0/16 unreachable\n"
		     "route 10.2.0.0/16 dev 3 dead\nroute 0.0.0.0/0 dev 3 table 7\n"
		     "rule 100 to 198.51.100.0/24 goto 300\nrule 200 to 198.51.100.0/24 refuse\n"
		     "rule 300 from 192.168.1.10 table 7\nrule 400 iif wlan0 table 7\n"
		     "rule 500 oif wlan0 table 7\nrule 600 mark 0x10/0xf0 table 7\n");
	struct kpacket p = {.to = ip_of("10.9.9.9")};

	(void)state;
	assert_int_equal(kstate_way(&k, &p).route->link, 3);
	p.to = ip_of("10.1.0.1");
	assert_int_equal(kstate_way(&k, &p).route->type, KROUTE_UNREACHABLE);
	p.to = ip_of("10.2.0.1");
	assert_int_equal(kstate_way(&k, &p).route->dst.len, 8);
	p.to = ip_of("203.0.113.1");
	assert_int_equal(kstate_way(&k, &p).route->link, 2);
	p.from = ip_of("192.168.1.10");
	assert_int_equal(kstate_way(&k, &p).route->link, 3);
	p = (struct kpacket){.to = ip_of("203.0.113.1"), .mark = 0x15};
	assert_int_equal(kstate_way(&k, &p).rule->prio, 600);
	p = (struct kpacket){.to = ip_of("203.0.113.1"), .oif = "wlan0"};
	assert_int_equal(kstate_way(&k, &p).rule->prio, 500);
	p = (struct kpacket){.to = ip_of("198.51.100.1")};
	assert_int_equal(kstate_way(&k, &p).route->link, 2);
	p = (struct kpacket){.to = ip_of("2001:db8::1")};
	assert_null(kstate_way(&k, &p).route);
	kstate_fini(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setup),
		cmocka_unit_test(a_name_is_pinned_once_it_is_known),
		cmocka_unit_test(deliveries_say_what_is_missing),
		cmocka_unit_test(lookups_are_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
