/* Bodies of pages in each packing, made by zlib, zstd and brotli. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec.h"
#include "net/spider_page.h"

#define ONE "<html><a href=\"/a\">a</a><a href=\"/b\">b</a></html>"
static const char page[] = ONE ONE ONE;

static const char *const packed[] = {
	"1f8b0800000000000203b3c928c9cdb1b34954c8284a4db355d24f54b24bb4d14f44124952b24b02"
			"8be84394d25c030047d5e05693000000",
	"28b52ffd04584d0100e03c68746d6c3e3c6120687265663d222f61223e613c2f6162223e622f0400"
			"4ed504a7e6824b96319b20c786af",
	"1b9200000436e0c803196cf2728cd36b50bd96c5175d18070f5929df4519ad246cbb2af7dcaa2962"
			"99fe1d02",
};

static void unpacked(void **state)
{
	uint8_t out[sizeof(page) + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
		struct span in = hex(packed[i]);

		assert_int_equal(spider_page_unpack(out, sizeof(out), in), sizeof(page) - 1);
		assert_memory_equal(out, page, sizeof(page) - 1);
		free_hex(in);
	}
	assert_int_equal(spider_page_unpack(out, sizeof(out), span_str(page)), sizeof(page) - 1);
	assert_memory_equal(out, page, sizeof(page) - 1);
	assert_int_equal(spider_page_unpack(out, sizeof(out), span_of(NULL, 0)), 0);
}

/* What is there of a page that ends early is its beginning; so is what there is room for. */
static void cut(void **state)
{
	uint8_t out[sizeof(page)];

	(void)state;
	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++) {
		struct span in = hex(packed[i]);

		for (size_t n = 0; n < in.n; n++) {
			struct span part = exact(in, n);
			size_t got = spider_page_unpack(out, sizeof(out), part);

			assert_true(got < sizeof(page));
			/* a byte or two look like text themselves */
			if (n > 4 && got > 0)
				assert_memory_equal(out, page, got);
			free_hex(part);
		}
		for (size_t cap = 0; cap < sizeof(page); cap++) {
			assert_true(spider_page_unpack(out, cap, in) <= cap);
			assert_memory_equal(out, page, spider_page_unpack(out, cap, in));
		}
		free_hex(in);
	}
}

static void garbage(void **state)
{
	static const char *const no[] = {"1f8b00000000000000000000", "28b52ffdffffffffffff",
					 "01ffffffffffffffffffff", "1f", "00"};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct span in = hex(no[i]);

		assert_true(spider_page_unpack(out, sizeof(out), in) <= sizeof(out));
		free_hex(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpacked),
		cmocka_unit_test(cut),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
