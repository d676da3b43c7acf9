/* User names and passwords of local proxies. */
#ifndef GARENNE_PROXY_LOGIN_H
#define GARENNE_PROXY_LOGIN_H

#include "base/span.h"
#include "conf/value.h"

/**
 * The account with this name and password, or NULL; of several with one name
 * the last counts, as in Xray. The time taken depends on the number of accounts
 * alone. Names and passwords longer than 255 bytes never fit.
 */
const struct conf_account *login_check(const struct conf_account *accounts, size_t n,
				       struct span user, struct span pass);

#endif
