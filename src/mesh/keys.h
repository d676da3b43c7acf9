/*
 * What one node keeps to itself: a small JSON file of its own, mode 0600, beside
 * mesh.json. The ids are passwords; a hub's file holds those of all.
 */
#ifndef GARENNE_MESH_KEYS_H
#define GARENNE_MESH_KEYS_H

#include "base/uuid.h"
#include "conf/conf.h"
#include "crypto/x25519.h"
#include "mesh/mesh.h"

enum { MESH_SHORT_ID = 8 };

/* Secret; wipe with mesh_keys_wipe. */
struct mesh_keys {
	struct uuid id;			 /* of the node's own flows */
	struct uuid portal;		 /* by which it offers itself to the hubs; sites only */
	uint8_t short_id[MESH_SHORT_ID]; /* REALITY: told apart from strangers by it */
	uint8_t reality[X25519_LEN];	 /* REALITY: private key; hubs only */
	bool has_reality;
	char *cert, *cert_key; /* TLS: PEM, for a certificate that nobody has signed; owned, or NULL */
};

enum { MESH_KEY_TEXT = 48 };

/** Fresh ones. 0 or -ERR_SYS. */
int mesh_keys_make(struct mesh_keys *out, enum mesh_kind kind);
void mesh_keys_wipe(struct mesh_keys *k);
/** Of a hub's keys: the account by which a node that has a token asks this hub for its file, and its
 * short id. Both follow from the hub's own id: no key file has them. 0 or -ERR_NOMEM. */
int mesh_keys_join(const struct mesh_keys *hub, struct uuid *account, uint8_t short_id[MESH_SHORT_ID]);
/** Reads the JSON form; @out must be empty. 0, or -ERR_MALFORMED with errors added that never quote a secret. */
int mesh_keys_parse(struct mesh_keys *out, const char *file, struct span text,
		    struct conf_msgs *msgs);
/** Gives the JSON form, to be wiped and freed; NULL when memory is out. */
char *mesh_keys_text(const struct mesh_keys *k, enum mesh_kind kind);
/** The public half of the REALITY key in base64url. 0 or -ERR_SYS. */
int mesh_keys_public(const struct mesh_keys *k, char out[MESH_KEY_TEXT]);
enum { MESH_SHORT_ID_TEXT = 2 * MESH_SHORT_ID + 1 };

/** 16 hexadecimal digits and NUL; returns @out. */
char *mesh_short_id_text(const uint8_t id[MESH_SHORT_ID], char out[MESH_SHORT_ID_TEXT]);

#endif
