/* Share links: what we write, what others write, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/err.h"
#include "codec.h"
#include "proto/sharelink.h"

#define ID "5f0b2c9e-3d7a-4a51-9c1e-7f6d2a8b4c10"
#define PBK "Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OWFiY2RlZmdoaWo"

static const char tls_link[] =
	"vless://" ID "@hub.example.net:443?type=tcp&encryption=none&security=tls&sni=hub.example.net"
	"&fp=chrome&alpn=h2%2Chttp%2F1.1&flow=xtls-rprx-vision#K%C3%BCche%20%26%20B%C3%BCro%20%2B%202";
static const char reality_link[] =
	"vless://" ID "@[2001:db8::7]:443?type=tcp&encryption=none&security=reality"
	"&sni=www.example.com&fp=chrome&pbk=" PBK "&sid=6ba85179e30d4fc2&spx=%2F"
	"&flow=xtls-rprx-vision#hub%20%232";

static void round_trip(const char *text)
{
	struct sharelink l;
	uint8_t b[SHARELINK_MAX];
	struct wr w = wr_of(b, sizeof(b));

	assert_int_equal(sharelink_decode(&l, span_str(text), NULL), strlen(text));
	assert_int_equal(sharelink_encode(&w, &l), 0);
	assert_int_equal(w.n, strlen(text));
	assert_memory_equal(b, text, w.n);
}

static void test_round_trip(void **state)
{
	(void)state;
	round_trip(tls_link);
	round_trip(reality_link);
	round_trip("vless://alice@10.0.0.1:8443?type=tcp&encryption=none&security=none");
}

static void test_fields(void **state)
{
	struct sharelink l;

	(void)state;
	assert_true(sharelink_decode(&l, span_str(reality_link), NULL) > 0);
	assert_string_equal(l.id, ID);
	assert_int_equal(l.server.port, 443);
	assert_int_equal(l.server.ip.family, 6);
	assert_int_equal(l.security, SHARELINK_REALITY);
	assert_string_equal(l.sni, "www.example.com");
	assert_string_equal(l.pbk, PBK);
	assert_string_equal(l.sid, "6ba85179e30d4fc2");
	assert_string_equal(l.spx, "/");
	assert_string_equal(l.flow, "xtls-rprx-vision");
	assert_string_equal(l.name, "hub #2");
	assert_true(sharelink_decode(&l, span_str(tls_link), NULL) > 0);
	assert_string_equal(l.alpn, "h2,http/1.1");
	assert_string_equal(l.name, "K\xc3\xbc" "che & B\xc3\xbcro + 2");
}

/* Others leave out, repeat, spell differently. */
static void test_liberal(void **state)
{
	struct sharelink l;

	(void)state;
	assert_true(sharelink_decode(&l, span_str("  VLESS://a+b@h.example:1/?pbk=" PBK "&new=1&fp=%zz#a+b \n"),
				     NULL) > 0);
	assert_string_equal(l.id, "a+b");
	assert_int_equal(l.security, SHARELINK_REALITY);
	assert_string_equal(l.sni, "h.example");
	assert_string_equal(l.fp, "%zz");
	assert_string_equal(l.name, "a+b");
	assert_true(sharelink_decode(&l, span_str("vless://x@h:1?type=raw&sni=one&sni=two&security=tls&"
						  "allowInsecure=0&&=&flow="), NULL) > 0);
	assert_string_equal(l.sni, "one");
	assert_string_equal(l.fp, "chrome");
	assert_string_equal(l.flow, "");
}

static void refuse(const char *text, enum sharelink_fault want)
{
	struct sharelink l, before;
	enum sharelink_fault f;

	memset(&l, 0x5a, sizeof(l));
	before = l;
	assert_int_equal(sharelink_decode(&l, span_str(text), &f), -ERR_MALFORMED);
	assert_int_equal(f, want);
	assert_memory_equal(&l, &before, sizeof(l));
	assert_true(*sharelink_fault_text(f));
}

static void test_refused(void **state)
{
	char big[SHARELINK_MAX + 64];

	(void)state;
	refuse("", SHARELINK_FAULT_SCHEME);
	refuse("vmess://x@h:1", SHARELINK_FAULT_SCHEME);
	refuse("vless://@h:1", SHARELINK_FAULT_ID);
	refuse("vless://x", SHARELINK_FAULT_SERVER);
	refuse("vless://x@h", SHARELINK_FAULT_SERVER);
	refuse("vless://x@h:0", SHARELINK_FAULT_SERVER);
	refuse("vless://x@h:70000", SHARELINK_FAULT_SERVER);
	refuse("vless://x@2001:db8::1:1", SHARELINK_FAULT_SERVER);
	refuse("vless://x@h:1?type=ws", SHARELINK_FAULT_TYPE);
	refuse("vless://x@h:1?type=tcp&headerType=http", SHARELINK_FAULT_TYPE);
	refuse("vless://x@h:1?encryption=mlkem768x25519plus.native", SHARELINK_FAULT_ENCRYPTION);
	refuse("vless://x@h:1?security=xtls", SHARELINK_FAULT_SECURITY);
	refuse("vless://x@h:1?flow=xtls-rprx-vision", SHARELINK_FAULT_FLOW);
	refuse("vless://x@h:1?security=tls&flow=xtls-rprx-direct", SHARELINK_FAULT_FLOW);
	refuse("vless://x@h:1?security=tls&allowInsecure=1", SHARELINK_FAULT_INSECURE);
	refuse("vless://x@h:1#a%0Ab", SHARELINK_FAULT_TEXT);
	refuse("vless://x@h:1?sid=0123456789abcdef01234", SHARELINK_FAULT_TEXT);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = 0;
	memcpy(big, "vless://", 8);
	refuse(big, SHARELINK_FAULT_TEXT);
}

/* Whatever is cut off: either it is still a link, or it is refused; nothing is read beyond it. */
static void test_truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reality_link); i++) {
		struct span s = exact(span_str(reality_link), i);
		struct sharelink l;
		enum sharelink_fault f;
		ssize_t n = sharelink_decode(&l, s, &f);

		assert_true((n > 0) == (f == SHARELINK_FAULT_NONE));
		free_hex(s);
	}
}

static void test_no_room(void **state)
{
	struct sharelink l = {.id = "x", .name = "y"};
	uint8_t b[64];
	struct wr w;

	(void)state;
	addr_set_host(&l.server, span_str("h.example"), 1);
	for (size_t cap = 0; cap < 30; cap++) {
		w = wr_of(b, cap);
		assert_int_equal(sharelink_encode(&w, &l), -ERR_LIMIT);
	}
	l.id[0] = 0;
	w = wr_of(b, sizeof(b));
	assert_int_equal(sharelink_encode(&w, &l), -ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_liberal),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_truncation), cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
