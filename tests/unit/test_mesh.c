/*
 * The mesh file: tests/mesh/bad/X.json must fail with exactly the messages of
 * X.expect; the files of tests/mesh/good/X/expected must be what compile makes of
 * tests/mesh/good/X. With GOLDEN=1 in the environment the latter are written anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "mesh/compile.h"
#include "mesh/eval.h"
#include "mesh/plan.h"

enum { LINE_LEN = 2048, TEXT_LEN = 65536 };

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, TEXT_LEN);

	assert_non_null(text);
	if (f) {
		assert_true(fread(text, 1, TEXT_LEN - 1, f) < TEXT_LEN - 1);
		fclose(f);
	}
	return text;
}

static char *said(struct conf_msgs *m)
{
	char *text = calloc(1, TEXT_LEN), line[LINE_LEN];
	size_t n = 0;

	assert_non_null(text);
	for (size_t i = 0; i < m->n; i++)
		n += (size_t)snprintf(text + n, TEXT_LEN - n, "%s\n",
				      conf_msg_text(&m->v[i], line, sizeof(line)));
	conf_msgs_free(m);
	return text;
}

static void check_bad(const char *name)
{
	struct conf_msgs msgs = {0};
	char path[512], *text, *want, *got;
	struct mesh *m;

	snprintf(path, sizeof(path), "tests/mesh/bad/%s", name);
	text = slurp(path);
	m = mesh_parse(name, span_str(text), &msgs);
	if (m)
		mesh_expect(m, &msgs);
	mesh_free(m);
	assert_true(msgs.errors > 0);
	got = said(&msgs);
	snprintf(path, sizeof(path), "tests/mesh/bad/%.*s.expect", (int)strlen(name) - 5, name);
	want = slurp(path);
	assert_string_equal(got, want);
	free(text);
	free(want);
	free(got);
}

static void test_bad_files(void **state)
{
	DIR *d = opendir("tests/mesh/bad");
	struct dirent *e;
	size_t n = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (strstr(e->d_name, ".json")) {
			check_bad(e->d_name);
			n++;
		}
	closedir(d);
	assert_true(n >= 40);
}

/* ---- good ones ---- */

static struct mesh *parse(const char *text)
{
	struct conf_msgs msgs = {0};
	struct mesh *m = mesh_parse("mesh.json", span_str(text), &msgs);
	char *words;

	if (m)
		mesh_expect(m, &msgs);
	words = said(&msgs);
	assert_string_equal(words, "");
	free(words);
	return m;
}

static struct mesh_keys *read_keys(const struct mesh *m, const char *dir)
{
	struct mesh_keys *k = calloc(m->n_nodes, sizeof(*k));
	struct conf_msgs msgs = {0};
	char path[512], *text;

	assert_non_null(k);
	for (size_t i = 0; i < m->n_nodes; i++) {
		snprintf(path, sizeof(path), "%s/keys/%s.json", dir, m->nodes[i].name);
		text = slurp(path);
		assert_int_equal(mesh_keys_parse(&k[i], path, span_str(text), &msgs), 0);
		free(text);
	}
	return k;
}

static void free_keys(struct mesh_keys *k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mesh_keys_wipe(&k[i]);
	free(k);
}

static void compare(const char *path, const char *text)
{
	char *want;
	FILE *f;

	if (getenv("GOLDEN")) {
		f = fopen(path, "w");
		assert_non_null(f);
		fputs(text, f);
		fclose(f);
		return;
	}
	want = slurp(path);
	assert_string_equal(text, want);
	free(want);
}

