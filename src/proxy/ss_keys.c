#include "proxy/ss_keys.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/secret.h"

const struct ss_method *ss_keys_method(enum conf_ss_method m)
{
	static const char *const names[] = {
		[CONF_SS_AES_128_GCM] = "aes-128-gcm",
		[CONF_SS_AES_256_GCM] = "aes-256-gcm",
		[CONF_SS_CHACHA20_POLY1305] = "chacha20-ietf-poly1305",
		[CONF_SS_XCHACHA20_POLY1305] = "xchacha20-ietf-poly1305",
		[CONF_SS_2022_AES_128_GCM] = "2022-blake3-aes-128-gcm",
		[CONF_SS_2022_AES_256_GCM] = "2022-blake3-aes-256-gcm",
		[CONF_SS_2022_CHACHA20_POLY1305] = "2022-blake3-chacha20-poly1305",
	};

	return ss_method_find(span_str(names[m]));
}

static struct ss_key plain_key(const struct conf_ss_key *k)
{
	struct ss_key out = {{0}};

	memcpy(out.b, k->b, sizeof(out.b));
	return out;
}

int ss_keys_chain(struct ss_chain *out, const struct conf_out_ss *conf)
{
	memset(out, 0, sizeof(*out));
	out->method = ss_keys_method(conf->method);
	if (out->method->kind == SS_CLASSIC) {
		out->n = 1;
		return ss_key_from_password(&out->key[0], out->method, span_str(conf->password),
					    NULL);
	}
	if (conf->n_keys == 0 || conf->n_keys > SS_CHAIN_MAX)
		return -ERR_MALFORMED;
	out->n = conf->n_keys;
	for (size_t i = 0; i < out->n; i++)
		out->key[i] = plain_key(&conf->keys[i]);
	return 0;
}

static int init_classic(struct ss_people *p, const struct conf_in_ss *conf)
{
	p->classic = calloc(conf->n_users, sizeof(*p->classic));
	if (!p->classic)
		return -ERR_NOMEM;
	for (size_t i = 0; i < conf->n_users; i++) {
		struct ssaead_user *u = &p->classic[i];

		u->method = ss_keys_method(conf->users[i].method);
		if (ss_key_from_password(&u->key, u->method, span_str(conf->users[i].password),
					 NULL) != 0)
			return -ERR_MALFORMED;
	}
	return 0;
}

static int init_modern(struct ss_people *p, const struct conf_in_ss *conf)
{
	struct ss_key *keys;
	int err;

	p->modern.method = p->method;
	if (!conf->multi) {
		p->modern.key = plain_key(&conf->users[0].key);
		return 0;
	}
	p->modern.key = plain_key(&conf->identity);
	keys = calloc(conf->n_users, sizeof(*keys));
	if (!keys)
		return -ERR_NOMEM;
	for (size_t i = 0; i < conf->n_users; i++)
		keys[i] = plain_key(&conf->users[i].key);
	err = ss_users_new(&p->table, p->method, keys, conf->n_users, NULL);
	secret_wipe(keys, conf->n_users * sizeof(*keys));
	free(keys);
	p->modern.users = p->table;
	return err;
}

int ss_people_init(struct ss_people *p, const struct conf_in_ss *conf)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->method = ss_keys_method(conf->method);
	p->n = conf->n_users;
	err = conf_ss_is_2022(conf->method) ? init_modern(p, conf) : init_classic(p, conf);
	if (err)
		ss_people_fini(p);
	return err;
}

void ss_people_fini(struct ss_people *p)
{
	ss_users_free(p->table);
	if (p->classic)
		secret_wipe(p->classic, p->n * sizeof(*p->classic));
	free(p->classic);
	ss_key_wipe(&p->modern.key);
	memset(p, 0, sizeof(*p));
}
