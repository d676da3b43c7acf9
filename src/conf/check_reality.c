/* Servers of REALITY that cannot work, and those that would not do what their authors think. */
#include <string.h>
#include <strings.h>

#include "conf/check.h"

enum { CLOCK_LEAST_MS = 2000 };

static bool is_this_host(const struct addr *target, const struct conf_listen *l)
{
	if (l->kind == CONF_LISTEN_IP && target->kind == ADDR_IP)
		return ip_eq(&target->ip, &l->ip);
	if (target->kind == ADDR_IP)
		return ip_is_loopback(&target->ip);
	return target->kind == ADDR_NAME && strcasecmp(target->name, "localhost") == 0 &&
	       (l->kind == CONF_LISTEN_ANY || ip_is_loopback(&l->ip));
}

/* A visitor would be sent round in circles until the descriptors are gone. */
void check_reality(struct load *ld, const struct conf_inbound *in)
{
	const struct conf_reality_server *r = in->stream.reality;
	const struct conf_listen *l = &in->listen;
	bool same;

	if (!r)
		return;
	if (l->kind == CONF_LISTEN_UNIX)
		same = strcmp(r->target_unix, l->unix_path) == 0;
	else
		same = l->ports.given && is_this_host(&r->target, l) &&
		       conf_ports_has(&l->ports, r->target.port);
	if (same)
		check_error(ld, &r->at, "the target is this inbound itself");
}

static bool has_name(const struct conf_reality_server *r, const char *name)
{
	for (size_t i = 0; i < r->names.n; i++)
		if (strcmp(r->names.v[i], name) == 0)
			return true;
	return false;
}

static void check_server_names(struct load *ld, const struct conf_reality_server *r)
{
	for (size_t i = 0; i < r->names.n; i++) {
		const char *name = r->names.v[i];

		if (strchr(name, '*'))
			check_warn(ld, &r->at,
				   "\"serverNames\" are compared as they are: \"%.80s\" will never "
				   "match, there are no wildcards",
				   name);
		else if (strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
			check_warn(ld, &r->at,
				   "\"serverNames\" are compared as they are: most clients ask for "
				   "\"%.80s\" in lower case",
				   name);
	}
	if (r->target.kind == ADDR_NAME && strchr(r->target.name, '.') &&
	    !has_name(r, r->target.name))
		check_warn(ld, &r->at,
			   "the target %.80s is not among \"serverNames\": clients ask it for names "
			   "that it may have no certificate for",
			   r->target.name);
}

void check_reality_traps(struct load *ld, const struct conf_inbound *in)
{
	const struct conf_reality_server *r = in->stream.reality;

	if (!r)
		return;
	check_server_names(ld, r);
	if (r->max_diff_ms && r->max_diff_ms < CLOCK_LEAST_MS)
		check_warn(ld, &r->at,
			   "maxTimeDiff is in milliseconds, and clients say their time in whole "
			   "seconds: %llu lets hardly anybody in",
			   (unsigned long long)r->max_diff_ms);
}
