/*
 * A file of lists, as it is; then what was read from it is written and read
 * again and must be the same.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/geodat.h"

enum { MANY = 64 };

static uint8_t room[1 << 20];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void prefixes(struct geodat_list l)
{
	struct prefix got[MANY], p;
	struct wr w = wr_of(room, sizeof(room));
	struct span code = l.code;
	struct geodat_list again;
	size_t n = 0;

	while (geodat_next_prefix(&l, &p) == 1 && n < MANY) {
		if (p.ip.family == 0)
			continue;
		must(p.len <= (p.ip.family == 4 ? 32 : 128) && prefix_has(&p, &p.ip));
		got[n++] = p;
	}
	must(geodat_write_prefixes(&w, code, got, n) == 0);
	must(geodat_find(&again, span_of(room, w.n), code) == 1);
	for (size_t i = 0; i < n; i++) {
		must(geodat_next_prefix(&again, &p) == 1);
		must(p.len == got[i].len && ip_eq(&p.ip, &got[i].ip));
	}
	must(geodat_next_prefix(&again, &p) == 0);
}

static void domains(struct geodat_list l)
{
	static char text[MANY][GEODAT_VALUE_MAX + 1];
	struct geodat_rule rules[MANY];
	struct wr w = wr_of(room, sizeof(room));
	struct span code = l.code;
	struct geodat_list again;
	struct geodat_domain d;
	size_t n = 0;

	while (geodat_next_domain(&l, &d) == 1 && n < MANY) {
		bool ads = geodat_has_attribute(&d, span_str("ads"));

		if (d.value.n == 0 || d.value.n > GEODAT_VALUE_MAX ||
		    memchr(d.value.p, 0, d.value.n))
			continue;
		memcpy(text[n], d.value.p, d.value.n);
		text[n][d.value.n] = 0;
		rules[n] = (struct geodat_rule){d.type, text[n], ads ? "x ADS" : "x"};
		n++;
	}
	must(geodat_write_domains(&w, code, rules, n) == 0);
	must(geodat_find(&again, span_of(room, w.n), code) == 1);
	for (size_t i = 0; i < n; i++) {
		must(geodat_next_domain(&again, &d) == 1);
		must(d.type == rules[i].type && span_eq(d.value, span_str(rules[i].value)));
		must(geodat_has_attribute(&d, span_str("X")));
		must(geodat_has_attribute(&d, span_str("ads")) == (rules[i].attributes[1] != 0));
	}
	must(geodat_next_domain(&again, &d) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span file = span_of(data, size);
	struct geodat_list l, found;
	struct rd rd = rd_of(file);

	while (geodat_next_list(&rd, &l) == 1) {
		must(geodat_find(&found, file, l.code) == 1);
		prefixes(l);
		domains(l);
	}
	return 0;
}
