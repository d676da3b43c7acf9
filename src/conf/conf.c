#include "conf/conf.h"

#include <string.h>

const struct conf_policy *conf_policy(const struct conf *c, uint32_t level)
{
	for (size_t i = 0; i < c->policy.n_levels; i++)
		if (c->policy.levels[i].level == level)
			return &c->policy.levels[i];
	return &c->policy.other;
}

const struct conf_inbound *conf_inbound_find(const struct conf *c, const char *tag)
{
	if (*tag == 0)
		return NULL;
	for (size_t i = 0; i < c->n_inbounds; i++)
		if (strcmp(c->inbounds[i].tag, tag) == 0)
			return &c->inbounds[i];
	return NULL;
}

const struct conf_outbound *conf_outbound_find(const struct conf *c, const char *tag)
{
	if (*tag == 0)
		return NULL;
	for (size_t i = 0; i < c->n_outbounds; i++)
		if (strcmp(c->outbounds[i].tag, tag) == 0)
			return &c->outbounds[i];
	return NULL;
}
