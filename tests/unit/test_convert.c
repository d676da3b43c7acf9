/* "convert": what comes out is a pair that fits, loads without a word, and
 * keeps the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cli.h"
#include "conf/conf.h"
#include "tool.h"

static char dir[] = "/tmp/garenne-convert-XXXXXX";

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static int enter(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static void clean(void)
{
	static const char *const files[] = {"p", "b", "out/portal.json", "out/bridge.json",
					    "out/client.json"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	rmdir("out");
}

static int leave(void **state)
{
	(void)state;
	clean();
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

/* Loads a result through conf_load_text; not a single message is allowed. */
static struct conf *get(const char *name)
{
	static char text[65536];
	struct conf_msgs msgs = {0};
	FILE *f = fopen(name, "r");
	struct conf *c;
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	c = conf_load_text(name, span_of(text, n), &msgs);
	assert_non_null(c);
	assert_int_equal(msgs.n, 0);
	conf_msgs_free(&msgs);
	return c;
}

#define SS_PORTAL(USERS, RULES)                                                                    \
	"{\"log\":{\"loglevel\":\"info\"},\"reverse\":{\"portals\":[{\"tag\":"                     \
	"\"portal\",\"domain\":"                                                                   \
	"\"home.test\"}]},\"inbounds\":[{\"tag\":\"in\",\"port\":5555,\"protocol\":"               \
	"\"shadowsocks\","                                                                         \
	"\"settings\":{\"method\":\"2022-blake3-aes-128-gcm\",\"network\":\"tcp,"                  \
	"udp\","                                                                                   \
	"\"password\":\"AAAAAAAAAAAAAAAAAAAAAA==\"" USERS                                          \
	"}}],\"outbounds\":[{\"tag\":\"direct\","                                                  \
	"\"protocol\":\"freedom\"}],\"routing\":{\"rules\":[" RULES                                \
	"{\"type\":\"field\",\"inboundTag\":[\"in\"],\"outboundTag\":\"portal\"}]}}"
#define SS_BRIDGE(PASSWORD, RULE)                                                                  \
	"{\"reverse\":{\"bridges\":[{\"tag\":\"bridge\",\"domain\":\"home.test\"}]}"               \
	",\"outbounds\":["                                                                         \
	"{\"tag\":\"outgoing\",\"protocol\":\"shadowsocks\",\"mux\":{\"enabled\":"                 \
	"true},\"settings\":"                                                                      \
	"{\"servers\":[{\"address\":\"192.0.2.1\",\"port\":5555,\"method\":"                       \
	"\"2022-blake3-aes-128-gcm\",\"password\":\"" PASSWORD "\"}]}},"                           \
	"{\"tag\":\"lan\",\"protocol\":\"freedom\"}],\"routing\":{\"rules\":[{"                    \
	"\"type\":\"field\","                                                                      \
	"\"inboundTag\":[\"bridge\"],\"domain\":[\"full:home.test\"],"                             \
	"\"outboundTag\":\"outgoing\"},"                                                           \
	"{\"type\":\"field\",\"inboundTag\":[\"bridge\"]," RULE "\"outboundTag\":\"lan\"}]}}"

static void one_key_for_all(void **state)
{
	const struct conf_vless_user *u;
	struct conf *p, *b, *v;
	struct tool t;

	(void)state;
	clean();
	put("p", SS_PORTAL("", ""));
	put("b", SS_BRIDGE("AAAAAAAAAAAAAAAAAAAAAA==", ""));
	tool_run(&t, "convert", "p", "b", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_OK);
	assert_string_equal(t.out, "out/portal.json\nout/bridge.json\nout/client.json\n");
	assert_non_null(strstr(t.err, "Shadowsocks became VLESS"));
	assert_non_null(strstr(t.err, "mux left out"));
	assert_non_null(strstr(t.err, "finalRules allow everything"));
	p = get("out/portal.json");
	b = get("out/bridge.json");
	v = get("out/client.json");
	assert_int_equal(p->reverse.n_portals + b->reverse.n_bridges, 0);
	assert_int_equal(p->inbounds[0].proto, CONF_IN_VLESS);
	assert_int_equal(p->inbounds[0].vless.n_users, 2);
	u = p->inbounds[0].vless.users;
	assert_string_equal(u[0].reverse_tag, "portal");
	assert_string_equal(u[1].reverse_tag, "");
	assert_int_equal(p->routing.n_rules, 1);
	assert_string_equal(p->routing.rules[0].outbound_tag, "portal");
	/* A blackhole comes first: what no rule takes must not go back into the
	 * tunnel. */
	assert_int_equal(b->outbounds[0].proto, CONF_OUT_BLACKHOLE);
	assert_int_equal(b->outbounds[1].proto, CONF_OUT_VLESS);
	assert_memory_equal(&b->outbounds[1].vless.user.id, &u[0].id, 16);
	assert_string_equal(b->outbounds[1].vless.user.reverse_tag, "bridge");
	assert_int_equal(b->outbounds[1].stream.tls->n_pins, 1);
	assert_int_equal(b->outbounds[2].freedom.n_final_rules, 1);
	assert_int_equal(b->outbounds[2].freedom.final_rules[0].ips.n, 0);
	assert_int_equal(b->routing.n_rules, 1);
	assert_memory_equal(&v->outbounds[0].vless.user.id, &u[1].id, 16);
	conf_free(p);
	conf_free(b);
	conf_free(v);
}

