/* route: files of named lists, and what is written about them in rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/geodat.h"
#include "route/geofile.h"
#include "route/ruletext.h"
#include "route_kit.h"

static struct kit_folder folder;

static int make_folder(void **state)
{
	(void)state;
	kit_folder_make(&folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	kit_folder_remove(&folder);
	return 0;
}

static void write_bytes(const char *name, const void *p, size_t n)
{
	struct kit_bytes b = {0};

	kit_put(&b, p, n);
	kit_write(&folder, name, &b);
}

/* The published example: TEST is 10.0.0.0/8. */
static const uint8_t tiny[] = {0x0a, 0x10, 0x0a, 0x04, 'T',  'E',  'S',	 'T',  0x12,
			       0x08, 0x0a, 0x04, 0x0a, 0x00, 0x00, 0x00, 0x10, 0x08};

static int get(const char *file, const char *code, struct span *list, char *why)
{
	static struct geofiles *g;

	geofiles_free(g);
	g = NULL;
	if (!file)
		return 0;
	g = geofiles_new();
	assert_non_null(g);
	return geofiles_list(g, span_str(file), span_str(code), list, why);
}

static int open_list(struct geodat_list *out, struct span file)
{
	struct rd r = rd_of(file);

	return geodat_next_list(&r, out) == 1 ? 0 : -ERR_MALFORMED;
}

static void a_vector(void **state)
{
	struct geodat_list l;
	struct prefix p;
	struct span list;
	char why[ROUTE_WHY_MAX], text[64];

	(void)state;
	write_bytes("tiny.dat", tiny, sizeof(tiny));
	assert_int_equal(get("tiny.dat", "test", &list, why), 0);
	assert_int_equal(open_list(&l, list), 0);
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_string_equal(ip_text(&p.ip, text, sizeof(text)), "10.0.0.0");
	assert_int_equal(p.len, 8);
	assert_int_equal(geodat_next_prefix(&l, &p), 0);
	get(NULL, NULL, NULL, NULL);
}

static void a_truncated_file_is_refused(void **state)
{
	struct span list;
	char why[ROUTE_WHY_MAX];

	(void)state;
	for (size_t n = 1; n < sizeof(tiny); n++) {
		write_bytes("cut.dat", tiny, n);
		assert_int_equal(get("cut.dat", "test", &list, why), -ERR_MALFORMED);
		assert_non_null(strstr(why, "not a file of lists (byte 0)"));
	}
	/* cut inside the list, with a length that says so: only what is read later notices */
	for (size_t n = 0; n + 2 < sizeof(tiny); n++) {
		uint8_t b[sizeof(tiny)];
		struct geodat_list l;
		struct prefix p;
		int rc;

		memcpy(b, tiny, sizeof(b));
		b[1] = (uint8_t)n;
		rc = open_list(&l, span_of(b, n + 2));
		if (rc == 0)
			rc = geodat_next_prefix(&l, &p);
		assert_true(rc == -ERR_MALFORMED || rc == 0);
	}
	get(NULL, NULL, NULL, NULL);
}

static void an_empty_file_has_no_list(void **state)
{
	struct span list;
	char why[ROUTE_WHY_MAX];

	(void)state;
	write_bytes("empty.dat", "", 0);
	assert_int_equal(get("empty.dat", "test", &list, why), -ERR_EOF);
	get(NULL, NULL, NULL, NULL);
}

static void errors_name_file_and_code(void **state)
{
	struct span list;
	char why[ROUTE_WHY_MAX], want[200];

	(void)state;
	write_bytes("tiny.dat", tiny, sizeof(tiny));
	assert_int_equal(get("tiny.dat", "XX", &list, why), -ERR_EOF);
	snprintf(want, sizeof(want), "failed to check code XX from tiny.dat > EOF (not in %s/",
		 folder.path);
	assert_memory_equal(why, want, strlen(want));

	assert_int_equal(get("absent.dat", "XX", &list, why), -ERR_SYS);
	snprintf(want, sizeof(want), "failed to open absent.dat > no such file in %s, ",
		 folder.path);
	assert_memory_equal(why, want, strlen(want));
	assert_non_null(strstr(why, "/usr/share/xray"));

	snprintf(want, sizeof(want), "%s/tiny.dat", folder.path); /* an absolute name is itself */
	assert_int_equal(get(want, "tEsT", &list, why), 0);
	assert_int_equal(get("/nowhere/tiny.dat", "TEST", &list, why), -ERR_SYS);
	assert_int_equal(get("..", "TEST", &list, why), -ERR_SYS);
	get(NULL, NULL, NULL, NULL);
}

