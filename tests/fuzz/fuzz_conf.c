/*
 * A configuration from memory: the scanner must hand on strict JSON only, and
 * the loader must either give a result or say why not.
 */
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out of the scanner goes through it once more without change or remark. */
static void check_scan(struct span in)
{
	struct scanned once, twice;

	if (scan_json(&once, in) != 0) {
		if (once.fault.line < 1 || once.fault.column < 1 || !once.fault.text[0])
			abort();
		scanned_free(&once);
		return;
	}
	if (scan_json(&twice, span_of(once.text, once.n)) != 0 || twice.n_notes != 0 ||
	    twice.n_values != once.n_values || twice.n != once.n ||
	    memcmp(twice.text, once.text, once.n) != 0)
		abort();
	scanned_free(&once);
	scanned_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_msgs msgs = {NULL, 0, 0, 0, 0};
	struct conf *c;
	char text[256];

	check_scan(span_of(data, size));
	c = conf_load_text("fuzz", span_of(data, size), &msgs);
	if ((c == NULL) != (msgs.errors > 0))
		abort();
	for (size_t i = 0; i < msgs.n; i++)
		conf_msg_text(&msgs.v[i], text, sizeof(text));
	conf_free(c);
	conf_msgs_free(&msgs);
	return 0;
}
