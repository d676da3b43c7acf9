/* Placeholders in header fields. The expected texts are what Xray 26.3.27 sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/httptemplate.h"

static struct httptemplate between(const char *source, const char *target)
{
	struct httptemplate t = {.udp = false};

	assert_int_equal(addr_parse(&t.source, span_str(source)), 0);
	assert_int_equal(addr_parse(&t.target, span_str(target)), 0);
	return t;
}

static void filled(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: not understood */
	} v[] = {
		{"", ""},
		{"plain { } text", "plain { } text"},
		{"{{.Source}}", "tcp:192.0.2.1:50000"},
		{"{{ .Target }}", "tcp:[2001:db8::1]:443"},
		{"for={{.Source.Address}};port={{.Source.Port}}", "for=192.0.2.1;port=50000"},
		{"{{.Target.Address}} {{.Target.NetAddr}}", "[2001:db8::1] [2001:db8::1]:443"},
		{"{{.Target.Network}}{{.Source.Network}}", "TCPTCP"},
		{"{{.Other}}", NULL},
		{"{{.Source.Name}}", NULL},
		{"{{.SourceX}}", NULL},
		{"{{if .Source}}x{{end}}", NULL},
		{"{{.Source", NULL},
		{"{{", NULL},
		{"{{}}", NULL},
	};
	struct httptemplate t = between("192.0.2.1:50000", "[2001:db8::1]:443");

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		uint8_t out[128];
		struct wr w = wr_of(out, sizeof(out));
		int err = httptemplate_fill(&w, span_str(v[i].text), &t);

		assert_int_equal(err, v[i].want ? 0 : -ERR_MALFORMED);
		if (v[i].want)
			assert_true(span_eq(span_of(out, w.n), span_str(v[i].want)));
	}
	assert_true(httptemplate_is(span_str("a{{b")));
	assert_false(httptemplate_is(span_str("a{b{c")));
}

static void names_unknowns_and_limits(void **state)
{
	struct httptemplate t = between("192.0.2.1:1", "example.com:80"), none = {.udp = true};
	uint8_t out[20];
	struct wr w = wr_of(out, sizeof(out));

	(void)state;
	assert_int_equal(httptemplate_fill(&w, span_str("{{.Target}}"), &t), 0);
	assert_true(span_eq(span_of(out, w.n), span_str("tcp:example.com:80")));
	for (size_t cap = 0; cap < 18; cap++) {
		w = wr_of(out, cap);
		assert_int_equal(httptemplate_fill(&w, span_str("{{.Target}}"), &t), -ERR_LIMIT);
	}
	w = wr_of(out, sizeof(out));
	assert_int_equal(httptemplate_fill(&w, span_str("{{.Source}}"), &none), 0);
	assert_true(span_eq(span_of(out, w.n), span_str("unknown:")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled),
		cmocka_unit_test(names_unknowns_and_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