static void check_good(const char *name)
{
	char dir[128], path[512], notes[TEXT_LEN] = "", *text;
	struct mesh_output out = {0};
	struct mesh_keys *k;
	struct mesh *m;
	size_t n = 0;

	snprintf(dir, sizeof(dir), "tests/mesh/good/%s", name);
	snprintf(path, sizeof(path), "%s/mesh.json", dir);
	text = slurp(path);
	m = parse(text);
	k = read_keys(m, dir);
	assert_int_equal(mesh_compile(m, k, &out), 0);
	snprintf(path, sizeof(path), "%s/expected", dir);
	mkdir(path, 0755);
	for (size_t i = 0; i < out.n_files; i++) {
		snprintf(path, sizeof(path), "%s/expected/%s", dir, out.files[i].name);
		compare(path, out.files[i].text);
	}
	for (size_t i = 0; i < out.n_notes; i++)
		n += (size_t)snprintf(notes + n, sizeof(notes) - n, "%s: %s\n",
				      m->nodes[out.notes[i].node].name, out.notes[i].text);
	snprintf(path, sizeof(path), "%s/expected/notes", dir);
	compare(path, notes);
	mesh_output_free(&out);
	free_keys(k, m->n_nodes);
	mesh_free(m);
	free(text);
}

static void test_good_files(void **state)
{
	(void)state;
	check_good("office");
	check_good("stock");
	check_good("delivery");
	check_good("classic");
	check_good("debian");
}

/* ---- growing ---- */

static size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* A new site is a few lines, and the others' files stay as they are to the byte. */
static void test_fourth_site(void **state)
{
	static const char site[] = "\"madrid\": {\n"
				   "  \"ip\": \"100.65.0.4\", \"ip6\": \"fd6b:2f10:8a41:1::4\",\n"
				   "  \"lans\": [{ \"prefix\": \"192.168.1.0/24\", \"as\": "
				   "\"198.18.4.0/24\" }]\n}";
	struct mesh_output before = {0}, after = {0};
	struct mesh_keys *k, *more;
	char *text, *grown;
	struct mesh *m, *g;
	size_t same = 0;

	(void)state;
	text = slurp("tests/mesh/good/office/mesh.json");
	grown = mesh_insert(span_str(text), "sites", site);
	assert_non_null(grown);
	assert_true(lines_of(grown) - lines_of(text) <= 8);
	m = parse(text);
	g = parse(grown);
	k = read_keys(m, "tests/mesh/good/office");
	more = calloc(g->n_nodes, sizeof(*more));
	assert_non_null(more);
	for (size_t i = 0; i < g->n_nodes; i++) {
		int old = mesh_find(m, span_str(g->nodes[i].name));

		if (old != MESH_NOBODY)
			more[i] = k[old];
	}
	assert_int_equal(mesh_compile(m, k, &before), 0);
	assert_int_equal(mesh_compile(g, more, &after), 0);
	for (size_t i = 0; i < before.n_files; i++)
		for (size_t j = 0; j < after.n_files; j++)
			if (strcmp(before.files[i].name, after.files[j].name) == 0 &&
			    m->nodes[before.files[i].node].kind != MESH_HUB) {
				assert_string_equal(before.files[i].text, after.files[j].text);
				same++;
			}
	assert_int_equal(same, before.n_files - 1);
	assert_int_equal(after.n_files, before.n_files + 1);
	mesh_output_free(&before);
	mesh_output_free(&after);
	free(more);
	free_keys(k, m->n_nodes);
	mesh_free(m);
	mesh_free(g);
	free(grown);
	free(text);
}