static void the_place_that_xray_names_is_searched_too(void **state)
{
	struct span list;
	char why[ROUTE_WHY_MAX];

	(void)state;
	write_bytes("tiny.dat", tiny, sizeof(tiny));
	setenv("XRAY_LOCATION_ASSET", folder.path, 1);
	unsetenv("GARENNE_ASSETS");
	assert_int_equal(get("tiny.dat", "TEST", &list, why), 0);
	setenv("GARENNE_ASSETS", folder.path, 1);
	unsetenv("XRAY_LOCATION_ASSET");
	get(NULL, NULL, NULL, NULL);
}

/* A list whose code comes last, behind more than any buffer holds; one with a long code. */
static void unusual_files(void **state)
{
	struct kit_bytes file = {0}, list = {0};
	char why[ROUTE_WHY_MAX], code[300];
	struct span found;
	struct geodat_list l;
	struct prefix p;
	int n = 0;

	(void)state;
	memset(code, 'x', sizeof(code));
	code[299] = '\0';
	for (int i = 0; i < 200; i++)
		kit_cidr(&list, "10.0.0.0/8");
	kit_number(&list, 3, 1); /* reverse_match, ignored */
	kit_field(&list, 1, "LAST", 4);
	kit_message(&file, 1, &list);
	kit_field(&list, 1, code, 255);
	kit_cidr(&list, "::/0");
	kit_message(&file, 1, &list);
	kit_field(&list, 1, code, 299);
	kit_message(&file, 1, &list);
	kit_field(&list, 1, "last", 4); /* the first list of a name counts */
	kit_message(&file, 1, &list);
	kit_write(&folder, "odd.dat", &file);

	assert_int_equal(get("odd.dat", "last", &found, why), 0);
	assert_int_equal(open_list(&l, found), 0);
	while (geodat_next_prefix(&l, &p) == 1)
		n++;
	assert_int_equal(n, 200);
	assert_int_equal(get("odd.dat", code, &found, why), -ERR_EOF);
	code[255] = '\0';
	assert_int_equal(get("odd.dat", code, &found, why), 0);
	assert_int_equal(open_list(&l, found), 0);
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_int_equal(p.ip.family, 6);
	assert_int_equal(p.len, 0);
	get(NULL, NULL, NULL, NULL);
}

static void entries_that_mean_nothing(void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10};
	struct kit_bytes file = {0}, list = {0}, m = {0};
	struct geodat_domain d;
	struct geodat_list l;
	struct prefix p;

	(void)state;
	kit_field(&m, 1, "\1\2\3\4\5", 5);
	kit_message(&list, 2, &m);
	kit_field(&m, 1, "\12\0\0\0", 4);
	kit_number(&m, 2, 33);
	kit_message(&list, 2, &m);
	kit_field(&m, 1, mapped, 16);
	kit_number(&m, 2, 104);
	kit_message(&list, 2, &m);
	kit_field(&m, 1, mapped, 16);
	kit_number(&m, 2, 8);
	kit_message(&list, 2, &m);
	kit_message(&file, 1, &list);
	assert_int_equal(open_list(&l, span_of(file.p, file.n)), 0);
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_int_equal(p.ip.family, 0);
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_int_equal(p.ip.family, 0);
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_int_equal(p.ip.family, 4);
	assert_int_equal(p.len, 8);
	assert_int_equal(geodat_next_prefix(&l, &p), 1);
	assert_int_equal(p.ip.family, 0);
	free(file.p);

	file = (struct kit_bytes){0};
	kit_domain(&list, 4, "unknown.type", NULL, NULL);
	kit_domain(&list, 2, "example.org", "CN", "ads");
	kit_message(&file, 1, &list);
	assert_int_equal(open_list(&l, span_of(file.p, file.n)), 0);
	assert_int_equal(geodat_next_domain(&l, &d), 1);
	assert_int_equal(d.value.n, 0);
	assert_int_equal(geodat_next_domain(&l, &d), 1);
	assert_int_equal(d.type, GEODAT_DOMAIN);
	assert_true(geodat_has_attribute(&d, span_str("cn")));
	assert_true(geodat_has_attribute(&d, span_str("ads")));
	assert_false(geodat_has_attribute(&d, span_str("ad")));
	assert_int_equal(geodat_next_domain(&l, &d), 0);
	free(file.p);
}

