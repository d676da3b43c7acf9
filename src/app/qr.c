#include "app/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>

#include "base/err.h"

enum { QUIET = 4 }; /* light modules round the code that readers need */

static bool dark(const QRcode *q, int x, int y)
{
	return x >= 0 && y >= 0 && x < q->width && y < q->width && (q->data[y * q->width + x] & 1);
}

/* Light modules are drawn, so that the code is right on dark and on light terminals: colours are
 * set for both. */
static void print_row(FILE *to, const QRcode *q, int y)
{
	static const char *const halves[] = {" ", "\xe2\x96\x84", "\xe2\x96\x80", "\xe2\x96\x88"};

	fputs("\x1b[40;37;1m", to);
	for (int x = -QUIET; x < q->width + QUIET; x++)
		fputs(halves[(dark(q, x, y) ? 0 : 2) + (dark(q, x, y + 1) ? 0 : 1)], to);
	fputs("\x1b[0m\n", to);
}

int qr_print(FILE *to, const char *text)
{
	QRcode *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (!q)
		return errno == ENOMEM ? -ERR_NOMEM : -ERR_LIMIT;
	for (int y = -QUIET; y < q->width + QUIET; y += 2)
		print_row(to, q, y);
	QRcode_free(q);
	return 0;
}
