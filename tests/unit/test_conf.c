/* conf: what the loader makes of values, and how several files become one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

static struct conf *load_file(const char *file)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	struct conf *c = conf_load(&file, 1, NULL, &msgs);

	assert_int_equal(msgs.errors, 0);
	assert_non_null(c);
	conf_msgs_free(&msgs);
	return c;
}

static struct conf *load_text(const char *text)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	struct conf *c = conf_load_text("text", span_str(text), &msgs);
	char line[1024];

	for (size_t i = 0; i < msgs.n; i++)
		if (msgs.v[i].level == CONF_MSG_ERROR)
			print_message("%s\n", conf_msg_text(&msgs.v[i], line, sizeof(line)));
	assert_non_null(c);
	conf_msgs_free(&msgs);
	return c;
}

static void is_addr(const struct addr *a, const char *text)
{
	char out[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(a, out, sizeof(out)), text);
}

static void defaults(void **state)
{
	struct conf *c = load_text("{\"inbounds\":[{\"protocol\":\"socks\",\"port\":1}]}");
	const struct conf_policy *p = conf_policy(c, 0);

	(void)state;
	assert_int_equal(p->handshake_s, 60);
	assert_int_equal(p->conn_idle_s, 300);
	assert_int_equal(p->uplink_only_s, 1);
	assert_int_equal(p->downlink_only_s, 1);
	assert_int_equal(p->buffer_kib, 512);
	assert_int_equal(conf_policy(c, 1)->conn_idle_s, 600);
	assert_int_equal(c->log.setup.level, LOG_WARN);
	assert_true(c->log.setup.access_off);
	assert_int_equal(c->workers, 0);
	assert_false(c->dns.given);
	assert_int_equal(c->inbounds[0].listen.kind, CONF_LISTEN_ANY);
	assert_string_equal(c->inbounds[0].tag, "");
	assert_int_equal(c->inbounds[0].stream.sockopt.happy.interleave, 1);
	assert_int_equal(c->inbounds[0].stream.sockopt.happy.max_concurrent, 4);
	conf_free(c);
	/* with a log object, and be it empty, the access log is on */
	c = load_text("{\"log\":{}, \"policy\":{\"levels\":{\"3\":{\"connIdle\":9}}}}");
	assert_false(c->log.setup.access_off);
	assert_null(c->log.setup.access_path);
	assert_int_equal(conf_policy(c, 3)->conn_idle_s, 9);
	assert_int_equal(conf_policy(c, 3)->handshake_s, 60);
	assert_int_equal(conf_policy(c, 1)->conn_idle_s, 300);
	conf_free(c);
	/* the variable counts MiB; set by the file it works like one of the process */
	c = load_text("{\"env\":{\"XRAY_RAY_BUFFER_SIZE\":\"2\"}}");
	assert_int_equal(conf_policy(c, 0)->buffer_kib, 2048);
	conf_free(c);
	c = load_text("{\"env\":{\"XRAY_RAY_BUFFER_SIZE\":\"0\"}}");
	assert_int_equal(conf_policy(c, 0)->buffer_kib, -1);
	conf_free(c);
}

