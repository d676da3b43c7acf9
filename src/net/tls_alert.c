#include "net/tls_alert.h"

#include <stddef.h>

static const struct {
	uint8_t alert;
	const char *text;
} texts[] = {
	{0, "the peer says: finished (close notify)"},
	{10, "the peer says: unexpected message"},
	{20, "the peer says: bad record MAC"},
	{22, "the peer says: record overflow"},
	{40, "the peer says: handshake failure (nothing in common)"},
	{42, "the peer says: bad certificate"},
	{43, "the peer says: unsupported certificate"},
	{44, "the peer says: certificate revoked"},
	{45, "the peer says: certificate expired"},
	{46, "the peer says: certificate unknown (it does not accept ours)"},
	{47, "the peer says: illegal parameter"},
	{48, "the peer says: unknown CA (it does not trust our certificate)"},
	{49, "the peer says: access denied"},
	{50, "the peer says: decode error"},
	{51, "the peer says: decrypt error"},
	{70, "the peer says: protocol version (it wants another version of TLS)"},
	{71, "the peer says: insufficient security"},
	{80, "the peer says: internal error"},
	{86, "the peer says: inappropriate fallback"},
	{90, "the peer says: cancelled"},
	{109, "the peer says: missing extension"},
	{110, "the peer says: unsupported extension"},
	{112, "the peer says: unrecognized name (it has no certificate for this serverName)"},
	{113, "the peer says: bad certificate status"},
	{115, "the peer says: unknown PSK identity"},
	{116, "the peer says: certificate required"},
	{120, "the peer says: no application protocol (no ALPN in common)"},
};

const char *tls_alert_text(uint8_t alert)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].alert == alert)
			return texts[i].text;
	return "the peer says: an alert without a name";
}
