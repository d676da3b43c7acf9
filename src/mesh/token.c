#include "mesh/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/base64.h"
#include "crypto/rand.h"
#include "crypto/secret.h"

size_t mesh_token_hubs(const struct mesh *m, int node, int hubs[JOINTOKEN_HUBS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_hubs && n < JOINTOKEN_HUBS_MAX; i++)
		if ((int)i != node && mesh_serves_tickets(&m->nodes[i]))
			hubs[n++] = (int)i;
	return n;
}

/* Of 64 hexadecimal digits, as parse_node.c has seen to. */
static void pin_parse(const char *text, uint8_t out[JOINTOKEN_PIN])
{
	for (size_t i = 0; i < JOINTOKEN_PIN; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], 0};

		out[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}

static int hub_make(const struct mesh_node *v, const struct mesh_keys *k, struct jointoken_hub *out)
{
	static const enum jointoken_security kinds[] = {[MESH_REALITY] = JOINTOKEN_REALITY,
							[MESH_TLS] = JOINTOKEN_TLS,
							[MESH_CLEAR] = JOINTOKEN_CLEAR};
	const struct mesh_hub *h = &v->hub;
	char host[ADDR_TEXT_MAX];

	memset(out, 0, sizeof(*out));
	out->security = kinds[h->security];
	out->address = h->address;
	if (out->security != JOINTOKEN_CLEAR)
		snprintf(out->server_name, sizeof(out->server_name), "%s",
			 *h->server_name ? h->server_name
					 : addr_host_text(&h->address, host, sizeof(host)));
	if (out->security == JOINTOKEN_REALITY)
		base64_decode(out->public_key, sizeof(out->public_key), span_str(h->public_key),
			      BASE64_URL | BASE64_RAW, NULL);
	out->pinned = out->security == JOINTOKEN_TLS && *h->pin;
	if (out->pinned)
		pin_parse(h->pin, out->pin);
	return mesh_keys_join(k, &out->account, out->short_id);
}

int mesh_token_make(const struct mesh *m, const struct mesh_keys *keys, int node,
		    struct jointoken *out)
{
	int hubs[JOINTOKEN_HUBS_MAX], err;

	memset(out, 0, sizeof(*out));
	snprintf(out->node, sizeof(out->node), "%s", m->nodes[node].name);
	out->n_hubs = mesh_token_hubs(m, node, hubs);
	if (out->n_hubs == 0)
		return -ERR_NOROUTE;
	err = rand_bytes(out->secret, sizeof(out->secret));
	for (size_t i = 0; i < out->n_hubs && !err; i++)
		err = hub_make(&m->nodes[hubs[i]], &keys[hubs[i]], &out->hubs[i]);
	if (err)
		secret_wipe(out, sizeof(*out));
	return err;
}
