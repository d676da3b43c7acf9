/*
 * Any bytes as a target's answer. What is accepted holds what it promises, more bytes never take
 * a refusal back, and an answer can be made of it (or is refused with words).
 */
#include <stdlib.h>

#include "proto/reality_answer.h"

static const uint8_t client_share[32] = {9};
static const uint8_t auth_key[REALITY_KEY_LEN] = {1};

static size_t put_hello(uint8_t *at, size_t cap)
{
	struct wr w = wr_of(at, cap);

	wr_u32(&w, 1u << 24 | (2 + 32 + 1 + 2 + 2 + 2 + 2 + 42));
	wr_u16(&w, TLS_VERSION_1_2);
	for (int i = 0; i < 32; i++)
		wr_u8(&w, 7);
	wr_u8(&w, 0);
	wr_u16(&w, 2);
	wr_u16(&w, TLS_AES_128_GCM);
	wr_u16(&w, 0x0100);
	wr_u16(&w, 42);
	wr_u16(&w, TLS_EXT_KEY_SHARE);
	wr_u16(&w, 38);
	wr_u16(&w, 36);
	wr_u16(&w, TLS_GROUP_X25519);
	wr_u16(&w, sizeof(client_share));
	wr_bytes(&w, client_share, sizeof(client_share));
	return w.n;
}

static void answer(const struct reality_flight *f)
{
	static uint8_t out[REALITY_ANSWER_MAX], hello[256];
	struct wr w = wr_of(out, sizeof(out));
	static const struct reality_signer signer = {.pub = {3}};
	struct reality_session session;
	struct tlshello_client h;
	char why[REALITY_WHY_MAX];
	size_t want = 0;
	int err;

	if (tlshello_client_decode(&h, span_of(hello, put_hello(hello, sizeof(hello)))) <= 0)
		abort();
	err = reality_answer_encode(&w, &session, f, &h, auth_key, &signer, why);
	if (err && *why == 0)
		abort();
	for (int i = 0; i < REALITY_SLOT_EXTRA; i++)
		want += f->slot[i];
	if (err == 0 && w.n != want)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum reality_flight_fault fault = REALITY_FLIGHT_OK, early;
	struct reality_flight f, g;
	int n = reality_flight_decode(&f, span_of(data, size), &fault);

	if ((n < 0) != (fault != REALITY_FLIGHT_OK))
		abort();
	for (size_t i = 0; i < size; i += 1 + i / 8) {
		int m = reality_flight_decode(&g, span_of(data, i), &early);

		if (m != 0 && m != n)
			abort();
	}
	if (n <= 0)
		return 0;
	for (int i = REALITY_SLOT_HELLO; i < REALITY_SLOTS; i++)
		if (f.slot[i] > REALITY_RECORD_MAX)
			abort();
	if (f.hello.message.p < data || f.hello.message.p + f.hello.message.n > data + size)
		abort();
	answer(&f);
	return 0;
}