static void newer_forms_process(void **state)
{
	struct conf *c = load_file("tests/conf/valid/forms-new.json");

	(void)state;
	assert_int_equal(c->workers, 2);
	assert_true(c->stats);
	assert_int_equal(c->n_env, 2);
	assert_int_equal(c->log.setup.level, LOG_DEBUG);
	assert_true(c->log.setup.access_off);
	assert_string_equal(c->log.setup.error_path, "/tmp/garenne-test.log");
	assert_int_equal(c->log.setup.mask.v4_bits, 16);
	assert_int_equal(c->log.setup.mask.v6_bits, 48);
	assert_true(c->log.dns_log);
	assert_int_equal(conf_policy(c, 0)->handshake_s, 4);
	assert_true(conf_policy(c, 0)->stats_uplink);
	assert_int_equal(conf_policy(c, 7)->buffer_kib, -1);
	assert_true(c->policy.stats_in_up && c->policy.stats_out_down && !c->policy.stats_in_down);
	assert_int_equal(c->dns.n_servers, 5);
	assert_int_equal(c->dns.servers[0].kind, CONF_DNS_SYSTEM);
	is_addr(&c->dns.servers[1].addr, "9.9.9.9:53");
	is_addr(&c->dns.servers[2].addr, "[2620:fe::fe]:5353");
	assert_int_equal(c->dns.servers[2].kind, CONF_DNS_TCP);
	assert_true(c->dns.servers[3].local);
	is_addr(&c->dns.servers[4].addr, "10.0.0.53:5353");
	assert_int_equal(c->dns.servers[4].query, CONF_DNS_USE_IP4);
	assert_int_equal(c->dns.servers[4].timeout_ms, 900);
	assert_string_equal(c->dns.servers[4].tag, "dns-in");
	assert_int_equal(c->dns.servers[1].query, CONF_DNS_USE_SYSTEM);
	assert_int_equal(c->dns.n_hosts, 3);
	assert_string_equal(c->dns.hosts[1].rule, "domain:lan.test");
	assert_int_equal(c->dns.hosts[1].values.n, 2);
	conf_free(c);
}

static void newer_forms_inbounds(void **state)
{
	struct conf *c = load_file("tests/conf/valid/forms-new.json");
	const struct conf_inbound *in = conf_inbound_find(c, "mixed");

	(void)state;
	assert_int_equal(in->proto, CONF_IN_SOCKS);
	assert_int_equal(in->listen.kind, CONF_LISTEN_IP);
	assert_int_equal(in->listen.ports.n, 1);
	assert_int_equal(in->listen.ports.v[0].from, 5100);
	assert_int_equal(in->listen.ports.v[0].to, 5102);
	assert_true(in->socks.auth && in->socks.udp && in->socks.reply_after_connect);
	assert_string_equal(in->socks.accounts[0].pass, "made for this test");
	assert_int_equal(in->sniff.override, CONF_SNIFF_HTTP | CONF_SNIFF_TLS | CONF_SNIFF_QUIC);
	in = conf_inbound_find(c, "tunnel");
	assert_int_equal(in->listen.kind, CONF_LISTEN_ANY);
	assert_int_equal(in->tunnel.networks, CONF_TCP | CONF_UDP);
	assert_int_equal(in->tunnel.n_map, 3);
	is_addr(&in->tunnel.map[0].to, "10.0.0.1:80");
	assert_int_equal(in->tunnel.map[1].to.kind, ADDR_NONE);
	assert_int_equal(in->tunnel.map[1].to.port, 81);
	is_addr(&in->tunnel.map[2].to, "nas.home:0");
	assert_int_equal(in->stream.sockopt.tproxy, CONF_TPROXY_TPROXY);
	assert_int_equal(in->stream.sockopt.fast_open, 64);
	in = conf_inbound_find(c, "hub");
	assert_string_equal(in->listen.unix_path, "/run/garenne-test.sock");
	assert_int_equal(in->listen.unix_mode, 0660);
	assert_true(in->stream.accept_proxy);
	assert_int_equal(in->vless.users[0].flow, CONF_FLOW_VISION);
	assert_int_equal(in->vless.users[0].level, 7);
	assert_string_equal(in->vless.users[1].reverse_tag, "to-home");
	assert_int_equal(in->vless.testseed[3], 4);
	assert_string_equal(in->vless.fallbacks[0].dest_unix, "@web");
	is_addr(&in->vless.fallbacks[1].dest, "127.0.0.1:8080");
	is_addr(&in->vless.fallbacks[2].dest, "web.test:81");
	conf_free(c);
}

