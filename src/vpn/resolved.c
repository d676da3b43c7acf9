#include "vpn/resolved.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "proto/dnsmsg.h"

extern char **environ;

#define SOCKET_OF_RESOLVED "/run/systemd/resolve/io.systemd.Resolve"

enum {
	ARGS_MAX = 160, /* a /10 of addresses takes 64 zones */
	TEXT = 260, /* a domain with "~" in front */
	WAIT_MS = 5000,
	STEP_MS = 20,
};

struct args {
	char *v[ARGS_MAX + 1];
	char text[ARGS_MAX][TEXT];
	size_t n;
};

static void add(struct args *a, const char *prefix, const char *text)
{
	if (a->n == ARGS_MAX)
		return;
	snprintf(a->text[a->n], TEXT, "%s%s", prefix, text);
	a->v[a->n] = a->text[a->n];
	a->v[++a->n] = NULL;
}

/* A tool that hangs must not keep the program from starting. */
static bool wait_for(pid_t child)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	int status = 0;

	for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
		pid_t got = waitpid(child, &status, WNOHANG);

		if (got == child)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
		if (got == -1)
			return false;
		nanosleep(&step, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return false;
}

static bool run(struct args *a)
{
	pid_t child;

	return posix_spawnp(&child, a->v[0], NULL, NULL, a->v, environ) == 0 && wait_for(child);
}

static bool set_servers(const struct conf_in_tun *t)
{
	struct args a = {.n = 0};
	char ip[64];

	add(&a, "", "resolvectl");
	add(&a, "", "dns");
	add(&a, "", t->name);
	for (size_t i = 0; i < t->n_dns; i++)
		add(&a, "", ip_text(&t->dns[i], ip, sizeof(ip)));
	return run(&a);
}

/* A prefix stands for the zones that hold the names of its addresses. */
static void add_domain(struct args *a, const char *text)
{
	char zone[DNSMSG_ARPA_TEXT];
	struct prefix p;

	if (!strchr(text, '/') || prefix_parse(&p, span_str(text)) != 0)
		add(a, "~", text);
	else
		for (unsigned i = 0; dnsmsg_arpa_zone(zone, &p, i); i++)
			add(a, "~", zone);
}

/* "~" marks a domain that only decides who is asked; "~." is every name. */
static bool set_domains(const struct conf_in_tun *t)
{
	struct args a = {.n = 0};

	add(&a, "", "resolvectl");
	add(&a, "", "domain");
	add(&a, "", t->name);
	for (size_t i = 0; i < t->dns_domains.n; i++)
		add_domain(&a, t->dns_domains.v[i]);
	if (t->dns_domains.n == 0)
		add(&a, "~", ".");
	return run(&a);
}

bool resolved_set(const struct conf_in_tun *t)
{
	if (t->n_dns == 0)
		return true;
	if (access(SOCKET_OF_RESOLVED, F_OK) == -1)
		return false;
	if (!set_servers(t) || !set_domains(t))
		log_warn("tun", "\"dns\": resolvectl has failed; the system asks other name servers");
	return true;
}
