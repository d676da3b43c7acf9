#include "mesh/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "conf/jnode.h"
#include "crypto/base64.h"
#include "crypto/kdf.h"
#include "crypto/rand.h"
#include "crypto/secret.h"
#include "crypto/uuid4.h"

int mesh_keys_make(struct mesh_keys *out, enum mesh_kind kind)
{
	uint8_t pub[X25519_LEN];
	int err;

	memset(out, 0, sizeof(*out));
	err = uuid4_make(&out->id);
	if (!err && kind == MESH_SITE)
		err = uuid4_make(&out->portal);
	if (!err)
		err = rand_bytes(out->short_id, sizeof(out->short_id));
	if (!err && kind == MESH_HUB) {
		out->has_reality = true;
		err = x25519_keypair(out->reality, pub);
	}
	if (err)
		mesh_keys_wipe(out);
	return err;
}

static void wipe_text(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}

void mesh_keys_wipe(struct mesh_keys *k)
{
	wipe_text(k->cert);
	wipe_text(k->cert_key);
	secret_wipe(k, sizeof(*k));
}

int mesh_keys_public(const struct mesh_keys *k, char out[MESH_KEY_TEXT])
{
	uint8_t pub[X25519_LEN];

	if (!k->has_reality || x25519_public(pub, k->reality) != 0)
		return -ERR_SYS;
	base64_encode(out, MESH_KEY_TEXT, span_of(pub, sizeof(pub)), BASE64_URL | BASE64_RAW);
	return 0;
}

int mesh_keys_join(const struct mesh_keys *hub, struct uuid *account, uint8_t short_id[MESH_SHORT_ID])
{
	static const char info[] = "garenne mesh join account";
	uint8_t out[UUID_LEN + MESH_SHORT_ID];
	int err = kdf_hkdf(SHA_ALG_256, out, sizeof(out), span_of(hub->id.b, UUID_LEN),
			   span_of(NULL, 0), span_str(info));

	memcpy(account->b, out, UUID_LEN);
	account->b[6] = (uint8_t)((account->b[6] & 0x0f) | 0x40); /* looks like any other */
	account->b[8] = (uint8_t)((account->b[8] & 0x3f) | 0x80);
	memcpy(short_id, out + UUID_LEN, MESH_SHORT_ID);
	secret_wipe(out, sizeof(out));
	return err ? -ERR_NOMEM : 0;
}

char *mesh_short_id_text(const uint8_t id[MESH_SHORT_ID], char out[MESH_SHORT_ID_TEXT])
{
	for (size_t i = 0; i < MESH_SHORT_ID; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	return out;
}

/* ---- reading ---- */

static void id_parse(const struct jnode *root, const char *key, bool needed, struct uuid *out)
{
	struct jnode n;

	if (!jnode_get(root, key, &n)) {
		if (needed)
			jnode_error(&n, "found nothing, expected a UUID");
		return;
	}
	if (!cJSON_IsString(n.v) || uuid_parse(out, span_str(n.v->valuestring)) != 0)
		jnode_error(&n, "expected a UUID");
}

static bool short_id_parse(const char *text, uint8_t out[MESH_SHORT_ID])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != 2 * MESH_SHORT_ID)
		return false;
	for (size_t i = 0; text[i]; i++) {
		const char *d = strchr(digits, text[i]);

		if (!d)
			return false;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | (d - digits));
	}
	return true;
}

static void pem_parse(const struct jnode *root, const char *key, char **out)
{
	struct jnode n;

	if (!jnode_get(root, key, &n))
		return;
	if (cJSON_IsString(n.v) && strncmp(n.v->valuestring, "-----BEGIN ", 11) == 0)
		*out = strdup(n.v->valuestring);
	else
		jnode_error(&n, "expected a text in PEM form");
}

static void keys_read(const struct jnode *root, struct mesh_keys *out)
{
	static const struct key keys[] = {KNOWN("id"), KNOWN("portalId"), KNOWN("shortId"),
					  KNOWN("privateKey"), KNOWN("certificate"),
					  KNOWN("certificateKey"), KEYS_END};
	struct jnode n;

	if (!jnode_object(root, keys))
		return;
	id_parse(root, "id", true, &out->id);
	id_parse(root, "portalId", false, &out->portal);
	jnode_get(root, "shortId", &n);
	if (!n.v || !cJSON_IsString(n.v) || !short_id_parse(n.v->valuestring, out->short_id))
		jnode_error(&n, "expected 16 hexadecimal digits");
	pem_parse(root, "certificate", &out->cert);
	pem_parse(root, "certificateKey", &out->cert_key);
	if (!jnode_get(root, "privateKey", &n))
		return;
	out->has_reality = cJSON_IsString(n.v) &&
			   base64_decode(out->reality, X25519_LEN, span_str(n.v->valuestring),
					 BASE64_URL | BASE64_RAW, NULL) == X25519_LEN;
	if (!out->has_reality)
		jnode_error(&n, "expected 43 characters of base64url, as \"garenne x25519\" prints "
				"them");
}

int mesh_keys_parse(struct mesh_keys *out, const char *file, struct span text,
		    struct conf_msgs *msgs)
{
	size_t before = msgs->errors;
	struct conf_arena *arena = conf_arena_new();
	struct conf none = {0};
	struct load ld = {.conf = &none, .arena = arena, .msgs = msgs, .strict = true};
	struct mesh_keys k = {0};
	struct json_doc doc = {0};
	struct jnode root;
	bool ok;

	if (arena && json_parse(&doc, file, text, msgs) == 0) {
		root = (struct jnode){&ld, &doc, doc.root, NULL, "", -1};
		keys_read(&root, &k);
	}
	ok = arena && msgs->errors == before;
	json_free(&doc);
	conf_arena_free(arena);
	if (ok)
		*out = k; /* with what it owns */
	else
		mesh_keys_wipe(&k);
	explicit_bzero(&k, sizeof(k));
	return ok ? 0 : -ERR_MALFORMED;
}

/* ---- writing ---- */

char *mesh_keys_text(const struct mesh_keys *k, enum mesh_kind kind)
{
	char text[64];
	cJSON *root = cJSON_CreateObject();
	char *out;

	cJSON_AddStringToObject(root, "id", uuid_text(&k->id, text));
	if (kind == MESH_SITE)
		cJSON_AddStringToObject(root, "portalId", uuid_text(&k->portal, text));
	cJSON_AddStringToObject(root, "shortId", mesh_short_id_text(k->short_id, text));
	if (k->has_reality) {
		base64_encode(text, sizeof(text), span_of(k->reality, X25519_LEN),
			      BASE64_URL | BASE64_RAW);
		cJSON_AddStringToObject(root, "privateKey", text);
	}
	if (k->cert && k->cert_key) {
		cJSON_AddStringToObject(root, "certificate", k->cert);
		cJSON_AddStringToObject(root, "certificateKey", k->cert_key);
	}
	secret_wipe(text, sizeof(text));
	out = root ? cJSON_Print(root) : NULL;
	for (cJSON *v = root ? root->child : NULL; v; v = v->next)
		secret_wipe(v->valuestring, strlen(v->valuestring));
	cJSON_Delete(root);
	return out;
}