static void newer_forms_tls(void **state)
{
	struct conf *c = load_file("tests/conf/valid/forms-new.json");
	const struct conf_tls *t = conf_inbound_find(c, "hub")->stream.tls;
	const struct conf_reality_client *r;

	(void)state;
	assert_int_equal(t->alpn.n, 1);
	assert_int_equal(t->min_version, CONF_TLS_1_2);
	assert_int_equal(t->max_version, CONF_TLS_1_3);
	assert_int_equal(t->cipher_suites.n, 2);
	assert_string_equal(t->curves.v[1], "curvep256");
	assert_string_equal(t->master_key_log, "");
	assert_true(t->reject_unknown_sni && t->session_resumption);
	assert_int_equal(t->n_certs, 2);
	assert_string_equal(t->certs[0].cert_file, "tests/conf/valid/cert.pem");
	assert_true(t->certs[0].one_time && t->certs[1].one_time);
	assert_string_equal(t->certs[1].cert_pem,
			    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
	t = conf_outbound_find(c, "up")->stream.tls;
	assert_string_equal(t->fingerprint, "");
	assert_int_equal(t->alpn.n, 2);
	assert_int_equal(t->verify_names.n, 2);
	assert_string_equal(t->verify_names.v[1], "b.test");
	conf_free(c);
	c = load_file("tests/conf/valid/reality-client.json");
	r = c->outbounds[0].stream.reality_out;
	assert_string_equal(r->server_name, "www.example.org");
	assert_string_equal(r->fingerprint, "firefox");
	assert_int_equal(r->key[0], 0x07);
	assert_int_equal(r->key[31], 0x7c);
	assert_memory_equal(r->short_id, "\x01\x23\xab\0\0\0\0\0", 8);
	assert_memory_equal(r->version, "\x1a\3\0", 3);
	assert_string_equal(r->spider.path, "/news?q=1");
	assert_int_equal(r->spider.padding.from, 10);
	assert_int_equal(r->spider.padding.to, 20);
	assert_int_equal(r->spider.concurrency.from, 2);
	assert_int_equal(r->spider.concurrency.to, 2);
	assert_int_equal(r->spider.times.to, 0);
	assert_null(r->mldsa_key);
	conf_free(c);
	c = load_file("tests/conf/valid/s7-client.json");
	t = c->outbounds[0].stream.tls;
	assert_string_equal(t->fingerprint, "firefox");
	assert_int_equal(t->n_pins, 2);
	assert_memory_equal(t->pins[0].sha256, t->pins[1].sha256, CONF_PIN_LEN);
	assert_int_equal(t->pins[0].sha256[0], 0xe3);
	assert_int_equal(t->pins[0].sha256[31], 0x55);
	assert_int_equal(c->outbounds[0].vless.user.flow, CONF_FLOW_VISION_UDP443);
	conf_free(c);
}

static void newer_forms_outbounds(void **state)
{
	struct conf *c = load_file("tests/conf/valid/forms-new.json");
	const struct conf_outbound *o = conf_outbound_find(c, "direct");
	const struct conf_sockopt *so = &conf_outbound_find(c, "up")->stream.sockopt;

	(void)state;
	assert_true(c->outbounds[0].blackhole.http);
	assert_int_equal(o->via.kind, CONF_VIA_PREFIX);
	assert_int_equal(o->target_strategy, CONF_USE_IP46);
	assert_int_equal(o->freedom.strategy, CONF_FORCE_IP64);
	assert_int_equal(o->freedom.redirect.kind, ADDR_NONE);
	assert_int_equal(o->freedom.redirect.port, 8080);
	assert_int_equal(o->freedom.n_final_rules, 2);
	assert_true(o->freedom.final_rules[0].allow);
	assert_int_equal(o->freedom.final_rules[0].ports.n, 2);
	assert_int_equal(o->freedom.final_rules[0].block_delay_s.to, 90);
	assert_int_equal(o->freedom.final_rules[1].block_delay_s.to, 2);
	assert_int_equal(o->freedom.fragment.kind, CONF_FRAGMENT_WRITES);
	assert_int_equal(o->freedom.fragment.interval_ms.from, 10);
	assert_int_equal(o->freedom.n_noises, 4);
	assert_true(o->freedom.noises[0].ipv4 && !o->freedom.noises[0].ipv6);
	assert_int_equal(o->freedom.noises[1].packet.n, 2);
	assert_int_equal(o->freedom.noises[1].packet.p[1], 0xff);
	assert_int_equal(o->freedom.noises[3].packet.n, 3);
	o = conf_outbound_find(c, "up");
	is_addr(&o->vless.server, "hub.test:443");
	assert_string_equal(o->vless.user.reverse_tag, "from-hub");
	assert_true(o->vless.reverse_sniff.enabled);
	assert_int_equal(o->via.kind, CONF_VIA_ORIGIN);
	assert_int_equal(o->mux.concurrency, -1);
	assert_int_equal(o->mux.xudp_concurrency, 16);
	assert_int_equal(o->mux.udp443, CONF_UDP443_SKIP);
	assert_string_equal(so->dialer_proxy, "next");
	assert_int_equal(so->strategy, CONF_FORCE_IP4);
	assert_int_equal(so->fast_open, 256);
	assert_int_equal(so->n_custom, 2);
	assert_string_equal(so->custom[0].str, "bbr");
	assert_int_equal(so->custom[1].opt, 0x14);
	assert_int_equal(so->custom[1].num, 5);
	assert_int_equal(so->custom[1].networks, CONF_TCP | CONF_UDP);
	assert_int_equal(so->happy.delay_ms, 250);
	assert_true(conf_outbound_find(c, "next")->proxy.auth);
	assert_int_equal(conf_outbound_find(c, "web")->proxy.n_headers, 1);
	assert_int_equal(conf_outbound_find(c, "ss")->ss.keys[0].n, 32);
	assert_int_equal(conf_outbound_find(c, "dns")->dns.rules[0].qtypes.n, 2);
	assert_string_equal(conf_outbound_find(c, "again")->loopback.inbound_tag, "second");
	conf_free(c);
}

static void newer_forms_routing(void **state)
{
	struct conf *c = load_file("tests/conf/valid/forms-new.json");
	const struct conf_rule *r = c->routing.rules;
	const struct conf_balancer *b = c->routing.balancers;

	(void)state;
	assert_int_equal(c->routing.strategy, CONF_ROUTE_IP_ON_DEMAND);
	assert_int_equal(r[0].number, 1);
	assert_string_equal(r[0].at.path, "routing.rules[0]");
	assert_true(r[0].at.line > 0);
	assert_int_equal(r[0].ports.n, 3);
	assert_int_equal(r[0].ports.v[2].to, 2000);
	assert_int_equal(r[0].domains.n, 2);
	assert_int_equal(r[1].inbound_tags.n, 3);
	assert_int_equal(r[1].source_ports.v[0].from, 1024);
	assert_int_equal(r[2].n_attrs, 2);
	assert_string_equal(r[2].attrs[0].name, ":method");
	assert_string_equal(r[3].local_os.v[0], "linux");
	assert_int_equal(r[3].networks, CONF_UDP);
	assert_int_equal(b->strategy, CONF_BALANCE_LEAST_LOAD);
	assert_int_equal(b->n_baselines, 2);
	assert_int_equal(b->baselines_ms[1], 90000);
	assert_int_equal(b->max_rtt_ms, 500);
	assert_true(b->costs[0].regexp && b->costs[0].value > 0.4);
	assert_int_equal(c->observatory.kind, CONF_OBSERVE_BURST);
	assert_int_equal(c->observatory.interval_ms, 3600000);
	assert_int_equal(c->observatory.timeout_ms, 2500);
	conf_free(c);
}

static void older_forms(void **state)
{
	struct conf *c = load_file("tests/conf/valid/forms-old.json");
	const struct conf_outbound *o = conf_outbound_find(c, "free");

	(void)state;
	assert_int_equal(c->log.setup.level, LOG_NONE);
	assert_true(c->log.setup.access_off);
	assert_int_equal(c->inbounds[0].proto, CONF_IN_SOCKS);
	assert_int_equal(c->inbounds[0].listen.ports.v[0].from, 1080);
	is_addr(&c->inbounds[1].tunnel.rewrite, "10.0.0.1:80");
	assert_int_equal(c->inbounds[1].tunnel.networks, CONF_UDP);
	assert_int_equal(c->inbounds[2].http.n_accounts, 1);
	assert_int_equal(c->inbounds[3].ss.method, CONF_SS_CHACHA20_POLY1305);
	assert_string_equal(c->inbounds[3].ss.users[0].password, "any text");
	assert_int_equal(c->inbounds[3].ss.networks, CONF_TCP);
	assert_int_equal(o->freedom.strategy, CONF_USE_IP6);
	assert_int_equal(o->freedom.redirect.kind, ADDR_NONE);
	assert_int_equal(o->freedom.redirect.port, 443);
	assert_string_equal(o->stream.sockopt.congestion, "cubic");
	o = conf_outbound_find(c, "socks");
	is_addr(&o->proxy.server, "[::1]:1081");
	assert_string_equal(o->proxy.account.user, "u");
	assert_string_equal(o->stream.sockopt.dialer_proxy, "free");
	o = conf_outbound_find(c, "dns");
	assert_int_equal(o->dns.network, CONF_UDP);
	assert_int_equal(o->dns.n_rules, 2);
	assert_int_equal(o->dns.rules[1].action, CONF_DNS_DROP);
	assert_int_equal(c->routing.rules[0].source_ips.n, 2);
	assert_int_equal(c->observatory.kind, CONF_OBSERVE_PLAIN);
	assert_int_equal(c->observatory.interval_ms, 10000);
	conf_free(c);
}

static void shadowsocks_keys(void **state)
{
	/* SHA-256 of the bytes 0..31, cut to 16: what Xray makes of too long a key */
	static const uint8_t hashed[] = {0x63, 0x0d, 0xcd, 0x29, 0x66, 0xc4, 0x33, 0x66,
					 0x91, 0x12, 0x54, 0x48, 0xbb, 0xb2, 0x5b, 0x4f};
	struct conf *c = load_text(
		"{\"outbounds\":["
		"{\"tag\":\"a\",\"protocol\":\"shadowsocks\",\"settings\":{\"address\":\"10.0.0.1\","
		"\"port\":1,\"method\":\"2022-blake3-aes-128-gcm\",\"password\":"
		"\"AAECAwQFBgcICQoLDA0ODw==:QEFCQ0RFRkdISUpLTE1OTw\"}},"
		"{\"tag\":\"b\",\"protocol\":\"shadowsocks\",\"settings\":{\"address\":\"10.0.0.1\","
		"\"port\":1,\"method\":\"2022-blake3-aes-128-gcm\",\"password\":"
		"\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}}]}");
	const struct conf_out_ss *a = &conf_outbound_find(c, "a")->ss;
	const struct conf_out_ss *b = &conf_outbound_find(c, "b")->ss;

	(void)state;
	assert_int_equal(a->n_keys, 2);
	assert_int_equal(a->keys[0].b[15], 0x0f);
	assert_int_equal(a->keys[1].b[0], 0x40);
	assert_string_equal(a->password, "");
	assert_int_equal(b->keys[0].n, 16);
	assert_memory_equal(b->keys[0].b, hashed, 16);
	conf_free(c);
	c = load_file("tests/conf/valid/s2-portal.json");
	assert_true(c->inbounds[0].ss.multi);
	assert_int_equal(c->inbounds[0].ss.identity.n, 16);
	assert_int_equal(c->inbounds[0].ss.n_users, 2);
	assert_string_equal(c->inbounds[0].ss.users[1].email, "guest");
	assert_string_equal(c->reverse.portals[0].users.v[0], "warden");
	assert_string_equal(c->reverse.portals[0].control_name, "reverse.internal.v2ray.com");
	conf_free(c);
}

static void ids_from_text(void **state)
{
	static const uint8_t example[UUID_LEN] = {0xfe, 0xb5, 0x44, 0x31, 0x30, 0x1b, 0x52, 0xbb,
						  0xa6, 0xdd, 0xe1, 0xe9, 0x3e, 0x81, 0xbb, 0x9e};
	struct conf *c = load_text(
		"{\"inbounds\":[{\"protocol\":\"vless\",\"port\":1,\"settings\":{\"decryption\":"
		"\"none\",\"users\":[{\"id\":\"example\"},"
		"{\"id\":\"289CDCAB9FA543AF9D50252BFB945653\"}]}}]}");

	(void)state;
	assert_memory_equal(c->inbounds[0].vless.users[0].id.b, example, UUID_LEN);
	assert_int_equal(c->inbounds[0].vless.users[1].id.b[0], 0x28);
	conf_free(c);
}

/* ---- several files ---- */

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/garenne-conf-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", dir);
	return system(command);
}