static void test_next_addresses(void **state)
{
	struct prefix real, seen;
	char *text = slurp("tests/mesh/good/office/mesh.json"), shown[64];
	struct mesh *m = parse(text);
	struct ip ip;

	(void)state;
	assert_int_equal(mesh_next_ip(m, MESH_SITE, 4, &ip), 0);
	assert_string_equal(ip_text(&ip, shown, sizeof(shown)), "100.65.0.4");
	assert_int_equal(mesh_next_ip(m, MESH_PHONE, 6, &ip), 0);
	assert_string_equal(ip_text(&ip, shown, sizeof(shown)), "fd6b:2f10:8a41:2::2");
	prefix_parse(&real, span_str("192.168.1.0/24"));
	assert_int_equal(mesh_next_prefix(m, &real, 0, &seen), 0);
	assert_string_equal(prefix_text(&seen, shown, sizeof(shown)), "198.18.4.0/24");
	assert_int_equal(mesh_next_prefix(m, &real, 1, &seen), 0);
	assert_string_equal(prefix_text(&seen, shown, sizeof(shown)), "198.18.5.0/24");
	prefix_parse(&real, span_str("10.0.0.0/16"));
	assert_int_equal(mesh_next_prefix(m, &real, 0, &seen), 0);
	assert_string_equal(prefix_text(&seen, shown, sizeof(shown)), "198.19.0.0/16");
	prefix_parse(&real, span_str("10.0.0.0/8"));
	assert_int_equal(mesh_next_prefix(m, &real, 0, &seen), -ERR_LIMIT);
	prefix_parse(&real, span_str("fd00::/64"));
	assert_int_equal(mesh_next_prefix(m, &real, 0, &seen), 0);
	assert_string_equal(prefix_text(&seen, shown, sizeof(shown)), "fd6b:2f10:8a41:1000::/64");
	mesh_free(m);
	free(text);
}

static void check_insert(const char *in, const char *want)
{
	char *out = mesh_insert(span_str(in), "sites", "\"x\": 1");

	if (!want)
		assert_null(out);
	else
		assert_string_equal(out, want);
	free(out);
}

/* Comments and layout survive, commas come out right. */
static void test_insert(void **state)
{
	(void)state;
	check_insert("{\n  \"sites\": {\n  }\n}\n", "{\n  \"sites\": {\n    \"x\": 1\n  }\n}\n");
	check_insert("{\n  \"sites\": {\n    \"a\": 2 // }\n  }\n}\n",
		     "{\n  \"sites\": {\n    \"a\": 2, // }\n    \"x\": 1\n  }\n}\n");
	check_insert("{\n  \"sites\": {\n    \"a\": \"}\\\"\",\n  }\n}\n",
		     "{\n  \"sites\": {\n    \"a\": \"}\\\"\",\n    \"x\": 1\n  }\n}\n");
	check_insert("{ \"sites\": {} }", "{ \"sites\": {\n    \"x\": 1\n  } }");
	check_insert("{\n  \"hubs\": { \"sites\": {} } /* sites: { */\n}\n",
		     "{\n  \"hubs\": { \"sites\": {} }, /* sites: { */\n  \"sites\": {\n    \"x\": 1\n"
		     "  }\n}\n");
	check_insert("{}", "{\n  \"sites\": {\n    \"x\": 1\n  }\n}");
	check_insert("[]", NULL);
	check_insert("{ \"sites\": {", NULL);
	check_insert("", NULL);
	check_insert("{ \"", NULL);
	check_insert("{ \"sites\": { \"a\\", NULL);
}

static void test_keys(void **state)
{
	struct conf_msgs msgs = {0};
	struct mesh_keys a, b = {0};
	char *text, *words;

	(void)state;
	for (int kind = 0; kind < MESH_KINDS; kind++) {
		assert_int_equal(mesh_keys_make(&a, (enum mesh_kind)kind), 0);
		text = mesh_keys_text(&a, (enum mesh_kind)kind);
		assert_non_null(text);
		assert_int_equal(mesh_keys_parse(&b, "k", span_str(text), &msgs), 0);
		assert_memory_equal(&a, &b, sizeof(a));
		free(text);
	}
	/* What is wrong is told, what stands there is not. */
	assert_int_equal(mesh_keys_parse(&b, "k", span_str("{ \"id\": \"SECRET\", \"shortId\": "
							    "\"SECRET\", \"privateKey\": \"SECRET\" }"),
					 &msgs), -ERR_MALFORMED);
	assert_int_equal(msgs.errors, 3);
	words = said(&msgs);
	assert_null(strstr(words, "SECRET"));
	free(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files),   cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_fourth_site), cmocka_unit_test(test_next_addresses),
		cmocka_unit_test(test_insert),	    cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
