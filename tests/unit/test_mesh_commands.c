/* garenne mesh ...: what the commands say of wrong arguments and files, and tokens on paper. */
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
#include <unistd.h>

#include "app/cli.h"
#include "tool.h"

static char dir[] = "/tmp/garenne-mesh-XXXXXX";

static void run(struct tool *t, const char *line)
{
	char copy[1024], *words[32] = {(char[]){"garenne"}}, *save = NULL;
	int n = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w && n < 31; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	tool_run_words(t, n, words);
}

static void refuses(const char *line, const char *words)
{
	struct tool t;

	run(&t, line);
	if (t.code == EXIT_OK || !strstr(t.err, words))
		print_error("%s: %d, %s", line, t.code, t.err);
	assert_int_not_equal(t.code, EXIT_OK);
	assert_non_null(strstr(t.err, words));
}

static void does(const char *line)
{
	struct tool t;

	run(&t, line);
	if (t.code != EXIT_OK)
		print_error("%s: %s", line, t.err);
	assert_int_equal(t.code, EXIT_OK);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) != 0)
		return -1;
	does("mesh init home -address hub.example.org -target www.example.com:443");
	does("mesh add site paris -lan 192.168.1.0/24");
	does("mesh add site rome -software xray");
	does("mesh add phone alice");
	return 0;
}

static int end(void **state)
{
	char line[64];

	(void)state;
	snprintf(line, sizeof(line), "rm -rf %s", dir);
	return chdir("/") || system(line);
}

static void options_are_judged_one_by_one(void **state)
{
	static const char *const v[][2] = {
		{"mesh", "no command \"mesh\""},
		{"mesh initt", "no command \"mesh initt\""},
		{"mesh init", "found 0 words, expected one"},
		{"mesh init Home -address h.example.org", "found \"Home\", expected a name for the mesh"},
		{"mesh init x", "expected -address HOST"},
		{"mesh init x -address h.example.org:99999", "-address: found \"h.example.org:99999\""},
		{"mesh init x -address h.example.org -security ssl", "expected one of: reality|tls|none"},
		{"mesh init x -address h.example.org -target y", "-target: found \"y\""},
		{"mesh init x -address h.example.org -security tls -target y:443", "means nothing with"},
		{"mesh init x -address h.example.org -security tls -key k", "found only -key"},
		{"mesh init x -address h.example.org -certificate c -key k", "means nothing with"},
		{"mesh init x -address h.example.org -security none", "which is on the internet"},
		{"mesh init x -address h.example.org -lan 10.0.0.0/8", "-lan: means nothing for a hub"},
		{"mesh add site", "found 1 words, expected hub, site or phone, and a name"},
		{"mesh add car x", "found \"car\", expected hub, site or phone"},
		{"mesh add site Oslo", "found \"Oslo\", expected a name for the site"},
		{"mesh add site oslo -lan 192.168.1.0", "found \"192.168.1.0\", expected a prefix"},
		{"mesh add site oslo -lan 192.168.1.7/24", "expected \"192.168.1.0/24\""},
		{"mesh add site oslo -lan 10.0.0.0/8", "what is left of \"mapped\", 198.18.0.0/15"},
		{"mesh add site oslo -socks 70000", "-socks: found \"70000\""},
		{"mesh add site oslo -app sing-box", "-app: means nothing for a site"},
		{"mesh add phone bob -software xray", "-software: means nothing for a phone"},
		{"mesh add phone bob -app telegram", "expected one of: v2rayng|sing-box|other"},
		{"mesh add site paris", "mesh.json:13: there is a site \"paris\" already"},
		{"mesh add site any", "found \"any\", which means something else here"},
		{"mesh add hub east -address hub.example.org", "where everybody dials hub"},
		{"mesh add site oslo -file nope.json", "nope.json: cannot be read"},
		{"mesh show pari", "found no node \"pari\"; did you mean \"paris\"?"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		refuses(v[i][0], v[i][1]);
	assert_int_not_equal(access("keys/oslo.json", F_OK), 0);
}

static void keys_are_of_their_node(void **state)
{
	(void)state;
	assert_int_equal(rename("keys/paris.json", "kept"), 0);
	refuses("mesh compile", "expected the keys of paris (mesh.json:13)");
	assert_int_equal(link("keys/rome.json", "keys/paris.json"), 0);
	refuses("mesh compile", "\"id\" is that of keys/paris.json");
	assert_int_equal(unlink("keys/paris.json"), 0);
	assert_int_equal(link("keys/alice.json", "keys/paris.json"), 0);
	refuses("mesh compile", "found no \"portalId\"");
	assert_int_equal(unlink("keys/paris.json"), 0);
	assert_int_equal(rename("kept", "keys/paris.json"), 0);
	does("mesh compile");
}

static size_t tickets(void)
{
	DIR *d = opendir("nodes/hub.tickets");
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) != NULL)
		n += strstr(e->d_name, ".ticket") != NULL;
	if (d)
		closedir(d);
	return n;
}

static void tokens_on_paper(void **state)
{
	struct tool t;
	char line[1024];

	(void)state;
	refuses("mesh token", "expected the name of one node");
	refuses("mesh token alice", "alice is a phone (mesh.json:");
	refuses("mesh token rome", "rome runs xray (mesh.json:");
	refuses("mesh token hub", "no hub is left through which hub could join");
	refuses("mesh token paris -expires 59s", "found \"59s\", expected a time from 1m to 30d");
	refuses("mesh token paris -expires 31d", "expected a time from 1m to 30d");
	refuses("mesh token paris -expires 1h30m", "expected a time from 1m to 30d");
	assert_int_equal(tickets(), 0);
	does("mesh compile");
	run(&t, "mesh token paris -expires 60s");
	assert_int_equal(t.code, EXIT_OK);
	assert_int_equal(tickets(), 1);
	assert_ptr_equal(strstr(t.out, "garenne-join-1."), t.out);
	assert_null(strstr(t.err, "warning"));
	/* What comes out is one line, which join takes for one: it goes as far as the file. */
	t.out[strcspn(t.out, "\n")] = 0;
	snprintf(line, sizeof(line), "mesh join -o mesh.json %.900s", t.out);
	refuses(line, "mesh.json: there is such a file already");
	t.out[strlen(t.out) - 3] = 0;
	snprintf(line, sizeof(line), "mesh join -o new.json %.900s", t.out);
	refuses(line, "cut off");
	refuses("mesh join vless://1", "this is no token: found \"vless://1\"");
	refuses("mesh join garenne-join-7.AAAA", "another version of garenne");
	does("mesh add site oslo");
	run(&t, "mesh token oslo");
	assert_int_equal(t.code, EXIT_OK);
	assert_non_null(strstr(t.err, "warning: ./nodes/hub.json is not what"));
	run(&t, "mesh token -list");
	assert_int_equal(t.code, EXIT_OK);
	assert_non_null(strstr(t.out, "oslo"));
	assert_non_null(strstr(t.out, "good until"));
	refuses("mesh token -list nowhere", "nowhere: No such file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_judged_one_by_one),
		cmocka_unit_test(keys_are_of_their_node),
		cmocka_unit_test(tokens_on_paper),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
