#include "base/err.h"

#include <errno.h>

static const char *const names[] = {
	[ERR_NONE] = "ok",
	[ERR_EOF] = "end of stream",
	[ERR_END] = "ended by peer",
	[ERR_MALFORMED] = "malformed data",
	[ERR_AUTH] = "authentication failed",
	[ERR_REPLAY] = "replayed",
	[ERR_CLOCK] = "clock skew",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_LIMIT] = "limit reached",
	[ERR_NOMEM] = "out of memory",
	[ERR_RESOLVE] = "name not resolved",
	[ERR_REFUSED] = "connection refused",
	[ERR_UNREACH] = "unreachable",
	[ERR_TIMEOUT] = "timed out",
	[ERR_RESET] = "connection reset",
	[ERR_TLS] = "TLS failure",
	[ERR_BLOCKED] = "blocked by rule",
	[ERR_NOROUTE] = "no outbound",
	[ERR_NOWORKER] = "no bridge connected",
	[ERR_LOOP] = "routing loop",
	[ERR_CLOSED] = "closed locally",
	[ERR_SYS] = "system error",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == ERR_MAX_, "every code has a name");

const char *err_name(int code)
{
	int c = code < 0 ? -code : code;

	return c < ERR_MAX_ ? names[c] : "unknown error";
}

enum err err_from_errno(int e)
{
	switch (e) {
	case 0:
		return ERR_NONE;
	case ECONNREFUSED:
		return ERR_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case EADDRNOTAVAIL:
		return ERR_UNREACH;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
		return ERR_RESET;
	case ENOMEM:
	case ENOBUFS:
		return ERR_NOMEM;
	case EMFILE:
	case ENFILE:
		return ERR_LIMIT;
	default:
		return ERR_SYS;
	}
}
