/*
 * The loader against files: tests/conf/invalid/X.json must fail with exactly the
 * errors of X.expect, tests/conf/valid/X.json must load with exactly the
 * warnings of X.expect (none without one), and the samples of configs/ must
 * load without a word.
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
#include <unistd.h>

#include "conf/conf.h"

enum { LINE_LEN = 2048, TEXT_LEN = 65536 };

static char root[4096];

static void enter(const char *dir)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	assert_int_equal(chdir(path), 0);
}

/* The whole of "X.expect" for "X.json", or "" when there is none. */
static char *expected(const char *json)
{
	char *text = calloc(1, TEXT_LEN), path[512];
	FILE *f;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%.*s.expect", (int)(strlen(json) - strlen(".json")), json);
	f = fopen(path, "r");
	if (f) {
		assert_true(fread(text, 1, TEXT_LEN - 1, f) > 0);
		fclose(f);
	}
	return text;
}

/* All messages of one level, a line each. */
static char *said(const struct conf_msgs *m, enum conf_msg_level level)
{
	char *text = calloc(1, TEXT_LEN), line[LINE_LEN];
	size_t n = 0;

	assert_non_null(text);
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].level == level)
			n += (size_t)snprintf(text + n, TEXT_LEN - n, "%s\n",
					      conf_msg_text(&m->v[i], line, sizeof(line)));
	assert_true(n < TEXT_LEN);
	return text;
}

static void check(const char *json, bool loads)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	struct conf *c = conf_load(&json, 1, NULL, &msgs);
	char *want = expected(json);
	char *got = said(&msgs, loads ? CONF_MSG_WARNING : CONF_MSG_ERROR);

	if ((c != NULL) != loads || (msgs.errors > 0) == loads || strcmp(want, got) != 0)
		print_message("%s:\nexpected:\n%sfound:\n%s", json, want, got);
	assert_string_equal(got, want);
	assert_int_equal(c != NULL, loads);
	assert_int_equal(msgs.errors == 0, loads);
	free(want);
	free(got);
	conf_free(c);
	conf_msgs_free(&msgs);
}

static bool is_json(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static size_t check_all(bool loads)
{
	DIR *d = opendir(".");
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (is_json(e->d_name)) {
			check(e->d_name, loads);
			n++;
		}
	closedir(d);
	return n;
}

static void invalid_files_fail_with_their_message(void **state)
{
	(void)state;
	enter("tests/conf/invalid");
	assert_true(check_all(false) >= 70);
}

static void valid_files_load_with_their_warnings(void **state)
{
	(void)state;
	enter("tests/conf/valid");
	assert_true(check_all(true) >= 20);
}

static void samples_load_silently(void **state)
{
	char certs[8192];

	(void)state;
	snprintf(certs, sizeof(certs), "%s/tests/conf/valid", root);
	assert_int_equal(setenv("XRAY_LOCATION_CERT", certs, 1), 0);
	enter("configs");
	assert_true(check_all(true) >= 8);
	assert_int_equal(unsetenv("XRAY_LOCATION_CERT"), 0);
}

/* A fault must be found in every file: an invalid one is invalid without its last byte too. */
static void cut_files_never_load(void **state)
{
	static const char *const names[] = {"s2-portal.json", "forms-new.json"};

	(void)state;
	enter("tests/conf/valid");
	for (size_t i = 0; i < 2; i++) {
		char *text = calloc(1, TEXT_LEN);
		FILE *f = fopen(names[i], "r");
		size_t n;

		assert_non_null(text);
		assert_non_null(f);
		n = fread(text, 1, TEXT_LEN, f);
		fclose(f);
		while (n > 0 && text[n - 1] != '}')
			n--;
		for (size_t cut = 0; cut < n; cut += 1 + cut / 64) {
			struct conf_msgs msgs = {NULL, 0, 0, 0, 0};

			assert_null(conf_load_text("cut", span_of(text, cut), &msgs));
			assert_int_equal(msgs.errors, 1);
			conf_msgs_free(&msgs);
		}
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invalid_files_fail_with_their_message),
		cmocka_unit_test(valid_files_load_with_their_warnings),
		cmocka_unit_test(samples_load_silently),
		cmocka_unit_test(cut_files_never_load),
	};

	if (!getcwd(root, sizeof(root)))
		return 1;
	unsetenv("XRAY_LOCATION_CERT");
	unsetenv("XRAY_RAY_BUFFER_SIZE");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
