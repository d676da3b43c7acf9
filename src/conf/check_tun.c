/* What a TUN needs from the other parts of the files, and what they must not do beside it. */
#include <string.h>

#include "conf/check.h"

/* The TCP engine behind the device exists once. */
static void check_one(struct load *ld)
{
	const struct conf_inbound *first = conf_tun_find(ld->conf);

	for (size_t i = 0; i < ld->conf->n_inbounds; i++) {
		const struct conf_inbound *in = &ld->conf->inbounds[i];

		if (in->proto == CONF_IN_TUN && in != first)
			check_error(ld, &in->at,
				    "a second tun inbound (the first is at %s:%d); expected at most "
				    "one, which may have many routes", first->at.file,
				    first->at.line);
	}
}

static void check_out_tun(struct load *ld, const struct conf_outbound *out,
			  const struct conf_inbound *tun)
{
	const char *tag = out->tun.inbound_tag;
	const struct conf_inbound *named = conf_inbound_find(ld->conf, tag);

	if (!tun)
		check_error(ld, &out->at, "a tun outbound delivers into the device of a tun "
					  "inbound, and there is none");
	else if (*tag && !named)
		check_error(ld, &out->at, "inboundTag is \"%.60s\", expected the tag of the tun "
					  "inbound", tag);
	else if (*tag && named != tun)
		check_error(ld, &out->at, "inboundTag is \"%.60s\", which is a %s inbound, expected "
					  "the tag of the tun inbound", tag, named->proto_name);
}

/* A connection that leaves by the TUN comes back as a flow of the TUN. */
static void check_way_out(struct load *ld, const struct conf_outbound *out,
			  const struct conf_inbound *tun)
{
	const struct conf_in_tun *t = &tun->tun;

	if (out->proto == CONF_OUT_TUN)
		return;
	if (strcmp(out->stream.sockopt.interface, t->name) == 0)
		check_error(ld, &out->at, "sockopt.interface is \"%s\", the TUN itself: a loop",
			    t->name);
	for (size_t i = 0; out->via.kind == CONF_VIA_PREFIX && i < t->n_addrs; i++)
		if (out->via.prefix.len == (t->addrs[i].ip.family == 4 ? 32 : 128) &&
		    ip_eq(&out->via.prefix.ip, &t->addrs[i].ip))
			check_error(ld, &out->at, "sendThrough is the TUN's own address, which "
						  "nobody outside can answer");
	if (out->stream.sockopt.mark != ld->conf->own.mark && ld->conf->own.mark)
		check_warn(ld, &out->at, "sockopt.mark is %u, but only mark %u keeps our connections "
					 "out of the TUN; set \"mark\": %u on the tun inbound, or "
					 "rules of your own must do it", out->stream.sockopt.mark,
			   ld->conf->own.mark, out->stream.sockopt.mark);
}

void check_tun(struct load *ld)
{
	const struct conf *c = ld->conf;
	const struct conf_inbound *tun = conf_tun_find(c);

	check_one(ld);
	for (size_t i = 0; i < c->n_outbounds; i++) {
		if (c->outbounds[i].proto == CONF_OUT_TUN)
			check_out_tun(ld, &c->outbounds[i], tun);
		if (tun)
			check_way_out(ld, &c->outbounds[i], tun);
	}
}