/* ---- lists of conditions ---- */

static void write_lists(void)
{
	struct kit_bytes file = {0}, list = {0};

	kit_field(&list, 1, "CN", 2);
	kit_cidr(&list, "1.0.0.0/8");
	kit_cidr(&list, "2400::/12");
	kit_message(&file, 1, &list);
	kit_field(&list, 1, "US", 2);
	kit_cidr(&list, "3.0.0.0/8");
	kit_message(&file, 1, &list);
	kit_write(&folder, "geoip.dat", &file);

	kit_field(&list, 1, "TEST", 4);
	kit_domain(&list, 0, "Shop", NULL, NULL);
	kit_domain(&list, 1, "^v[0-9]+\\.", NULL, NULL);
	kit_domain(&list, 1, "broken(", NULL, NULL);
	kit_domain(&list, 2, "example.org", "cn", NULL);
	kit_domain(&list, 3, "full.example.net", "cn", "ads");
	kit_message(&file, 1, &list);
	kit_write(&folder, "geosite.dat", &file);
}

static bool ip_fits(const struct iprules *r, const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(&ip, span_str(text)), 0);
	return iprules_has(r, &ip);
}

static void check_ips(struct conf_strs rules, const char *yes, const char *no)
{
	struct lists *l = lists_new();
	struct kit_report k;
	struct iprules *r;
	char text[200];

	kit_report_init(&k);
	r = lists_ips(l, rules, &k.r);
	if (!r)
		fail_msg("%s", k.first_error);
	lists_free(l);
	for (int fits = 0; fits < 2; fits++) {
		char *save = NULL;

		snprintf(text, sizeof(text), "%s", fits ? yes : no);
		for (char *ip = strtok_r(text, " ", &save); ip; ip = strtok_r(NULL, " ", &save))
			if (ip_fits(r, ip) != fits)
				fail_msg("%s: %s, expected %d", rules.v[0], ip, fits);
	}
	iprules_free(r);
}

static void what_ip_conditions_mean(void **state)
{
	(void)state;
	write_lists();
	check_ips(STRS("10.0.0.0/8", "2001:db8::/32"), "10.1.1.1 2001:db8::1", "11.0.0.1 ::1");
	check_ips(STRS("10.1.2.3", "::1", "[2001:db8::5]", " 7.7.7.7 "),
		  "10.1.2.3 ::1 2001:db8::5 7.7.7.7", "10.1.2.4 ::2");
	check_ips(STRS("10.1.2.3/8"), "10.255.0.1", "11.0.0.1");
	check_ips(STRS("::ffff:10.0.0.0/8"), "10.1.1.1", "::ffff:0:0:1");
	check_ips(STRS("geoip:cn"), "1.2.3.4 2400::1", "3.0.0.1 2500::1");
	check_ips(STRS("ext:geoip.dat:us", "ext-ip:geoip.dat:CN"), "3.3.3.3 1.1.1.1", "2.2.2.2");
	/* one sort turned round: like AND */
	check_ips(STRS("!10.0.0.0/8", "!192.168.0.0/16"), "11.0.0.1", "10.0.0.1 192.168.1.1");
	/* two sorts turned round: OR, whatever the documentation says */
	check_ips(STRS("!10.0.0.0/8", "!geoip:private"), "8.8.8.8 192.168.1.1", "10.1.1.1");
	/* a set without the family says no, even turned round */
	check_ips(STRS("!8.8.8.8"), "9.9.9.9", "8.8.8.8 ::1 2001:db8::1");
	check_ips(STRS("!geoip:us"), "1.1.1.1", "3.3.3.3 2400::1");
	check_ips(STRS("geoip:!us", "!10.0.0.0/8", "::/0"), "1.1.1.1 ::1 10.0.0.1 3.3.3.3", "");
	check_ips(STRS("!!10.0.0.0/8"), "10.0.0.1", "11.0.0.1");
	check_ips(STRS("!geoip:!cn"), "1.1.1.1", "3.3.3.3");
	/* no file is needed for this one */
	check_ips(STRS("geoip:private"),
		  "10.0.0.1 100.64.0.1 198.18.0.1 255.255.255.255 fe80::1 ::",
		  "8.8.8.8 2001:4860::8888");
}

