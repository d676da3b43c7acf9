/* vpn: resolv.conf is replaced whole and put back, whatever it was, also by a later life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vpn/resolvconf.h"

#define LIFE "# garenne's for the TUN lo; what it was is in resolv.conf.garenne\nnameserver 10.9.9.9\n"

static char dir[] = "/tmp/resolvconf-XXXXXX";
static const struct ip server = {.family = 4, .b = {10, 9, 9, 9}};
/* The loopback device is one that is there. */
static const struct conf_in_tun tun = {.name = "lo", .dns = &server, .n_dns = 1};

static const char *at(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* @text NULL: there is no such file. */
static void expect(const char *name, const char *text)
{
	char got[1000] = "";
	FILE *f = fopen(at(name), "r");

	if (!text) {
		assert_null(f);
		return;
	}
	assert_non_null(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) < sizeof(got) - 1);
	fclose(f);
	assert_string_equal(got, text);
}

static void a_file(void **state)
{
	(void)state;
	put("resolv.conf", "nameserver 192.0.2.1\noptions rotate\n");
	resolvconf_restore(dir, "lo");
	resolvconf_set(dir, &tun);
	expect("resolv.conf", LIFE "nameserver 192.0.2.1\noptions rotate\n");
	resolvconf_restore(dir, "lo");
	expect("resolv.conf", "nameserver 192.0.2.1\noptions rotate\n");
	expect("resolv.conf.garenne", NULL);
	expect("resolv.conf.garenne-new", NULL);
}

static void a_link_stays_one(void **state)
{
	struct stat st;

	(void)state;
	put("stub", "nameserver 192.0.2.2\n");
	unlink(at("resolv.conf"));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(symlink("stub", "resolv.conf"), 0);
	resolvconf_set(dir, &tun);
	expect("resolv.conf", LIFE "nameserver 192.0.2.2\n");
	expect("stub", "nameserver 192.0.2.2\n");
	resolvconf_restore(dir, "lo");
	assert_int_equal(lstat(at("resolv.conf"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(at("resolv.conf"));
}

static void none(void **state)
{
	(void)state;
	resolvconf_set(dir, &tun);
	expect("resolv.conf", LIFE);
	resolvconf_restore(dir, "lo");
	expect("resolv.conf", NULL);
}

/* A kill leaves everything; the next start, also of a TUN with another name, finds the old file. */
static void after_a_kill(void **state)
{
	struct conf_in_tun gone = tun;

	(void)state;
	gone.name = "no-such-device";
	put("resolv.conf", "nameserver 192.0.2.1\n");
	for (int i = 0; i < 2; i++) {
		resolvconf_set(dir, i ? &gone : &tun);
		resolvconf_restore(dir, "lo");
		expect("resolv.conf", "nameserver 192.0.2.1\n");
		expect("resolv.conf.garenne", NULL);
	}
	/* Another TUN's, which lives: hands off. */
	resolvconf_set(dir, &tun);
	resolvconf_restore(dir, "other");
	expect("resolv.conf", LIFE "nameserver 192.0.2.1\n");
	resolvconf_restore(dir, "lo");
	expect("resolv.conf", "nameserver 192.0.2.1\n");
}

static void somebody_else_wrote(void **state)
{
	(void)state;
	put("resolv.conf", "nameserver 192.0.2.1\n");
	resolvconf_set(dir, &tun);
	unlink(at("resolv.conf"));
	put("resolv.conf", "nameserver 192.0.2.3\n");
	resolvconf_restore(dir, "lo");
	expect("resolv.conf", "nameserver 192.0.2.3\n");
	expect("resolv.conf.garenne", NULL);
}

static int make(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int clean(void **state)
{
	static const char *const names[] = {"resolv.conf", "stub"};

	(void)state;
	for (size_t i = 0; i < 2; i++)
		unlink(at(names[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file),
		cmocka_unit_test(a_link_stays_one),
		cmocka_unit_test(none),
		cmocka_unit_test(after_a_kill),
		cmocka_unit_test(somebody_else_wrote),
	};

	return cmocka_run_group_tests(tests, make, clean);
}
