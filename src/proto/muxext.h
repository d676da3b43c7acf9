/*
 * What our nodes tell each other about a mux session. It rides in a Keep frame without
 * the option Data, which every stock peer ignores for known and unknown sessions, as long
 * as the byte behind the options is not 2 (an XUDP address):
 *
 *     0                 2                 4     5     6     7     8
 *     | u16 L = 6 + ... | u16 session id  |  2  |  0  | 'G' |  1  | records ...
 *       length            id               Keep  none  mark  version
 *
 *     record: u8 type | u8 length | value         unknown types are skipped
 *
 *     1 HELLO    u32 capabilities | u32 initial window in bytes
 *     2 WINDOW   u32 further bytes that the receiver of this record may send
 *     3 FIN      -    I have finished sending; go on answering
 *     4 OPENED   -    the target is connected
 *     5 REFUSED  u8 why: 1 refused, 2 unreachable, 3 timeout, 4 blocked, 5 name has no
 *                address, 6 anything else
 *     6 TRACE    -    tell each step of the session that I open next, which has this id
 *     7 LINE     text of one step, up to 240 bytes of UTF-8
 *     8 BOUNCED  u8 why, as in REFUSED | port-first address: a datagram of this session to that
 *                address came back; a name means nothing
 *
 * A value may be longer than shown: the surplus belongs to a later version and is
 * skipped. Of a type that occurs twice in one frame the last one counts. Another
 * version byte means that the whole frame is not for us.
 */
#ifndef GARENNE_PROTO_MUXEXT_H
#define GARENNE_PROTO_MUXEXT_H

#include "base/addr.h"
#include "base/span.h"

struct muxcool_frame;

enum {
	MUXEXT_MARK = 0x47,
	MUXEXT_VERSION = 1,
	MUXEXT_LINE_MAX = 240,
	MUXEXT_BOUNCED_MAX = 1 + 2 + 1 + 16,
	MUXEXT_FRAME_MAX = 2 + 4 + 2 + (2 + 8) + (2 + 4) + 2 + 2 + (2 + 1) + 2 +
			   (2 + MUXEXT_LINE_MAX) + (2 + MUXEXT_BOUNCED_MAX),
};

/* Bits of muxext.has. */
enum {
	MUXEXT_HELLO = 1 << 0,
	MUXEXT_WINDOW = 1 << 1,
	MUXEXT_FIN = 1 << 2,
	MUXEXT_OPENED = 1 << 3,
	MUXEXT_REFUSED = 1 << 4,
	MUXEXT_TRACE = 1 << 5,
	MUXEXT_LINE = 1 << 6,
	MUXEXT_BOUNCED = 1 << 7,
};

/* Bits of muxext.capabilities. */
enum {
	MUXEXT_CAP_ECHO = 1 << 0,   /* UDP to port 0 carries echo exchanges (echo.h) */
	MUXEXT_CAP_BOUNCE = 1 << 1, /* wants to hear of datagrams that came back */
	MUXEXT_CAP_ALL = (1 << 2) - 1,
};

enum muxext_refusal {
	MUXEXT_BY_TARGET = 1,
	MUXEXT_UNREACHABLE = 2,
	MUXEXT_TIMEOUT = 3,
	MUXEXT_BLOCKED = 4,
	MUXEXT_NO_NAME = 5,
	MUXEXT_OTHER = 6,
};

struct muxext {
	uint8_t has;	       /* which of the following were sent */
	uint32_t capabilities; /* HELLO */
	uint32_t window;       /* HELLO: bytes that may be sent at first */
	uint32_t credit;       /* WINDOW: bytes to add */
	uint8_t refusal;       /* REFUSED; values beyond muxext_refusal mean MUXEXT_OTHER */
	struct span line;      /* LINE; borrowed from the frame */
	uint8_t bounce;	       /* BOUNCED: as in refusal */
	struct ipport bounced; /* BOUNCED: where to */
};

/** The extension in a decoded frame. 0; -ERR_UNSUPPORTED: not ours, ignore the frame as a stock
 * peer would; -ERR_MALFORMED: ours, but a record is cut or too short. */
int muxext_decode(struct muxext *out, const struct muxcool_frame *frame);

/** The whole frame for session @id. 0 or -ERR_LIMIT. */
int muxext_encode(struct wr *out, uint16_t id, const struct muxext *in);

/** Between a code of base/err.h (either sign) and the value of REFUSED. */
enum muxext_refusal muxext_refusal_from_err(int code);
/** Gives the positive code. */
int muxext_refusal_to_err(uint8_t refusal);

#endif