static void check_ip_error(const char *rule, const char *want)
{
	struct lists *l = lists_new();
	struct kit_report k;
	char full[300];

	kit_report_init(&k);
	assert_null(lists_ips(l, STRS(rule), &k.r));
	snprintf(full, sizeof(full), "illegal ip rule: %s > %s", rule, want);
	k.first_error[strlen(full)] = '\0';
	assert_string_equal(k.first_error, full);
	lists_free(l);
}

static void what_is_said_about_bad_ip_conditions(void **state)
{
	(void)state;
	write_lists();
	check_ip_error("example.org", "unsupported address family");
	check_ip_error("", "unsupported address family");
	check_ip_error("!", "unsupported address family");
	check_ip_error("10.0.0.0/33x", "invalid CIDR prefix length: 33x");
	check_ip_error("10.0.0.0/-1", "invalid CIDR prefix length: -1");
	check_ip_error("10.0.0.0/40", "CIDR prefix length 40 exceeds max 32");
	check_ip_error("::/129", "CIDR prefix length 129 exceeds max 128");
	check_ip_error("geoip:", "empty code");
	check_ip_error("geoip:!", "empty code");
	check_ip_error("ext:geoip.dat", "syntax error");
	check_ip_error("ext::cn", "empty file");
	check_ip_error("geoip:xx", "failed to check code XX from geoip.dat > EOF");
	check_ip_error("ext:none.dat:cn", "failed to open none.dat > ");
}

static struct domset *site(struct conf_strs rules, struct kit_report *k)
{
	struct lists *l = lists_new();
	struct domset *s;

	kit_report_init(k);
	s = lists_domains(l, rules, DOMSET_KEYWORD, &k->r);
	lists_free(l);
	return s;
}

static void check_domains(struct conf_strs rules, const char *yes, const char *no)
{
	struct kit_report k;
	struct domset *s = site(rules, &k);
	char text[200];

	if (!s)
		fail_msg("%s", k.first_error);
	for (int fits = 0; fits < 2; fits++) {
		char *save = NULL;

		snprintf(text, sizeof(text), "%s", fits ? yes : no);
		for (char *n = strtok_r(text, " ", &save); n; n = strtok_r(NULL, " ", &save)) {
			struct domkey key;

			assert_true(domkey_init(&key, span_str(n)));
			if (domset_has(s, &key) != fits)
				fail_msg("%s: %s, expected %d", rules.v[0], n, fits);
		}
	}
	domset_free(s);
}

static void what_domain_conditions_mean(void **state)
{
	(void)state;
	write_lists();
	check_domains(STRS("shop"), "myshop.de SHOP.example.org", "sho.p");
	check_domains(STRS("keyword:Ads"), "x.ADS.y", "a.d.s");
	check_domains(STRS("domain:example.org"), "example.org a.b.example.org", "xexample.org");
	check_domains(STRS("full:example.org"), "EXAMPLE.org", "www.example.org example.org.");
	check_domains(STRS("regexp:^a\\d+\\.de$"), "a12.de A1.de", "a.de xa1.de a1.de.");
	check_domains(STRS("regexp:^A"), "", "Abc abc");
	check_domains(STRS("dotless:"), "nas", "nas.lan");
	check_domains(STRS("dotless:na"), "nas", "printer nas.lan");
	check_domains(STRS("geosite:test"), "webshop.de v1.com www.example.org full.example.net",
		      "x.full.example.net");
	check_domains(STRS("geosite:TEST@cn"), "www.example.org full.example.net", "webshop.de");
	check_domains(STRS("geosite:test@CN@ads"), "full.example.net", "example.org");
	check_domains(STRS("geosite:test@nobody"), "", "example.org webshop.de");
	check_domains(STRS("ext:geosite.dat:test@ads", "ext-domain:geosite.dat:test@ads",
			   "ext-site:geosite.dat:test@ads"),
		      "full.example.net", "example.org");
}

static void check_domain_error(const char *rule, const char *want)
{
	struct kit_report k;
	char full[300];

	assert_null(site(STRS(rule), &k));
	snprintf(full, sizeof(full), "illegal domain rule: %s > %s", rule, want);
	k.first_error[strlen(full)] = '\0';
	assert_string_equal(k.first_error, full);
}

