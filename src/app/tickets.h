/* The tickets in a folder, for people. */
#ifndef GARENNE_APP_TICKETS_H
#define GARENNE_APP_TICKETS_H

#include <stdbool.h>
#include <stddef.h>

/** Prints a line for each ticket and each mark of one in @folder and adds their number to *@n. An exit
 * code of cli.h; a folder that is not there is a fault only if it @must be. */
int tickets_print(const char *folder, bool must, size_t *n);

#endif
