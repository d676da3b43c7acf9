/* The configuration's Shadowsocks settings in the words of the codecs. */
#ifndef GARENNE_PROXY_SS_KEYS_H
#define GARENNE_PROXY_SS_KEYS_H

#include "conf/inbound.h"
#include "conf/outbound.h"
#include "proto/ss2022.h"
#include "proto/ssaead.h"

const struct ss_method *ss_keys_method(enum conf_ss_method m);
/** A client's keys. 0 or -ERR_MALFORMED. Wipe with ss_chain_wipe. */
int ss_keys_chain(struct ss_chain *out, const struct conf_out_ss *conf);

/* The users of an inbound. */
struct ss_people {
	const struct ss_method *method;
	struct ss2022_server modern;   /* 2022 */
	struct ss_users *table;	       /* 2022 with several users */
	struct ssaead_user *classic;   /* classic; n */
	size_t n;
};

/** 0 or -ERR_*. */
int ss_people_init(struct ss_people *p, const struct conf_in_ss *conf);
void ss_people_fini(struct ss_people *p);

#endif
