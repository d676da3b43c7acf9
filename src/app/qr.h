/* QR codes for a terminal: two modules to a character, in UTF-8. */
#ifndef GARENNE_APP_QR_H
#define GARENNE_APP_QR_H

#include <stdio.h>

/** Prints the code of @text, dark on light whatever the terminal's colours are. 0, -ERR_LIMIT when
 * @text is too long for a code, or -ERR_NOMEM. */
int qr_print(FILE *to, const char *text);

#endif
