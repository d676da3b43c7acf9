/* "check --routes": what a TUN would change in this machine's routing, without changing it. */
#ifndef GARENNE_APP_ROUTES_H
#define GARENNE_APP_ROUTES_H

struct conf;

/** Prints the plan to standard output. EXIT_OK, EXIT_CONFIG when it is refused, EXIT_FAILED when
 * the kernel cannot be asked. */
int routes_check(const struct conf *c);

#endif
