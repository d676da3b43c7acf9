/*
 * Nothing at all: the empty span without memory behind it, as an empty queue gives
 * it, goes through every decoder of proto without arithmetic on a null pointer (which
 * clang's UndefinedBehaviorSanitizer would report).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "proto/dnsmsg.h"
#include "proto/httpchunk.h"
#include "proto/httpproxy.h"
#include "proto/muxcool.h"
#include "proto/netaddr.h"
#include "proto/protobuf.h"
#include "proto/proxyproto.h"
#include "proto/reversectl.h"
#include "proto/socks.h"
#include "proto/vless.h"

static const struct span nothing = {NULL, 0};

static void carriers(void **state)
{
	struct vless_request q;
	struct vless_response p;
	struct vless_addons a;
	struct muxcool_frame f;
	struct reversectl c;
	struct protobuf_field field;
	struct rd r = rd_of(nothing);
	struct span data;
	struct uuid id;
	struct addr addr;

	(void)state;
	assert_int_equal(vless_id_decode(&id, nothing, NULL), 0);
	assert_int_equal(vless_request_decode(&q, nothing, NULL), 0);
	assert_int_equal(vless_response_decode(&p, nothing), 0);
	assert_int_equal(vless_packet_decode(&data, nothing), 0);
	assert_int_equal(vless_addons_decode(&a, nothing), 0);
	assert_int_equal(vless_fallback_path(nothing).n, 0);
	assert_int_equal(muxcool_meta_decode(&f, nothing, MUXCOOL_PLAIN), 0);
	assert_int_equal(muxcool_frame_decode(&f, nothing, MUXCOOL_REVERSE), 0);
	assert_false(muxcool_is_xudp(nothing));
	assert_int_equal(reversectl_decode(&c, nothing), 0);
	assert_int_equal(protobuf_read_field(&r, &field), 0);
	assert_true(protobuf_is_utf8(nothing));
	assert_int_equal(netaddr_read_port_first(&r, &addr), 0);
	r = rd_of(nothing);
	assert_int_equal(netaddr_read_socks(&r, &addr), 0);
}

static void local_proxies(void **state)
{
	struct socks5_greeting g;
	struct socks5_login l;
	struct socks5_reply p;
	struct socks_request q;
	struct addr addr;
	uint8_t method;
	bool welcome;

	(void)state;
	assert_int_equal(socks5_greeting_decode(&g, nothing), 0);
	assert_int_equal(socks5_method_decode(&method, nothing), 0);
	assert_int_equal(socks5_login_decode(&l, nothing), 0);
	assert_int_equal(socks5_verdict_decode(&welcome, nothing), 0);
	assert_int_equal(socks5_request_decode(&q, nothing), 0);
	assert_int_equal(socks5_reply_decode(&p, nothing), 0);
	assert_int_equal(socks5_datagram_decode(&addr, nothing), -ERR_MALFORMED);
	assert_int_equal(socks4_request_decode(&q, nothing), 0);
}

static void http(void **state)
{
	uint8_t scratch[HTTP_LOGIN_MAX];
	struct http_request q;
	struct http_response p;
	struct http_login login;
	struct http_field f;
	struct httpchunk c;
	struct addr addr;
	struct span list = nothing, out;
	size_t seen = 0;

	(void)state;
	assert_int_equal(http_request_decode(&q, nothing, &seen), 0);
	assert_int_equal(http_response_decode(&p, nothing, NULL), 0);
	assert_false(http_next_field(&list, &f));
	assert_false(http_next_element(&list, &out));
	assert_false(http_is_token(nothing));
	assert_int_equal(http_authority_parse(&addr, nothing, HTTP_PORT), -ERR_MALFORMED);
	assert_int_equal(http_login_decode(&login, scratch, nothing), -ERR_MALFORMED);
	httpchunk_init(&c);
	assert_int_equal(httpchunk_feed(&c, nothing), 0);
}

static void others(void **state)
{
	struct proxyproto p;
	struct dnsmsg_query q;
	struct dnsmsg_reply r;

	(void)state;
	assert_int_equal(proxyproto_decode(&p, nothing), 0);
	assert_int_equal(dnsmsg_query_decode(&q, nothing), -ERR_MALFORMED);
	assert_int_equal(dnsmsg_reply_decode(&r, nothing), -ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carriers),
		cmocka_unit_test(local_proxies),
		cmocka_unit_test(http),
		cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
