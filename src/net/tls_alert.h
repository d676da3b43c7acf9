/* Alerts of TLS (RFC 8446 section 6): the ones we send, and words for those we get. */
#ifndef GARENNE_NET_TLS_ALERT_H
#define GARENNE_NET_TLS_ALERT_H

#include <stdint.h>

enum tls_alert_level {
	TLS_ALERT_WARNING = 1,
	TLS_ALERT_FATAL = 2,
};

enum tls_alert {
	TLS_ALERT_CLOSE_NOTIFY = 0,
	TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	TLS_ALERT_BAD_RECORD_MAC = 20,
	TLS_ALERT_RECORD_OVERFLOW = 22,
	TLS_ALERT_ILLEGAL_PARAMETER = 47,
	TLS_ALERT_DECODE_ERROR = 50,
	TLS_ALERT_DECRYPT_ERROR = 51,
	TLS_ALERT_USER_CANCELED = 90,
};

/** "the peer says: bad certificate". Static, never NULL. */
const char *tls_alert_text(uint8_t alert);

#endif