static void what_is_said_about_bad_domain_conditions(void **state)
{
	struct kit_report k;
	struct domset *s;

	(void)state;
	write_lists();
	check_domain_error("dotless:a.b", "substr in dotless rule should not contain a dot");
	check_domain_error("geosite:test@", "empty attr");
	check_domain_error("geosite:test@a@@b", "empty attr");
	check_domain_error("geosite:", "empty code");
	check_domain_error("geosite:@cn", "empty code");
	check_domain_error("ext:geosite.dat", "syntax error");
	check_domain_error("ext::test", "empty file");
	check_domain_error("geosite:absent", "failed to check code ABSENT from geosite.dat > EOF");
	check_domain_error("keyword:", "empty pattern");
	check_domain_error("", "empty pattern");
	check_domain_error("regexp:a(", "missing closing parenthesis");

	s = site(STRS("geosite:test"), &k); /* the file's own broken entry is only passed over */
	assert_non_null(s);
	assert_non_null(strstr(k.first_warning, "entry broken( ignored"));
	domset_free(s);
	s = site(STRS("full:a b"), &k);
	assert_non_null(s);
	assert_string_equal(k.first_warning,
			    "full:a b can never match: no name has such characters");
	domset_free(s);
}

static void one_list_is_compiled_once(void **state)
{
	struct lists *l = lists_new();
	struct domset *a, *b, *c, *d;
	struct kit_report k;
	struct iprules *x, *y;

	(void)state;
	write_lists();
	kit_report_init(&k);
	a = lists_domains(l, STRS("geosite:test", "full:x"), DOMSET_KEYWORD, &k.r);
	b = lists_domains(l, STRS("geosite:test", "full:x"), DOMSET_KEYWORD, &k.r);
	c = lists_domains(l, STRS("geosite:test", "full:x"), DOMSET_FULL, &k.r);
	d = lists_domains(l, STRS("geosite:test", "full:", "x"), DOMSET_KEYWORD, &k.r);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_null(d); /* "full:" is empty, and not taken for the list above */
	x = lists_ips(l, STRS("geoip:cn"), &k.r);
	y = lists_ips(l, STRS("geoip:cn"), &k.r);
	assert_ptr_equal(x, y);
	lists_free(l);
	assert_true(ip_fits(y, "1.1.1.1"));
	domset_free(a);
	domset_free(b);
	domset_free(c);
	iprules_free(x);
	iprules_free(y);
}

/* As for fixed hosts: the first entry that matches wins, a bare text is a full name. */
static void the_first_entry_of_a_table_wins(void **state)
{
	static const char *const rules[] = {"keyword:nas", "router", "domain:lan", "full:nas.lan",
					    "regexp:^r"};
	struct lists *l = lists_new();
	struct domset *s = domset_new();
	struct kit_report k;
	struct domkey key;

	(void)state;
	kit_report_init(&k);
	for (uint32_t i = 0; i < 5; i++)
		lists_add_domain(l, s, rules[i], DOMSET_FULL, i, &k.r);
	assert_int_equal(k.r.errors, 0);
	assert_int_equal(domset_seal(s), 0);
	domkey_init(&key, span_str("NAS.lan"));
	assert_int_equal(domset_find(s, &key), 0);
	domkey_init(&key, span_str("router"));
	assert_int_equal(domset_find(s, &key), 1);
	domkey_init(&key, span_str("router.lan"));
	assert_int_equal(domset_find(s, &key), 2);
	domkey_init(&key, span_str("router.wan"));
	assert_int_equal(domset_find(s, &key), 4);
	domkey_init(&key, span_str("x.wan"));
	assert_int_equal(domset_find(s, &key), DOMSET_NONE);
	domset_free(s);
	lists_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vector),
		cmocka_unit_test(a_truncated_file_is_refused),
		cmocka_unit_test(an_empty_file_has_no_list),
		cmocka_unit_test(errors_name_file_and_code),
		cmocka_unit_test(the_place_that_xray_names_is_searched_too),
		cmocka_unit_test(unusual_files),
		cmocka_unit_test(entries_that_mean_nothing),
		cmocka_unit_test(what_ip_conditions_mean),
		cmocka_unit_test(what_is_said_about_bad_ip_conditions),
		cmocka_unit_test(what_domain_conditions_mean),
		cmocka_unit_test(what_is_said_about_bad_domain_conditions),
		cmocka_unit_test(one_list_is_compiled_once),
		cmocka_unit_test(the_first_entry_of_a_table_wins),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