static struct conf *load_dir(struct conf_msgs *msgs)
{
	memset(msgs, 0, sizeof(*msgs));
	return conf_load(NULL, 0, dir, msgs);
}

static bool has_message(const struct conf_msgs *m, const char *part)
{
	for (size_t i = 0; i < m->n; i++)
		if (strstr(m->v[i].text, part))
			return true;
	return false;
}

static void later_files_overlay(void **state)
{
	struct conf_msgs msgs;
	struct conf *c;

	(void)state;
	put("1.json", "{\"env\":{\"A\":\"1\",\"B\":\"2\"},"
		      "\"inbounds\":[{\"tag\":\"x\",\"protocol\":\"socks\",\"port\":1}],"
		      "\"outbounds\":[{\"tag\":\"a\",\"protocol\":\"freedom\"},"
		      "{\"tag\":\"b\",\"protocol\":\"freedom\"}],"
		      "\"routing\":{\"rules\":[{\"port\":1,\"outboundTag\":\"a\"}]}}");
	put("2.json", "{\"env\":{\"B\":\"3\"},"
		      "\"inbounds\":[{\"tag\":\"y\",\"protocol\":\"http\",\"port\":2},"
		      "{\"tag\":\"x\",\"protocol\":\"socks\",\"port\":3}],"
		      "\"outbounds\":[{\"tag\":\"c\",\"protocol\":\"freedom\"},"
		      "{\"tag\":\"b\",\"protocol\":\"blackhole\"},"
		      "{\"tag\":\"d\",\"protocol\":\"freedom\"}],"
		      "\"routing\":{\"rules\":[{\"port\":2,\"outboundTag\":\"b\"}]}}");
	put("3-TAIL.jsonc", "{\"outbounds\":[{\"tag\":\"e\",\"protocol\":\"freedom\"}]}");
	put("ignored.txt", "no JSON");
	c = load_dir(&msgs);
	assert_non_null(c);
	assert_int_equal(c->n_inbounds, 2);
	assert_string_equal(c->inbounds[0].tag, "x");
	assert_int_equal(c->inbounds[0].listen.ports.v[0].from, 3);
	assert_non_null(strstr(c->inbounds[0].at.file, "2.json"));
	assert_string_equal(c->inbounds[0].at.path, "inbounds[1]");
	assert_int_equal(c->n_outbounds, 5);
	assert_string_equal(c->outbounds[0].tag, "c");
	assert_string_equal(c->outbounds[1].tag, "d");
	assert_string_equal(c->outbounds[2].tag, "a");
	assert_int_equal(c->outbounds[3].proto, CONF_OUT_BLACKHOLE);
	assert_string_equal(c->outbounds[4].tag, "e");
	assert_int_equal(c->routing.n_rules, 1);
	assert_string_equal(c->routing.rules[0].outbound_tag, "b");
	assert_true(has_message(&msgs, "outbound \"c\" becomes the default instead of \"a\""));
	assert_true(has_message(&msgs, "replaces the whole section"));
	assert_string_equal(c->env[0].value, "3");
	conf_free(c);
	conf_msgs_free(&msgs);
}