static void separate_keys_stay_separate(void **state)
{
	struct conf *p, *b;
	struct tool t;

	(void)state;
	clean();
	put("p", SS_PORTAL(",\"clients\":[{\"email\":\"br\",\"password\":"
			   "\"AQAAAAAAAAAAAAAAAAAAAA==\"},{\"email\":\"ann\",\"password\":"
			   "\"AgAAAAAAAAAAAAAAAAAAAA==\"}]",
			   "{\"inboundTag\":[\"in\"],\"domain\":[\"full:home.test\"],\"user\":"
			   "[\"br\"],\"outboundTag\":\"portal\"},{\"inboundTag\":[\"in\"],"
			   "\"domain\":[\"full:home.test\"],\"outboundTag\":\"direct\"},"));
	put("b", SS_BRIDGE("AAAAAAAAAAAAAAAAAAAAAA==:AQAAAAAAAAAAAAAAAAAAAA==",
			   "\"ip\":[\"192.168.7.0/24\",\"10.0.0.1\"],"));
	tool_run(&t, "convert", "-portal", "p", "-bridge", "b", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_OK);
	p = get("out/portal.json");
	b = get("out/bridge.json");
	assert_int_equal(p->inbounds[0].vless.n_users, 2);
	assert_string_equal(p->inbounds[0].vless.users[1].email, "ann");
	assert_int_equal(p->routing.n_rules, 1);
	assert_int_equal(b->outbounds[2].freedom.final_rules[0].ips.n, 2);
	conf_free(p);
	conf_free(b);
}

/* Each half by itself, with what the first one says. */
static void two_halves(void **state)
{
	char id[37] = "", pin[65] = "", *at;
	struct conf *p, *b;
	struct tool t;

	(void)state;
	clean();
	put("p", SS_PORTAL("", ""));
	put("b", SS_BRIDGE("AAAAAAAAAAAAAAAAAAAAAA==", ""));
	tool_run(&t, "convert", "p", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_OK);
	at = strstr(t.err, "-id ");
	assert_non_null(at);
	memcpy(id, at + 4, 36);
	at = strstr(t.err, "-pin ");
	assert_non_null(at);
	memcpy(pin, at + 5, 64);
	tool_run(&t, "convert", "b", "-out", "out", "-id", id, "-pin", pin, NULL);
	assert_int_equal(t.code, EXIT_OK);
	p = get("out/portal.json");
	b = get("out/bridge.json");
	assert_memory_equal(&p->inbounds[0].vless.users[0].id, &b->outbounds[1].vless.user.id, 16);
	conf_free(p);
	conf_free(b);
	/* Nothing that is there is overwritten. */
	tool_run(&t, "convert", "p", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_FAILED);
}

static void what_cannot_be_said_is_refused(void **state)
{
	struct tool t;

	(void)state;
	clean();
	put("p", SS_PORTAL("", ""));
	put("b", "{\"reverse\":{\"bridges\":[{\"tag\":\"b\",\"domain\":\"Home.test\"}]},"
		 "\"outbounds\":[{\"protocol\":\"freedom\"}]}");
	tool_run(&t, "convert", "p", "b", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_CONFIG);
	assert_non_null(strstr(t.err, "letter case counts"));
	tool_run(&t, "convert", "b", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_CONFIG);
	assert_non_null(strstr(t.err, "does not leave by a Shadowsocks or VLESS outbound"));
	tool_run(&t, "convert", "p", "p", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_CONFIG);
	tool_run(&t, "convert", "p", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	tool_run(&t, "convert", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_USAGE);
	tool_run(&t, "convert", "missing", "-out", "out", NULL);
	assert_int_equal(t.code, EXIT_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key_for_all),
		cmocka_unit_test(separate_keys_stay_separate),
		cmocka_unit_test(two_halves),
		cmocka_unit_test(what_cannot_be_said_is_refused),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
