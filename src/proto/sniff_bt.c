#include "proto/sniff.h"

enum sniff_verdict sniff_bittorrent(struct sniff_result *out, struct span in)
{
	static const uint8_t start[20] = "\023BitTorrent protocol";
	size_t n = in.n < sizeof(start) ? in.n : sizeof(start);

	if (n > 0 && memcmp(in.p, start, n) != 0)
		return SNIFF_NONE;
	if (n < sizeof(start))
		return SNIFF_MORE;
	out->proto = SNIFF_BITTORRENT;
	return SNIFF_FOUND;
}

/*
 * BEP 29: u8 type << 4 | version | u8 extension | u16 connection | u32 time |
 * u32 time difference | u32 window | u16 sequence | u16 acknowledged, then
 * extensions, each u8 next | u8 length | bytes. A SYN is the first packet of a
 * flow; nothing has arrived yet, so difference and acknowledged are zero, and it
 * carries no data: enough fixed bits to leave other protocols alone.
 */
enum sniff_verdict sniff_utp(struct sniff_result *out, struct span datagram)
{
	enum { SYN = 4 << 4 | 1 };
	struct rd rd = rd_of(datagram);
	uint8_t first = rd_u8(&rd), extension = rd_u8(&rd);
	uint32_t difference;
	uint16_t acknowledged;

	rd_take(&rd, 2 + 4);
	difference = rd_u32(&rd);
	rd_take(&rd, 4 + 2);
	acknowledged = rd_u16(&rd);
	while (extension != 0 && !rd.bad) {
		extension = rd_u8(&rd);
		rd_take(&rd, rd_u8(&rd));
	}
	if (rd.bad || rd.n != 0 || first != SYN || difference != 0 || acknowledged != 0)
		return SNIFF_NONE;
	out->proto = SNIFF_BITTORRENT;
	return SNIFF_FOUND;
}