static void untagged_replaces_untagged(void **state)
{
	struct conf_msgs msgs;
	struct conf *c;

	(void)state;
	put("1.json", "{\"inbounds\":[{\"protocol\":\"socks\",\"port\":1}]}");
	put("2.json", "{\"inbounds\":[{\"protocol\":\"http\",\"port\":2}]}");
	c = load_dir(&msgs);
	assert_non_null(c);
	assert_int_equal(c->n_inbounds, 1);
	assert_int_equal(c->inbounds[0].proto, CONF_IN_HTTP);
	assert_true(has_message(&msgs, "has no tag and so replaces the one without tag"));
	conf_free(c);
	conf_msgs_free(&msgs);
}

static void standard_input(void **state)
{
	static const char *const names[] = {"stdin:", "-"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
		struct conf *c;

		assert_non_null(freopen("tests/conf/valid/s1-client.json", "r", stdin));
		c = conf_load(&names[i], 1, NULL, &msgs);
		assert_non_null(c);
		assert_string_equal(c->inbounds[0].at.file, "stdin");
		conf_free(c);
		conf_msgs_free(&msgs);
	}
}

static void what_cannot_be_read(void **state)
{
	static const char *const names[] = {"/nonexistent/x.json", "https://example.org/c.json",
					    "c.toml", "/"};
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};

	(void)state;
	assert_null(conf_load(names, 4, NULL, &msgs));
	assert_int_equal(msgs.errors, 4);
	assert_string_equal(msgs.v[0].text, "cannot be opened: No such file or directory");
	conf_msgs_free(&msgs);
	assert_null(conf_load(NULL, 0, NULL, &msgs));
	assert_string_equal(msgs.v[0].text, "there is no configuration file");
	conf_msgs_free(&msgs);
	assert_null(conf_load(NULL, 0, "/nonexistent", &msgs));
	conf_msgs_free(&msgs);
	put("a.yaml", "log: {}\n");
	assert_null(load_dir(&msgs));
	assert_true(has_message(&msgs, "only JSON is supported"));
	conf_msgs_free(&msgs);
}

