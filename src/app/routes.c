#include "app/routes.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/cli.h"
#include "vpn/plan.h"
#include "vpn/rtnl.h"

enum { NAMES_MAX = 256 };

struct names {
	struct plan_name v[NAMES_MAX];
	size_t n;
};

static void resolve(struct names *out, const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;

	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->v[i].name, name) == 0)
			return;
	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return;
	for (struct addrinfo *a = list; a && out->n < NAMES_MAX; a = a->ai_next) {
		struct ipport at;

		if (ipport_from_sockaddr(&at, a->ai_addr) == 0)
			out->v[out->n++] = (struct plan_name){name, at.ip};
	}
	freeaddrinfo(list);
}

static int print_plan(const struct conf *c, const struct kstate *k, struct names *names)
{
	int code = EXIT_FAILED;
	struct plan p;

	/* The first plan tells which servers there are. */
	if (plan_make(&p, c, k, NULL, 0))
		for (size_t i = 0; i < p.n_carriers; i++)
			if (p.carriers[i].server->kind == ADDR_NAME)
				resolve(names, p.carriers[i].server->name);
	plan_fini(&p);
	if (plan_make(&p, c, k, names->v, names->n)) {
		plan_print(&p, stdout);
		code = p.refusals ? EXIT_CONFIG : EXIT_OK;
	}
	plan_fini(&p);
	return code;
}

int routes_check(const struct conf *c)
{
	struct names *names;
	struct rtnl *n;
	struct kstate k;
	int code = EXIT_FAILED;

	if (!conf_tun_find(c)) {
		printf("no tun inbound: no route is touched\n");
		return EXIT_OK;
	}
	names = calloc(1, sizeof(*names));
	n = rtnl_open();
	if (names && n && rtnl_read(n, &k) == 0) {
		code = print_plan(c, &k, names);
		kstate_fini(&k);
	}
	rtnl_close(n);
	free(names);
	return code;
}
