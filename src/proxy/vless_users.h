/* The users of a VLESS inbound, found by id in time that does not grow with their number. */
#ifndef GARENNE_PROXY_VLESS_USERS_H
#define GARENNE_PROXY_VLESS_USERS_H

#include "conf/inbound.h"

struct vless_users;

/** Borrows @users, which outlive the result. Gives, or NULL when memory is out. */
struct vless_users *vless_users_new(const struct conf_vless_user *users, size_t n);
void vless_users_free(struct vless_users *t);
/** NULL when nobody has this id. Bytes 6 and 7 do not count. */
const struct conf_vless_user *vless_users_find(const struct vless_users *t,
					       const struct uuid *received);

#endif