/* An error in one file does not hide those of another. */
static void faults_of_all_files_are_told(void **state)
{
	struct conf_msgs msgs;

	(void)state;
	put("1.json", "{ \"log\": }");
	put("2.json", "{ \"log\": {} ");
	assert_null(load_dir(&msgs));
	assert_int_equal(msgs.errors, 2);
	assert_int_equal(msgs.v[0].column, 10);
	conf_msgs_free(&msgs);
}

static void messages_are_bounded(void **state)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	char line[64];
	const char *file = "tests/conf/invalid/many-errors.json";

	(void)state;
	assert_null(conf_load(&file, 1, NULL, &msgs));
	assert_int_equal(msgs.errors, 25);
	assert_int_equal(msgs.n, CONF_ERRORS_MAX);
	conf_msg_text(&msgs.v[0], line, sizeof(line)); /* cut, not overflown */
	assert_int_equal(strlen(line), sizeof(line) - 1);
	conf_msgs_free(&msgs);
}

static void reality_server(void **state)
{
	struct conf *c = load_file("tests/conf/valid/reality-server.json");
	const struct conf_reality_server *r = c->inbounds[0].stream.reality;

	(void)state;
	assert_int_equal(c->inbounds[0].stream.security, CONF_SEC_REALITY);
	is_addr(&r->target, "www.example.com:443");
	assert_int_equal(r->xver, 1);
	assert_int_equal(r->names.n, 4);
	assert_int_equal(r->n_keys, 1);
	assert_int_equal(r->keys[0][31], 0x60);
	assert_int_equal(r->n_short_ids, 3);
	assert_memory_equal(r->short_ids[0], "\0\0\0\0\0\0\0\0", 8);
	assert_memory_equal(r->short_ids[1], "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	assert_memory_equal(r->short_ids[2], "\xab\0\0\0\0\0\0\0", 8);
	assert_int_equal(r->min_version, 26 << 16 | 3 << 8);
	assert_int_equal(r->max_version, 99 << 16 | 9 << 8 | 9);
	assert_int_equal(r->max_diff_ms, 60);
	assert_int_equal(r->mldsa_seed[31], 0x11);
	assert_int_equal(r->up.after_bytes, 1);
	assert_int_equal(r->up.burst_bytes, 100); /* never below the rate */
	assert_int_equal(r->down.burst_bytes, 500);
	r = c->inbounds[1].stream.reality;
	is_addr(&r->target, "localhost:443");
	assert_int_equal(r->n_keys, 2);
	assert_int_equal(r->keys[1][0], 0x11);
	assert_int_equal(r->min_version + r->max_version, 0);
	assert_null(r->mldsa_seed);
	conf_free(c);
}

static void name_servers(void **state)
{
	struct conf *c = load_text(
		"{\"dns\":{\"tag\":\"d\",\"clientIp\":\"192.0.2.1\",\"serveStale\":true,"
		"\"serveExpiredTTL\":60,\"enableParallelQuery\":true,\"servers\":["
		"\"https://dns.example/\",\"https+local://[2001:db8::1]:8443/a/b?c=d\","
		"{\"address\":\"HTTPS://192.0.2.7\",\"tag\":\"own\",\"serveStale\":false},"
		"\"tcp+local://192.0.2.8\"]}}");
	const struct conf_dns_server *s = c->dns.servers;

	(void)state;
	assert_true(c->dns.parallel);
	assert_int_equal(s[0].kind, CONF_DNS_HTTPS);
	is_addr(&s[0].addr, "dns.example:443");
	assert_string_equal(s[0].path, "/dns-query");
	assert_string_equal(s[0].tag, "d");
	assert_true(s[0].serve_stale && s[0].expired_ttl_s == 60 && s[0].client_ip.family == 4);
	assert_false(s[0].local);
	is_addr(&s[1].addr, "[2001:db8::1]:8443");
	assert_string_equal(s[1].path, "/a/b?c=d");
	assert_true(s[1].local);
	assert_int_equal(s[2].kind, CONF_DNS_HTTPS);
	assert_string_equal(s[2].tag, "own");
	assert_false(s[2].serve_stale);
	assert_int_equal(s[3].kind, CONF_DNS_TCP);
	assert_true(s[3].local);
	conf_free(c);
}

static void bridge_that_is_a_client(void **state)
{
	struct conf *c = load_text(
		"{\"inbounds\":[{\"protocol\":\"vless\",\"port\":1,\"settings\":{\"decryption\":\"none\","
		"\"users\":[{\"id\":\"a\",\"reverse\":{\"tag\":\"x\",\"forward\":true}},"
		"{\"id\":\"b\",\"reverse\":{\"tag\":\"x\"}}]}}]}");
	const struct conf_vless_user *u = c->inbounds[0].vless.users;

	(void)state;
	assert_true(u[0].reverse_forward);
	assert_string_equal(u[0].reverse_tag, "x");
	assert_false(u[1].reverse_forward);
	conf_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_servers),
		cmocka_unit_test(bridge_that_is_a_client),
		cmocka_unit_test(defaults),
		cmocka_unit_test(newer_forms_process),
		cmocka_unit_test(newer_forms_inbounds),
		cmocka_unit_test(newer_forms_tls),
		cmocka_unit_test(newer_forms_outbounds),
		cmocka_unit_test(newer_forms_routing),
		cmocka_unit_test(older_forms),
		cmocka_unit_test(shadowsocks_keys),
		cmocka_unit_test(ids_from_text),
		cmocka_unit_test_setup_teardown(later_files_overlay, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(untagged_replaces_untagged, make_dir, remove_dir),
		cmocka_unit_test(standard_input),
		cmocka_unit_test_setup_teardown(what_cannot_be_read, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(faults_of_all_files_are_told, make_dir, remove_dir),
		cmocka_unit_test(messages_are_bounded),
		cmocka_unit_test(reality_server),
	};

	unsetenv("XRAY_LOCATION_CERT");
	unsetenv("XRAY_RAY_BUFFER_SIZE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
